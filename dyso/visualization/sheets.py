"""Contact sheets: all views and layers of one scene, or several scenes at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from dyso.visualization.scenes import MOST, SceneView, evenly, tiled
from dyso.visualization.top_view import top_view

_GROUND, _TEXT, _QUIET = (14, 15, 17), (236, 236, 232), (150, 152, 156)
_GAP, _MARGIN, _LINE = 2, 24, 22
_DARK = _GROUND[0]
_LONGEST = 1200
"""Pixels of a heading; the rest of a longer one is left out."""


def contact_sheet(scene: SceneView) -> Image.Image:
    """Returns an image of one scene, with a grid of views for each layer.

    Rows are dynamics steps and columns cameras. The frames of a video are arranged row
    by row.
    """
    steps, layers = scene.steps, scene.layers
    if scene.is_video:
        wide = math.ceil(math.sqrt(len(steps)))
        steps = steps[::wide]
        layers = {name: _in_rows(views, wide) for name, views in layers.items()}
    grids = [(name, tiled(views, _GAP, _DARK)) for name, views in layers.items()]
    height, width = grids[0][1].shape[:2]
    across = 3 if len(grids) > 4 else 2
    rows = -(-len(grids) // across)
    left = _MARGIN + 18
    names = [name.replace("_", " ") for name, _ in grids]
    step_x = max(width, *(_width(name, 15) for name in names)) + _MARGIN + 18
    step_y = height + 2 * _LINE + _MARGIN
    title = _shortened(scene.title, 18)
    sheet, draw = _blank(
        left + max(across * step_x - 18, _width(title, 18) + _MARGIN),
        _MARGIN + 2 * _LINE + rows * step_y,
    )
    draw.text((left, _MARGIN), title, fill=_TEXT, font=_font(18))
    for i, (name, (_, grid)) in enumerate(zip(names, grids, strict=True)):
        x = left + (i % across) * step_x
        y = _MARGIN + 2 * _LINE + (i // across) * step_y
        draw.text((x, y), name, fill=_TEXT, font=_font(15))
        _label_columns(draw, scene.cameras, x, y + _LINE, width)
        _label_rows(sheet, steps, x - 18, y + 2 * _LINE, height)
        sheet.paste(Image.fromarray(grid), (x, y + 2 * _LINE))
    return sheet


def overview(scenes: Sequence[SceneView]) -> Image.Image:
    """Returns an image of several scenes, one per row.

    The left part shows all cameras at the first dynamics step, the middle part the
    later steps seen by the middle camera, the right part the scene from above. Videos
    show at most `MOST` evenly chosen frames.
    """
    rows = []
    for scene in scenes:
        color = scene.layers["color"]
        if scene.is_video:
            rows.append((color[list(evenly(len(color), MOST)), 0], color[:0, 0]))
        else:
            rows.append((color[0], color[1:, color.shape[1] // 2]))
    (cameras, height, width, _), steps = rows[0][0].shape, len(rows[0][1])
    top = _MARGIN + 2 * _LINE
    step_y = height + _LINE + 6
    left, right = "cameras, first dynamics step", "later dynamics steps, middle camera"
    if scenes[0].is_video:
        left = "frames over time"
    titles = [_shortened(scene.title, 13) for scene in scenes]
    first = max(cameras * (width + _GAP), _width(left, 15))
    across = first
    if steps:
        across += _MARGIN + max(steps * (width + _GAP), _width(right, 15))
    across = max(across, *(_width(title, 13) for title in titles))
    above = "from above", 2 * _MARGIN + across
    across += _MARGIN + max(height, _width(above[0], 15))
    sheet, draw = _blank(2 * _MARGIN + across, top + len(rows) * step_y + _MARGIN)
    draw.text((_MARGIN, _MARGIN), left, fill=_TEXT, font=_font(15))
    if steps:
        draw.text((2 * _MARGIN + first, _MARGIN), right, fill=_TEXT, font=_font(15))
    draw.text((above[1], _MARGIN), above[0], fill=_TEXT, font=_font(15))
    for i, (title, (row, column)) in enumerate(zip(titles, rows, strict=True)):
        y = top + i * step_y
        seen = top_view(scenes[i].record, height)
        sheet.paste(Image.fromarray(seen), (above[1], y))
        draw.text((_MARGIN, y - _LINE + 4), title, fill=_QUIET, font=_font(13))
        sheet.paste(Image.fromarray(tiled(row[None], _GAP, _DARK)), (_MARGIN, y))
        if steps:
            later = Image.fromarray(tiled(column[None], _GAP, _DARK))
            sheet.paste(later, (2 * _MARGIN + first, y))
    return sheet


def captioned(rows: Sequence[tuple[str, UInt8[np.ndarray, "H W 3"]]]) -> Image.Image:
    """Returns pictures below one another, each under its heading."""
    titles = [_shortened(heading, 13) for heading, _ in rows]
    width = max(
        *(picture.shape[1] for _, picture in rows),
        *(_width(title, 13) for title in titles),
    )
    height = sum(picture.shape[0] + _LINE + 6 for _, picture in rows)
    sheet, draw = _blank(width + 2 * _MARGIN, height + 2 * _MARGIN)
    y = _MARGIN
    for title, (_, picture) in zip(titles, rows, strict=True):
        draw.text((_MARGIN, y), title, fill=_QUIET, font=_font(13))
        sheet.paste(Image.fromarray(picture), (_MARGIN, y + _LINE - 4))
        y += picture.shape[0] + _LINE + 6
    return sheet


def _in_rows(
    frames: UInt8[np.ndarray, "T 1 H W 3"], wide: int
) -> UInt8[np.ndarray, "R wide H W 3"]:
    """Arranges frames in rows of `wide`, and pads the last row."""
    missing = -len(frames) % wide
    full = np.pad(frames[:, 0], ((0, missing), *((0, 0),) * 3), constant_values=_DARK)
    return full.reshape(-1, wide, *full.shape[1:])


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), _GROUND)
    return sheet, ImageDraw.Draw(sheet)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    """Returns how many pixels a text is wide."""
    return math.ceil(_font(size).getlength(text))


def _shortened(text: str, size: int) -> str:
    """Returns as much of a heading as `_LONGEST` pixels hold."""
    if _width(text, size) <= _LONGEST:
        return text
    text = text[:_LONGEST]
    while _width(f"{text} ...", size) > _LONGEST:
        text = text[:-1]
    return f"{text} ..."


def _label_columns(
    draw: ImageDraw.ImageDraw, cameras: Sequence[int], x: int, y: int, width: int
) -> None:
    step = (width + _GAP) / max(1, len(cameras))
    for i, camera in enumerate(cameras):
        text = f"camera {camera}" if step > 60 else str(camera)
        draw.text((x + i * step, y), text, fill=_QUIET, font=_font(13))


def _label_rows(
    sheet: Image.Image, steps: Sequence[int], x: int, y: int, height: int
) -> None:
    step = (height + _GAP) / len(steps)
    for i, number in enumerate(steps):
        text = f"step {number}" if step > 45 else str(number)
        label = Image.new("RGB", (int(step), 18), _GROUND)
        at_end = (step - _font(13).getlength(text) - 2, 0)
        ImageDraw.Draw(label).text(at_end, text, fill=_QUIET, font=_font(13))
        at = x, int(y + i * step)
        sheet.paste(label.rotate(90, expand=True), at)
