"""Reads batches for a training loop, and resumes at the exact next batch.

python docs/examples/training_loop.py [DATASET]
"""

import json
import sys

import numpy as np

from dyso.reading import Dataset, Source, loader

STEPS = 4

train = Dataset(sys.argv[1] if len(sys.argv) > 1 else "data/demo")["train"]
# Views 0 to 4 are the cameras of the first dynamics step. A number in place of the
# tuple, such as 7, draws that many views at random for each scene.
source = Source(split=train, fields=("color", "extrinsics"), views=(0, 1, 2, 3, 4))
batches = iter(loader(source, batch_size=2, seed=0))

mean = np.zeros(3)
for step in range(1, STEPS + 1):
    batch = next(batches)
    color = batch["color"].astype(np.float32) / 255  # [scenes, views, height, width, 3]
    mean += color.mean((0, 1, 2, 3)) / STEPS  # in place of a gradient step
    print(f"step {step}: {color.shape}, cameras {batch['extrinsics'].shape}")

# A checkpoint holds the loader's state beside the parameters.
checkpoint = json.dumps({"mean": mean.tolist(), "loader": batches.get_state()})

expected = next(batches)["color"]
again = iter(loader(source, batch_size=2, seed=0))
again.set_state(json.loads(checkpoint)["loader"])
assert (next(again)["color"] == expected).all()
print(f"mean colour {mean.round(3)}; a new loader continues with the same batch")
