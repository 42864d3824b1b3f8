"""Words on pictures: what stands in which column and row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_GROUND, _TEXT = (14, 15, 17), (236, 236, 232)
LINE = 24
"""Height of a line of labels, in pixels; even, as films ask."""
_SIZE, _MARGIN = 13, 4


def heading(names: Sequence[str], width: int) -> UInt8[np.ndarray, "_ W 3"]:
    """Returns a line with a name over each column.

    Args:
      names: of the columns, from the left; too long ones are in smaller type.
      width: of a column, in pixels.
    """
    line = Image.new("RGB", (width * len(names), LINE), _GROUND)
    for i, name in enumerate(names):
        size = _SIZE
        while size > 6 and _font(size).getlength(name) > width - _MARGIN:
            size -= 1
        at = (i * width + _MARGIN // 2, LINE // 2)
        ImageDraw.Draw(line).text(at, name, fill=_TEXT, font=_font(size), anchor="lm")
    return np.asarray(line)


def table(
    rows: UInt8[np.ndarray, "R C H W 3"], columns: Sequence[str], names: Sequence[str]
) -> Image.Image:
    """Returns images in a grid whose columns and rows have names.

    Args:
      rows: the images; small ones are magnified, pixel by pixel.
      columns: their names.
      names: of the rows.
    """
    times = -(-64 // rows.shape[3])
    rows = rows.repeat(times, axis=2).repeat(times, axis=3)
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    height, width = rows.shape[2:4]
    left = int(max(_font(_SIZE).getlength(name) for name in names)) + 2 * _MARGIN
    sheet = Image.new("RGB", (left + grid.shape[1], LINE + grid.shape[0]), _GROUND)
    sheet.paste(Image.fromarray(heading(columns, width)), (left, 0))
    sheet.paste(Image.fromarray(grid), (left, LINE))
    for i, name in enumerate(names):
        at = (_MARGIN, LINE + i * height + height // 2)
        ImageDraw.Draw(sheet).text(at, name, fill=_TEXT, font=_font(_SIZE), anchor="lm")
    return sheet


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
