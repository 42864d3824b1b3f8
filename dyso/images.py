"""Opens image files, only in formats that Pillow decodes without external programs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA", "GIF")
"""Formats that may be opened. By default, Pillow detects the format from the content,
and it passes EPS files to Ghostscript, which executes them."""

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # raised if warnings are errors
)
"""Exceptions that Pillow raises for damaged or oversized files."""


def open_image(
    file: Path | BinaryIO, formats: Collection[str] = FORMATS
) -> Image.Image:
    """Reads an image's header; the pixels are decoded on first access.

    Args:
      file: a path, or a file object at its start.
      formats: the accepted formats, a subset of `FORMATS`.

    Raises:
      PIL.UnidentifiedImageError: the file has none of the formats.
    """
    allowed = [name for name in formats if name in FORMATS]
    return Image.open(file, formats=allowed)
