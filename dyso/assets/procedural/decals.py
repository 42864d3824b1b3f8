"""What is printed on things: letters, digits, labels, stripes, pictures of noise."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dyso.assets.procedural import noise
from dyso.assets.procedural.colors import color, lighter
from dyso.assets.procedural.draw import Draw

SIDE = 512
"""Pixels of a printed texture."""
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_SYLLABLES = ("ba", "co", "di", "fen", "gra", "lo", "mi", "nor", "pu", "ra", "so", "ti")


def printed(draw: Draw, picture: np.ndarray) -> np.ndarray:
    """Returns a picture [s, s, 3] at SIDE pixels with prints at random places."""
    times = SIDE // len(picture)
    large = np.repeat(np.repeat(picture, times, 0), times, 1)
    paper = Image.fromarray((np.clip(large, 0, 1) * 255 + 0.5).astype(np.uint8))
    if draw.chance(0.4):
        _stripes(draw, paper)
    for _ in range(draw.whole(3, 8)):
        kind = draw.pick((_label, _label, _sign, _sign, _dots, _noise, _bars))
        _pasted(draw, paper, kind(draw))
    return np.asarray(paper, np.float32) / 255


def word(draw: Draw) -> str:
    """Returns a word of random letters."""
    return "".join(draw.pick(_SYLLABLES) for _ in range(draw.whole(1, 3))).upper()


def _ink(draw: Draw) -> tuple[int, int, int]:
    r, g, b = (color(draw, draw.pick(("paint", "toy"))) * 255).astype(int).tolist()
    return r, g, b


def _blank(
    draw: Draw, wide: int, high: int
) -> tuple[Image.Image, tuple[int, int, int]]:
    base = color(draw, draw.pick(("paper", "toy", "paint", "wall")))
    r, g, b = (base * 255).astype(int).tolist()
    dark = lighter(base, -0.55 if base.mean() > 0.45 else 0.55)
    red, green, blue = (dark * 255).astype(int).tolist()
    return Image.new("RGB", (wide, high), (r, g, b)), (red, green, blue)


def _pasted(draw: Draw, paper: Image.Image, stamp: Image.Image) -> None:
    """Pastes a stamp at a random place; the picture is periodic."""
    x, y = draw.whole(0, SIDE - 1), draw.whole(0, SIDE - 1)
    mask = stamp.getchannel("A") if stamp.mode == "RGBA" else None
    for left in (x, x - SIDE):
        for top in (y, y - SIDE):
            paper.paste(stamp.convert("RGB"), (left, top), mask)


def _stripes(draw: Draw, paper: Image.Image) -> None:
    pen, ink = ImageDraw.Draw(paper), _ink(draw)
    flat, at = draw.chance(0.6), draw.whole(0, SIDE)
    for _ in range(draw.whole(1, 3)):
        wide = draw.whole(8, 60)
        ends = (0, at, SIDE, at + wide) if flat else (at, 0, at + wide, SIDE)
        pen.rectangle(ends, fill=ink)
        at = (at + wide + draw.whole(8, 60)) % SIDE


def _label(draw: Draw) -> Image.Image:
    """Returns a frame with a word and lines of small print."""
    wide, high = draw.whole(90, 200), draw.whole(70, 150)
    stamp, ink = _blank(draw, wide, high)
    pen = ImageDraw.Draw(stamp)
    if draw.chance(0.6):
        pen.rectangle((4, 4, wide - 5, high - 5), outline=ink, width=3)
    pen.text((12, 8), word(draw), fill=ink, font=_font(draw.whole(22, 44)))
    for y in range(60, high - 12, 10):
        pen.line((12, y, draw.whole(wide // 2, wide - 12), y), fill=ink, width=3)
    return stamp


def _sign(draw: Draw) -> Image.Image:
    """Returns a large letter or number on a transparent ground."""
    text = draw.pick(_LETTERS) if draw.chance(0.5) else str(draw.whole(1, 99))
    size = draw.whole(60, 150)
    stamp = Image.new("RGBA", (size * max(1, len(text)), size + size // 4))
    pen = ImageDraw.Draw(stamp)
    pen.text((size // 10, 0), text, fill=(*_ink(draw), 255), font=_font(size))
    return stamp


def _dots(draw: Draw) -> Image.Image:
    """Returns concentric discs."""
    side = draw.whole(50, 120)
    stamp = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(stamp)
    for step in range(draw.whole(1, 4)):
        inset = step * side // 9
        box = (inset, inset, side - 1 - inset, side - 1 - inset)
        pen.ellipse(box, fill=(*_ink(draw), 255))
    return stamp


def _noise(draw: Draw) -> Image.Image:
    """Returns framed noise that looks like a photograph."""
    side = 128
    share = noise.layered(draw.rng, side, 3, octaves=5)[..., None]
    first, second = color(draw, "paint"), color(draw, "leaf")
    picture = (first * (1 - share) + second * share) * 255
    stamp = Image.fromarray(picture.astype(np.uint8))
    ImageDraw.Draw(stamp).rectangle(
        (0, 0, side - 1, side - 1), outline="white", width=6
    )
    return stamp


def _bars(draw: Draw) -> Image.Image:
    """Returns a bar code."""
    wide, high = draw.whole(70, 120), draw.whole(40, 70)
    stamp = Image.new("RGB", (wide, high), (245, 245, 240))
    pen, x = ImageDraw.Draw(stamp), 6
    while x < wide - 8:
        bar = draw.whole(1, 4)
        pen.rectangle((x, 5, x + bar - 1, high - 6), fill=(20, 20, 20))
        x += bar + draw.whole(2, 5)
    return stamp


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
