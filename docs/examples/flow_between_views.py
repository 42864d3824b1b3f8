"""Computes optical flow between two views, and checks it by warping.

python docs/examples/flow_between_views.py [DATASET]
"""

import sys

import numpy as np

from dyso.reading import MOTION_FIELDS, Dataset, flow

split = Dataset(sys.argv[1] if len(sys.argv) > 1 else "data/demo")["train"]
layout = split.spec.layout
source, target = layout.view(0, 0), layout.view(1, 1)  # another step, another camera
record = split.read(0, fields=("color", *MOTION_FIELDS))
moved = flow(record, source, target)

rows, columns = np.nonzero(moved.visible)
centres = np.stack([columns, rows], -1) + 0.5
x, y = np.floor(centres + moved.optical[rows, columns]).astype(int).T
color = record["color"].astype(int)
warped = np.abs(color[target, y, x] - color[source, rows, columns]).mean()
still = np.abs(color[target, rows, columns] - color[source, rows, columns]).mean()

hidden = moved.in_frame & ~moved.visible
length = np.linalg.norm(moved.optical[moved.visible], axis=-1)
print(f"view {source} to view {target} of {split.spec.resolution} pixels")
print(f"visible in both {moved.visible.mean():.0%}, occluded {hidden.mean():.0%}")
print(f"flow: median {np.median(length):.1f}, longest {length.max():.1f} pixels")
print(f"mean difference of colours: {still:.1f} before warping, {warped:.1f} after")
