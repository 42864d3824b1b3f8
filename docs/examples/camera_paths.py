"""Prints the camera positions and the camera pattern of each scene.

python docs/examples/camera_paths.py [DATASET]
"""

import sys

import numpy as np

from dyso import geometry
from dyso.reading import Dataset

split = Dataset(sys.argv[1] if len(sys.argv) > 1 else "data/demo")["train"]
layout = split.spec.layout
# Cameras do not move, so the first views suffice; no image is read.
first = range(layout.cameras)
fields = ["extrinsics", "intrinsics", "camera_pattern", "scene_name"]
for index in range(len(split)):
    scene = split.read(index, fields=fields, views=first)
    to_world = geometry.invert(
        scene["extrinsics"].astype(np.float64)
    )  # [cameras, 3, 4]
    centres, forward = to_world[..., 3], to_world[..., 2]
    length = np.linalg.norm(np.diff(centres, axis=0), axis=-1).sum()
    turn = np.degrees(np.arccos(np.clip(forward[0] @ forward[-1], -1, 1)))
    print(f"{scene['scene_name']}: {scene['camera_pattern']}, ", end="")
    print(f"path {length:.2f} m, turned by {turn:.1f} degrees")
    for centre, axis in zip(centres, forward, strict=True):
        print(f"  at {centre.round(2)} looking along {axis.round(2)}")
