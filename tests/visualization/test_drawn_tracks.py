"""Tracks drawn over views: which points, where, and what hides them."""

import dataclasses

import numpy as np
import pytest

from dyso import records
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Cameras, Deform, Dynamics, Render
from dyso.visualization import tracks
from helpers.dataset_writer import write_dataset


def test_a_grid_has_about_as_many_points_and_all_are_on_objects():
    instance = np.zeros((60, 80), int)
    instance[10:50, 20:60] = 3
    rows, columns = tracks.grid(instance, 64)
    assert 50 <= len(rows) <= 80
    assert (instance[rows, columns] == 3).all()
    assert np.unique(np.diff(np.unique(rows))).tolist() == [5]
    assert len(tracks.grid(np.zeros((9, 9), int), 64)[0]) == 0


@pytest.mark.parametrize("deform", [Deform(), Deform(bend=(60.0, 60.0))])
def test_points_are_drawn_where_they_are_seen_and_tails_where_they_were(
    make_resolved, deform
):
    layers = ("color", "depth", "instance", "category", "surface")
    resolved = make_resolved(
        resolution=(48, 64),
        dynamics=Dynamics(
            steps=4, motion="smooth", travel=(0.5, 0.5), turn=(0.0, 0.0), deform=deform
        ),
        cameras=Cameras(count=1),
        render=Render(layers=layers),
    )
    scene = sample_scene(resolved, "train", 0)
    views = synthetic_views(scene)
    views = dataclasses.replace(views, color=np.full_like(views.color, 90))
    record = records.decode(records.encode(scene, views))
    frames = tracks.drawn(record, range(4), side=128)
    assert len(frames) == 4 and frames[0].shape == (96, 128, 3)
    for step, frame in enumerate(frames):
        inked = np.ptp(frame.astype(int), axis=-1) > 30
        shows = record["instance"][step, ..., 0].repeat(2, 0).repeat(2, 1) > 0
        assert inked.any()
        if step == 0:
            # Points alone, on the object or a dot's radius beside it.
            near = np.zeros_like(shows)
            for move in np.ndindex(9, 9):
                near |= np.roll(shows, np.subtract(move, 4), (0, 1))
            assert not (inked & ~near).any()
    inks = [(np.ptp(frame.astype(int), axis=-1) > 30).sum() for frame in frames]
    assert inks[-1] > inks[0]


def test_datasets_of_one_step_have_no_tracks(tmp_path, make_resolved):
    for steps, frames in ((1, 0), (3, 3)):
        resolved = make_resolved(
            splits={"train": 1},
            dynamics=Dynamics(steps=steps),
            cameras=Cameras(count=2),
        )
        folder = write_dataset(tmp_path / f"data-{steps}", resolved, synthetic_views)
        made = tracks.frames_of(Dataset(folder), [("train", 0)])
        assert len(made) == frames
