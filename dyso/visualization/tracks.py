"""Animations of one camera through time, with tracks of points on the objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Integer, UInt8
from PIL import Image, ImageColor, ImageDraw

from dyso import geometry
from dyso.reading import MOTION_FIELDS, Dataset, views_of
from dyso.visualization.animation import SCENES, side_by_side
from dyso.visualization.scenes import FRAMES, evenly

SIDE = 256
"""Longest side of a view, in pixels; smaller views are enlarged."""
POINTS = 40
"""Points on the objects of a view, about."""
TAIL = 5
"""Steps that a tail is long."""
_LEAST = 2  # pixels between points
_FINE = 2  # the scale at which lines are drawn, for smooth edges


def frames_of(
    dataset: Dataset, chosen: Sequence[tuple[str, int]]
) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Returns frames that show at most `SCENES` scenes side by side, with tracks.

    The middle camera shows at most `FRAMES` steps; cameras that are paired with steps
    show one each. Datasets with one step have no frames.

    Args:
      dataset: the dataset.
      chosen: splits and positions of scenes.

    Raises:
      RecordError: a scene is damaged.
    """
    layout = dataset.resolved.spec.layout
    steps = evenly(layout.steps, FRAMES)
    if len(steps) < 2:
        return []
    camera = layout.cameras // 2
    views = [layout.view(s, s if layout.paired else camera) for s in steps]
    fields = ("color", *MOTION_FIELDS)
    shown = [
        drawn(dataset[split].read(index, fields=fields, views=views), steps)
        for split, index in chosen[:SCENES]
    ]
    return [side_by_side(views) for views in zip(*shown, strict=True)]


def drawn(
    record: Mapping[str, Any],
    steps: Sequence[int],
    side: int = SIDE,
    points: int = POINTS,
) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Returns the views of a record, with the tracks of points on the objects.

    The points are on a grid of the view in the middle. A view shows those that it sees,
    each in a colour of its own, and where they were in the last steps that saw them.

    Args:
      record: with `color` and `MOTION_FIELDS`, one view of each step.
      steps: the views' dynamics steps.
      side: the longest side of a returned view, in pixels.
      points: how many, about.
    """
    views = views_of(record, steps)
    source = views.at(len(steps) // 2)
    rows, columns = grid(source.instance, points)
    found = geometry.tracks(source, rows, columns, views)
    height, width = source.instance.shape
    scale = side / max(height, width)
    size = round(width * scale), round(height * scale)
    large = size[0] * _FINE, size[1] * _FINE
    places = found.pixels * (np.array(large) / (width, height))
    unit = _FINE * side / SIDE
    hues = np.linspace(0, 300, max(len(rows), 1))
    result = []
    for step, color in enumerate(record["color"]):
        picture = Image.fromarray(color).resize(large, Image.Resampling.LANCZOS)
        pen = ImageDraw.Draw(picture, "RGBA")
        for point in np.flatnonzero(found.visible[step]):
            ink = ImageColor.getrgb(f"hsv({hues[point]:.0f}, 90%, 100%)")
            for age in range(min(TAIL, step)):
                at = step - age
                if not found.visible[at - 1 : at + 1, point].all():
                    break
                line = [tuple(place) for place in places[at - 1 : at + 1, point]]
                alpha = round(230 * (1 - age / TAIL))
                pen.line(line, (*ink[:3], alpha), round(1.5 * unit))
            x, y = places[step, point]
            r = 2 * unit
            pen.ellipse((x - r, y - r, x + r, y + r), ink)
        result.append(np.asarray(picture.resize(size, Image.Resampling.LANCZOS)))
    return result


def grid(
    instance: Integer[np.ndarray, "H W"], points: int
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Returns rows and columns of pixels that show objects, evenly spaced.

    Args:
      instance: 0 is background.
      points: how many, about; fewer on small objects.
    """
    rows, columns = np.nonzero(instance)
    spacing = max(_LEAST, round((len(rows) / points) ** 0.5))
    first = spacing // 2
    kept = (rows % spacing == first) & (columns % spacing == first)
    return rows[kept], columns[kept]
