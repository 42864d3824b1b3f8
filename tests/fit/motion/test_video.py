"""Videos of a dataset."""

import numpy as np
import pytest

from dyso.errors import UserError
from dyso.fit.motion.video import Video
from dyso.reading import Dataset


def test_frames_are_of_the_moving_camera_and_others_are_held_out(video):
    split = Dataset(video)["videos"]
    record = split.read(1)
    read = Video.read(split, 1)
    assert read.frames.color.shape == (4, 12, 16, 3)
    assert read.held_out.color.shape == (4, 1, 12, 16, 3)
    for step in range(4):
        for camera, views in ((0, read.frames), (1, read.held_out)):
            number = read.view(step, camera)
            at = (step,) if camera == 0 else (step, 0)
            assert np.array_equal(views.color[at], record["color"][number])
            assert np.array_equal(views.depth[at], record["depth"][number, ..., 0])
            assert np.array_equal(views.extrinsics[at], record["extrinsics"][number])


def test_several_cameras_at_each_step_are_refused(multi_view):
    with pytest.raises(UserError, match="expected a video of one moving camera"):
        Video.read(Dataset(multi_view)["train"], 0)


def test_a_scene_must_exist(video):
    with pytest.raises(UserError, match="videos has 2, numbered from 0; got 2"):
        Video.read(Dataset(video)["videos"], 2)
