"""Pictures of a report: views beside their errors, and tracks over a frame."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64
from PIL import Image, ImageDraw

from dyso import geometry
from dyso.reading import MOTION_FIELDS, Split, motion_masks
from dyso.report_page import heat
from dyso.scoring.predictions import Predictions, ScenePredictions
from dyso.scoring.queries import queries_of, true_tracks
from dyso.visualization.pictures import picture

Pictures = list[tuple[str, np.ndarray]]
"""Captions, HTML, and images [H, W, 3] in [0, 1]."""

LARGEST = 0.25
"""The lightest error: of colours in [0, 1], or of depth relative to the truth."""
TRACKS = 32
"""The most tracks in a picture."""
_TALL = 480
"""The least height of a picture of tracks, in pixels: small frames are magnified."""
_TRUE, _PREDICTED = (255, 255, 255), (230, 159, 0)


def view_pictures(
    split: Split, index: int, methods: Sequence[Predictions], view: int
) -> Pictures:
    """Returns a view's truth, and each method's prediction and error."""
    _, cameras = split.spec.layout.shape
    record = split.read(index, fields=(*MOTION_FIELDS, "color"), views=[view])
    moving = motion_masks(record, steps=[view // cameras])[0]
    true = record["color"][0]
    shown: Pictures = [
        ("truth", true / 255),
        ("moving pixels", np.where(moving[..., None], true, true // 4) / 255),
    ]
    for method, own in _scene_of(methods, index, split):
        if view in own.views("color"):
            color = own.color(view)
            error = abs(color.astype(float) - true).mean(axis=-1) / 255
            shown += [(method, color / 255), (f"{method}: error", heat(error, LARGEST))]
    return shown


def depth_pictures(
    split: Split, index: int, methods: Sequence[Predictions], view: int
) -> Pictures:
    """Returns a view's true depth, and each method's depth and relative error."""
    fields = ("color", "depth", "intrinsics")
    record = split.read(index, fields=fields, views=[view])
    true = record["depth"][0, ..., 0].astype(np.float64)
    lens = record["intrinsics"][0].astype(np.float64)
    cosines = geometry.axis_cosines(lens, *true.shape)
    names, depths = [], []
    for method, own in _scene_of(methods, index, split):
        if view in own.views("depth"):
            names.append(method)
            depths.append(own.depth(view, cosines))
    if not names:
        return []
    stack = np.stack([true, *depths])
    positive = np.where(stack > 0, stack, np.inf)
    # One scale for all, so that colours can be compared.
    colors = picture("depth", positive[..., None]) / 255
    shown: Pictures = [("image", record["color"][0] / 255), ("true depth", colors[0])]
    for name, depth, color in zip(names, depths, colors[1:], strict=True):
        finite = np.isfinite(true)
        error = np.where(finite, abs(depth - true) / np.where(finite, true, 1), 0)
        shown += [(name, color), (f"{name}: error", heat(error, LARGEST))]
    return shown


def track_pictures(
    split: Split, index: int, methods: Sequence[Predictions]
) -> Pictures:
    """Returns tracks in one camera over its last frame, for each method.

    A method without 2D tracks has its 3D tracks projected.
    """
    having = [
        (name, own)
        for name, own in _scene_of(methods, index, split)
        if own.has("tracks_2d.npz") or own.has("tracks_3d.npz")
    ]
    if not having:
        return []
    queries = queries_of(split, index, methods[0].query_cameras)
    true = true_tracks(split, index, queries)
    camera = int(queries.camera[0])
    steps, cameras = split.spec.layout.shape
    views = [step * cameras + camera for step in range(steps)]
    record = split.read(index, fields=("intrinsics", "extrinsics"), views=views)
    frame = split.read(index, fields=("color",), views=views[-1:])["color"][0]
    own_queries = np.flatnonzero(queries.camera == camera)
    # Evenly chosen, at fixed places: the same tracks for every method.
    places = np.linspace(0, len(own_queries) - 1, min(TRACKS, len(own_queries)))
    chosen = own_queries[places.astype(int)]
    shown: Pictures = []
    for name, own in having:
        shape = (steps, len(queries.camera))
        if own.has("tracks_2d.npz"):
            pixels, _ = own.tracks_2d(shape)
            pixels = pixels[:, chosen]
        else:
            pixels = _projected(own, shape, chosen, record)
        drawn = _draw(frame, true.pixels[:, chosen], pixels)
        shown.append((name, drawn / 255))
    return shown


def _scene_of(
    methods: Sequence[Predictions], index: int, split: Split
) -> list[tuple[str, ScenePredictions]]:
    return [
        (html.escape(each.method), each.scene(index, split.spec.resolution))
        for each in methods
    ]


def _projected(
    own: ScenePredictions,
    shape: tuple[int, int],
    chosen: Int64[np.ndarray, " P"],
    record: dict[str, np.ndarray],
) -> Float64[np.ndarray, "T P 2"]:
    points = own.tracks_3d(shape)[:, chosen]
    pixels, _, z = geometry.project(
        points,
        record["intrinsics"][:, None].astype(np.float64),
        record["extrinsics"][:, None].astype(np.float64),
    )
    return np.where(z[..., None] > 0, pixels, np.nan)


def _draw(
    frame: np.ndarray,
    true: Float64[np.ndarray, "T P 2"],
    predicted: Float64[np.ndarray, "T P 2"],
) -> np.ndarray:
    times = -(-_TALL // len(frame))
    dark = (0.6 * frame).astype(np.uint8)
    image = Image.fromarray(dark.repeat(times, axis=0).repeat(times, axis=1))
    pen = ImageDraw.Draw(image)
    limit = 4 * max(image.size)
    for tracks, color, width in ((true, _TRUE, 4), (predicted, _PREDICTED, 2)):
        for track in np.swapaxes(tracks * times, 0, 1):
            # Points far outside, or behind the camera, are left out.
            inside = np.isfinite(track).all(-1) & (abs(track) < limit).all(-1)
            line = [tuple(point) for point in track[inside]]
            if not line:
                continue
            pen.line(line, fill=color, width=width, joint="curve")
            x, y = line[-1]
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), outline=color, width=2)
    return np.asarray(image)
