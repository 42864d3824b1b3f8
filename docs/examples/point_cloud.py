"""Writes the points seen by the cameras of one dynamics step to a PLY file.

python docs/examples/point_cloud.py [DATASET] [OUT.ply]
"""

import sys
from pathlib import Path

import numpy as np
import trimesh

from dyso import geometry
from dyso.reading import Dataset

STEP = 1

folder = sys.argv[1] if len(sys.argv) > 1 else "data/demo"
out = Path(sys.argv[2] if len(sys.argv) > 2 else "points.ply")
split = Dataset(folder)["train"]
views = [view for view, (step, _) in enumerate(split.spec.layout.pairs) if step == STEP]
fields = ["color", "depth", "instance", "intrinsics", "extrinsics"]
scene = split.read(0, fields=fields, views=views)

depth = scene["depth"][..., 0].astype(np.float64)  # [cameras, height, width]
points = geometry.unproject(depth, scene["intrinsics"], scene["extrinsics"])
near = scene["instance"][..., 0] > 0  # the objects; np.isfinite(depth) takes all
cloud = trimesh.PointCloud(points[near], colors=scene["color"][near])
out.write_bytes(cloud.export(file_type="ply"))
low, high = points[near].min(0), points[near].max(0)
print(f"{out}: {near.sum()} points from {low.round(2)} to {high.round(2)} m")
