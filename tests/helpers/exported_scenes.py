"""Scenes in the formats with one folder each, and points with known pixels."""

from types import ModuleType

import numpy as np

from dyso import geometry
from dyso.export.formats import format_named
from dyso.reading import Split


def written(name, split: Split, folder, index=0):
    """Checks the dataset and writes a scene, as the job does."""
    module = format_named(name)
    assert isinstance(module, ModuleType)
    module.check(split.spec)
    folder.mkdir(parents=True)
    module.write(split, index, folder)
    return folder


def files(folder):
    """Returns the contents of all files in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def known_points(record, view):
    """Returns points [P, 3] and their pixels [P, 2] in a view: on objects and floor.

    The centres of the objects where the view's dynamics step has them, and what some
    of the view's own pixels show.
    """
    steps = record["objects/positions"].shape[1]
    step = view * steps // len(record["color"])
    intrinsics = record["intrinsics"][view].astype(np.float64)
    extrinsics = record["extrinsics"][view].astype(np.float64)
    centres = record["objects/positions"][:, step].astype(np.float64)
    pixels, _, z = geometry.project(centres, intrinsics, extrinsics)
    assert (z > 0).all()
    surface = geometry.unproject(
        record["depth"][view, ..., 0].astype(np.float64), intrinsics, extrinsics
    )
    rows, columns = np.mgrid[2:24:7, 1:24:5].reshape(2, -1)
    here = np.stack([columns, rows], -1) + 0.5
    points = np.concatenate([centres, surface[rows, columns]])
    return points, np.concatenate([pixels, here])
