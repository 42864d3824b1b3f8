"""A small dataset of several cameras."""

import dataclasses

import numpy as np
import pytest

from dyso import geometry
from dyso.records.synthetic import synthetic_views
from dyso.spec import LAYERS, Cameras, Dynamics, Objects, Patterns, Render
from helpers.dataset_writer import write_dataset

GLIDE = np.array([0.12, -0.16, 0.0])  # metres from step to step


def gliding(scene):
    """The same scene, whose objects glide at a constant velocity."""
    objects = tuple(
        dataclasses.replace(
            item,
            poses=tuple(
                dataclasses.replace(
                    item.poses[0],
                    position=tuple(np.array(item.poses[0].position) + step * GLIDE),
                )
                for step in range(len(item.poses))
            ),
        )
        for item in scene.objects
    )
    return dataclasses.replace(scene, objects=objects)


def painted(scene):
    """Synthetic views of gliding spheres, coloured by the normal in their own axes."""
    scene = gliding(scene)
    views = synthetic_views(scene)
    color = views.color.copy()
    for step, camera in np.ndindex(color.shape[:2]):
        for index, item in enumerate(scene.objects):
            seen = views.instance[step, camera] == index + 1
            turn = geometry.quaternion_to_matrix(np.array(item.poses[step].quaternion))
            local = views.normal[step, camera][seen] @ turn
            color[step, camera][seen] = np.clip(128 + 127 * local, 0, 255)
    return dataclasses.replace(views, color=color)


@pytest.fixture(scope="session")
def multi_view(make_resolved, tmp_path_factory):
    """The folder of a dataset: a sphere, 3 steps, 6 cameras of 24 x 32 pixels."""
    patterns = {
        name: dataclasses.replace(getattr(Patterns(), name), weight=weight)
        for name, weight in (
            dict.fromkeys(Patterns().weights(), 0.0) | {"rig": 1.0}
        ).items()
    }
    resolved = make_resolved(
        splits={"train": 2},
        resolution=(24, 32),
        objects=Objects(size=1.2, held_out=0.0),
        dynamics=Dynamics(steps=3, motion="smooth"),
        render=Render(layers=tuple(n for n in LAYERS if n != "surface")),
        cameras=Cameras(
            count=6, held_out=2, distance=(4.0, 4.0), patterns=Patterns(**patterns)
        ),
    )
    folder = tmp_path_factory.mktemp("fit") / "data"
    return write_dataset(folder, resolved, painted)


@pytest.fixture(scope="session")
def video(make_resolved, tmp_path_factory):
    """The folder of a dataset: videos of 4 frames of 12 x 16 pixels, and one camera."""
    weights = dict.fromkeys(Patterns().weights(), 0.0) | {"handheld": 1.0}
    patterns = {
        name: dataclasses.replace(getattr(Patterns(), name), weight=weight)
        for name, weight in weights.items()
    }
    resolved = make_resolved(
        splits={"videos": 2},
        resolution=(12, 16),
        objects=Objects(size=1.6, held_out=0.0),
        dynamics=Dynamics(steps=4, motion="smooth"),
        render=Render(layers=LAYERS),
        cameras=Cameras(
            count=5,
            paired=True,
            held_out=1,
            distance=(4.0, 4.0),
            patterns=Patterns(**patterns),
        ),
    )
    folder = tmp_path_factory.mktemp("video") / "data"
    return write_dataset(folder, resolved, painted)
