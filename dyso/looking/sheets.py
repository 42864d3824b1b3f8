"""Contact sheets: a scene's views and layers on one picture, and several scenes."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from dyso.looking.scenes import Sight, tiled

_GROUND, _TEXT, _QUIET = (14, 15, 17), (236, 236, 232), (150, 152, 156)
_GAP, _MARGIN, _LINE = 2, 24, 22
_DARK = _GROUND[0]


def contact_sheet(sight: Sight) -> Image.Image:
    """Gives one scene: for each layer a grid, rows dynamics steps, columns cameras."""
    grids = [(name, tiled(views, _GAP, _DARK)) for name, views in sight.layers.items()]
    height, width = grids[0][1].shape[:2]
    across = 3 if len(grids) > 4 else 2
    rows = -(-len(grids) // across)
    left = _MARGIN + 18
    step_x, step_y = width + _MARGIN + 18, height + 2 * _LINE + _MARGIN
    sheet, draw = _blank(
        left + across * step_x - 18, _MARGIN + 2 * _LINE + rows * step_y
    )
    draw.text((left, _MARGIN), sight.title, fill=_TEXT, font=_font(18))
    for i, (name, grid) in enumerate(grids):
        x = left + (i % across) * step_x
        y = _MARGIN + 2 * _LINE + (i // across) * step_y
        draw.text((x, y), name.replace("_", " "), fill=_TEXT, font=_font(15))
        _label_columns(draw, sight, x, y + _LINE, width)
        _label_rows(sheet, sight, x - 18, y + 2 * _LINE, height)
        sheet.paste(Image.fromarray(grid), (x, y + 2 * _LINE))
    return sheet


def overview(sights: Sequence[Sight]) -> Image.Image:
    """Gives several scenes, one a row.

    Left all cameras at the first dynamics step, right the other steps before the
    middle camera.
    """
    rows = []
    for sight in sights:
        color = sight.layers["color"]
        rows.append((color[0], color[1:, color.shape[1] // 2]))
    (cameras, height, width, _), steps = rows[0][0].shape, len(rows[0][1])
    top = _MARGIN + 2 * _LINE
    step_y = height + _LINE + 6
    first = cameras * (width + _GAP)
    sheet, draw = _blank(
        2 * _MARGIN + first + _MARGIN * (steps > 0) + steps * (width + _GAP),
        top + len(rows) * step_y + _MARGIN,
    )
    heading = _MARGIN, _MARGIN
    draw.text(heading, "cameras, first dynamics step", fill=_TEXT, font=_font(15))
    if steps:
        heading = 2 * _MARGIN + first, _MARGIN
        text = "later dynamics steps, middle camera"
        draw.text(heading, text, fill=_TEXT, font=_font(15))
    for i, (sight, (row, column)) in enumerate(zip(sights, rows, strict=True)):
        y = top + i * step_y
        draw.text((_MARGIN, y - _LINE + 4), sight.title, fill=_QUIET, font=_font(13))
        sheet.paste(Image.fromarray(tiled(row[None], _GAP, _DARK)), (_MARGIN, y))
        if steps:
            later = Image.fromarray(tiled(column[None], _GAP, _DARK))
            sheet.paste(later, (2 * _MARGIN + first, y))
    return sheet


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), _GROUND)
    return sheet, ImageDraw.Draw(sheet)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _label_columns(
    draw: ImageDraw.ImageDraw, sight: Sight, x: int, y: int, width: int
) -> None:
    step = (width + _GAP) / len(sight.cameras)
    for i, camera in enumerate(sight.cameras):
        text = f"camera {camera}" if step > 60 else str(camera)
        draw.text((x + i * step, y), text, fill=_QUIET, font=_font(13))


def _label_rows(sheet: Image.Image, sight: Sight, x: int, y: int, height: int) -> None:
    step = (height + _GAP) / len(sight.steps)
    for i, number in enumerate(sight.steps):
        text = f"step {number}" if step > 45 else str(number)
        label = Image.new("RGB", (int(step), 18), _GROUND)
        at_end = (step - _font(13).getlength(text) - 2, 0)
        ImageDraw.Draw(label).text(at_end, text, fill=_QUIET, font=_font(13))
        at = x, int(y + i * step)
        sheet.paste(label.rotate(90, expand=True), at)
