"""Reports as one self-contained HTML page: tables, and pictures with captions."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

SIDE = 112
"""Height of a page's views, in its pixels."""
_MAP = np.array(  # from near to far
    [[22, 17, 50], [92, 35, 108], [178, 60, 96], [237, 123, 62], [252, 222, 139]], float
)
_STYLE = """
:root { --ground: #f6f5f2; --line: #dedcd6; --text: #1c1d20; --quiet: #666a70;
  color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ground: #0e0f11; --line: #2a2d32;
  --text: #ecece8; --quiet: #9a9da3; } }
body { background: var(--ground); color: var(--text); margin: 0 auto;
  padding: 24px; max-width: 1280px; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 17px; margin: 36px 0 8px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { max-width: 75ch; margin: 8px 0; } .quiet { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: 5px 14px 5px 0; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td.number { font-variant-numeric: tabular-nums; }
img { display: block; image-rendering: pixelated; max-width: 100%; height: auto; }
.strip { display: flex; flex-wrap: wrap; gap: 10px 6px; margin: 0 0 22px; }
.strip figure { font-size: 12px; line-height: 1.3; color: var(--quiet);
  max-width: 100%; }
.strip figcaption { padding-top: 3px; }
.maps { display: flex; gap: 40px; flex-wrap: wrap; } figure { margin: 0; }
"""


def document(title: str, parts: Sequence[str]) -> str:
    """Returns the page; empty parts are left out.

    Args:
      title: of the window, as plain text.
      parts: HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Returns a table, which scrolls if it is wider than the window.

    Args:
      head: the columns' titles, HTML.
      body: the cells of each row, HTML.
    """
    rows = "".join(
        "<tr>" + "".join(f'<td class="number">{cell}</td>' for cell in row) + "</tr>"
        for row in body
    )
    titles = "".join(f"<th>{title}</th>" for title in head)
    return f'<div class="wide"><table><tr>{titles}</tr>{rows}</table></div>'


def strip(pictures: Sequence[tuple[str, np.ndarray]], height: int = SIDE) -> str:
    """Returns pictures with captions, in as many lines as the window needs.

    Args:
      pictures: captions, HTML, and images [H, W, 3] in [0, 1].
      height: of the pictures on the page.
    """
    figures = "".join(
        f'<figure style="width: {width_of(image, height)}px">{picture(image, height)}'
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, image in pictures
    )
    return f'<div class="strip">{figures}</div>'


def width_of(image: np.ndarray, height: int) -> int:
    """Returns an image's width on the page."""
    return round(height * image.shape[1] / image.shape[0])


def picture(image: np.ndarray, height: int = SIDE) -> str:
    """Returns an image [H, W, 3] in [0, 1] as an HTML element."""
    file = io.BytesIO()
    pixels = (255 * np.clip(image, 0, 1) + 0.5).astype(np.uint8)
    Image.fromarray(pixels).save(
        file, format="WEBP", quality=90, lossless=height > SIDE
    )
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<img alt="" width="{width_of(image, height)}" height="{height}" '
        f'src="data:image/webp;base64,{data}">'
    )


def heat(values: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Returns values [H, W] as an image [H, W, 3] in [0, 1], from dark to light.

    Args:
      values: at least 0.
      largest: the lightest value; None is the largest of all.
    """
    largest = max(values.max() if largest is None else largest, 1e-9)
    share = np.clip(values / largest, 0, 1) * (len(_MAP) - 1)
    channels = [np.interp(share, np.arange(len(_MAP)), each) for each in _MAP.T]
    return np.stack(channels, axis=-1) / 255
