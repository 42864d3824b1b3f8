"""The points that methods track, drawn by a seed, and their true tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dyso import geometry
from dyso.files import writing
from dyso.reading import MOTION_FIELDS, Split, view_of, views_of
from dyso.spec import UserError

CAMERAS = 4
"""The most cameras of a scene in which points are followed."""
POINTS = 64
"""The most points in each of these cameras."""


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Q points on objects, each visible in its camera at dynamics step 0.

    Attributes:
      camera: the number in view = dynamics step * cameras + camera.
      pixel: (x, y) in that camera at step 0; the centre of a pixel.
      point: metres in the world at step 0.
      instance: 1 + the object's index.
    """

    camera: Int64[np.ndarray, " Q"]
    pixel: Float64[np.ndarray, "Q 2"]
    point: Float64[np.ndarray, "Q 3"]
    instance: Int64[np.ndarray, " Q"]


@dataclass(frozen=True, kw_only=True)
class TrueTracks:
    """The exact tracks of Q queries through T dynamics steps.

    Attributes:
      points: metres in the world.
      pixels: (x, y) in the query's camera; 0 behind it.
      visible: in that camera's image and not hidden.
      sizes: metres, the longest side of the bounding box of each query's object.
    """

    points: Float64[np.ndarray, "T Q 3"]
    pixels: Float64[np.ndarray, "T Q 2"]
    visible: Bool[np.ndarray, "T Q"]
    sizes: Float64[np.ndarray, " Q"]


def queries_of(
    split: Split, index: int, cameras: Sequence[int] | None = None
) -> Queries:
    """Returns the points to track in one scene.

    In each camera, the objects have equally many points, as far as their pixels allow.
    The points of a camera depend only on the dataset, the split, the scene and the
    camera.

    Args:
      split: the scene's split.
      index: the scene's number in it.
      cameras: the cameras in which points are followed, such as the only one that a
        method for monocular videos has seen. None draws at most `CAMERAS` of those
        that the spec does not hold out and that see an object at step 0.

    Raises:
      UserError: the scene has a single dynamics step, there is no such camera, or none
        of them sees an object at step 0.
      IndexError: there is no such scene.
      RecordError: the scene is damaged.
    """
    spec = split.spec
    steps, count = spec.layout.shape
    if steps < 2:
        raise UserError("tracks need at least 2 dynamics steps, but the spec has 1")
    candidates = list(cameras or range(count - spec.cameras.held_out))
    if not all(0 <= camera < count for camera in candidates):
        raise UserError(f"no camera {max(candidates)}; expected 0 to {count - 1}")
    fields = (*MOTION_FIELDS, "spec_hash", "index")
    record = split.read(index, fields=fields, views=candidates)
    name = f"{record['spec_hash']}/{split.name}/{record['index']}/queries"
    views = views_of(record, steps=[0] * len(candidates))
    order = _named(name).permutation(len(candidates)).tolist()
    showing = [i for i in order if (views.instance[i] > 0).any()]
    if not showing:
        raise UserError(f"scene {index}: no camera sees an object at dynamics step 0")
    chosen = showing if cameras else showing[:CAMERAS]
    parts = []
    for i in sorted(chosen, key=candidates.__getitem__):
        camera, view = candidates[i], view_of(views, i)
        row, column = _draw(_named(f"{name}/{camera}"), view.instance)
        points = geometry.unproject(view.depth, view.intrinsics, view.extrinsics)
        parts.append(
            (
                np.full(len(row), camera),
                np.stack([column, row], axis=-1) + 0.5,
                points[row, column],
                view.instance[row, column].astype(np.int64),
            )
        )
    camera, pixel, point, instance = map(np.concatenate, zip(*parts, strict=True))
    return Queries(camera=camera, pixel=pixel, point=point, instance=instance)


def _named(name: str) -> np.random.Generator:
    """Returns a generator that depends on a name alone."""
    entropy = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _draw(
    rng: np.random.Generator, instance: np.ndarray
) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """Draws rows and columns of pixels, from each object in turn."""
    ids = np.unique(instance[instance > 0])
    pixels = [rng.permutation(np.argwhere(instance == i)) for i in ids]
    most = max(map(len, pixels))
    turns = [each[turn] for turn in range(most) for each in pixels if turn < len(each)]
    row, column = np.array(turns[:POINTS]).T
    return row, column


def true_tracks(split: Split, index: int, queries: Queries) -> TrueTracks:
    """Returns the exact tracks of a scene's queries; see `dyso.geometry.tracks`.

    Raises:
      RecordError: the scene is damaged.
    """
    steps, cameras = split.spec.layout.shape
    shape = steps, len(queries.camera)
    points, pixels = np.zeros((*shape, 3)), np.zeros((*shape, 2))
    visible = np.zeros(shape, bool)
    sizes = np.zeros(len(queries.camera))
    for camera in np.unique(queries.camera):
        chosen = queries.camera == camera
        # A scene may have thousands of views: only those of one camera at a time.
        record = split.read(
            index,
            fields=(*MOTION_FIELDS, "objects/sizes"),
            views=[step * cameras + int(camera) for step in range(steps)],
        )
        views = views_of(record, steps=range(steps))
        column, row = np.floor(queries.pixel[chosen]).astype(int).T
        found = geometry.tracks(view_of(views, 0), row, column, views)
        points[:, chosen], pixels[:, chosen] = found.points, found.pixels
        visible[:, chosen] = found.visible
        longest = record["objects/sizes"].astype(np.float64).max(axis=1)
        sizes[chosen] = longest[queries.instance[chosen] - 1]
    return TrueTracks(points=points, pixels=pixels, visible=visible, sizes=sizes)


def write_queries(
    split: Split,
    indices: Iterable[int],
    folder: Path,
    cameras: Sequence[int] | None = None,
) -> list[Path]:
    """Writes the queries of scenes as `scene_<number>.npz`; returns the files.

    Raises:
      UserError: the folder cannot be written to; see also `queries_of`.
    """
    written = []
    for index in indices:
        queries = queries_of(split, index, cameras)
        path = folder / f"scene_{index}.npz"
        with writing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **vars(queries))
        written.append(path)
    return written
