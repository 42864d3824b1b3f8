"""Opens image files, of the formats that no program but Pillow itself decodes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA", "GIF")
"""That may be opened. By itself Pillow takes every file for what its content says, and
hands EPS to Ghostscript, which runs it."""

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # where warnings are errors
)
"""With any of these Pillow answers a damaged or an oversized file."""


def open_image(
    file: Path | BinaryIO, formats: Collection[str] = FORMATS
) -> Image.Image:
    """Reads an image's header; the pixels are decoded when they are asked for.

    Args:
      file: a path, or a file from its start.
      formats: that it may have, of `FORMATS`.

    Raises:
      PIL.UnidentifiedImageError: it is none of them.
    """
    allowed = [form for form in formats if form in FORMATS]
    return Image.open(file, formats=allowed)
