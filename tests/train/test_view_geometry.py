"""The geometry of views, against the scenes that they were made from."""

import numpy as np

from dyso import geometry
from dyso.reading import Dataset
from dyso.train.view_geometry import view_geometry


def test_frames_agree_with_one_another_and_with_the_record(trained_on):
    split = Dataset(trained_on)["train"]
    views, first, cameras = [7, 12, 3], 11, split.spec.cameras.count
    found = view_geometry(split, 2, first, views)
    record = split.read(2, views=[first, *views])
    for place, view in enumerate(views):
        own, of_first = record["extrinsics"][place + 1], record["extrinsics"][0]
        world = record["objects/positions"][:, view // cameras]
        np.testing.assert_allclose(found["position_in_world"][place], world)
        for name, to in (("view", own), ("first", of_first)):
            np.testing.assert_allclose(
                found[f"position_in_{name}"][place],
                geometry.transform(to, world),
                rtol=1e-4,
                atol=1e-5,
            )
            # A corner of the object comes to the same place by both of the ways.
            quaternion = record["objects/quaternions"][0, view // cameras]
            corner = geometry.quaternion_to_matrix(quaternion) @ [0.1, 0.2, 0.3]
            rotation = found[f"rotation_in_{name}"][place, 0].reshape(3, 3)
            np.testing.assert_allclose(
                found[f"position_in_{name}"][place, 0] + rotation @ [0.1, 0.2, 0.3],
                geometry.transform(to, world[0] + corner),
                rtol=1e-4,
                atol=1e-4,
            )
        center = geometry.invert(own)[:, 3]
        np.testing.assert_allclose(
            found["camera_position"][place, 0],
            geometry.transform(of_first, center),
            rtol=1e-4,
            atol=1e-4,
        )
        pixels, _, _ = geometry.project(world, record["intrinsics"][place + 1], own)
        np.testing.assert_allclose(
            found["image_position"][place],
            np.clip(pixels / 16, -1, 2),
            rtol=1e-3,
            atol=1e-4,
        )
    own = view_geometry(split, 2, first, [first])["camera_position"]
    np.testing.assert_allclose(own, 0, atol=1e-5)
