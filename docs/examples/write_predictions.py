"""Writes predictions to score; the method copies the views of the camera before.

python docs/examples/write_predictions.py [DATASET] [PREDICTIONS]
"""

import json
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from dyso.reading import Dataset
from dyso.scoring import Inputs, held_out_views, queries_of

data = Dataset(sys.argv[1] if len(sys.argv) > 1 else "data/demo")
out = Path(sys.argv[2] if len(sys.argv) > 2 else "predictions")
split, seen = data["test"], (0, 1, 2, 3)  # of the demo's five cameras
steps = split.spec.dynamics.steps
for index in range(len(split)):
    scene, record = out / f"scene_{index}", split[index]
    for kind in ("color", "depth"):
        (scene / kind).mkdir(parents=True, exist_ok=True)
    for view in held_out_views(split.spec, Inputs(cameras=seen)):
        color, depth = record["color"][view - 1], record["depth"][view - 1, ..., 0]
        imageio.imwrite(scene / f"color/{view:05}.png", color)
        np.savez_compressed(scene / f"depth/{view:05}.npz", depth=depth)
    queries = queries_of(split, index)
    still = np.stack([queries.point] * steps)  # [steps, queries, 3]
    np.savez_compressed(scene / "tracks_3d.npz", points=still)
    pixels = np.stack([queries.pixel] * steps)  # [steps, queries, 2]
    visible = np.ones(pixels.shape[:2], bool)
    np.savez_compressed(scene / "tracks_2d.npz", pixels=pixels, visible=visible)
about = {"method": "copy", "dataset": data.resolved.hash, "split": "test"}
about["inputs"] = {"cameras": seen}
(out / "predictions.json").write_text(json.dumps(about))
print(f"{out}: {len(split)} scenes")
