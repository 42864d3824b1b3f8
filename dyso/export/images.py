"""Lossless image encoders: PNG and floating-point TIFF."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def png(image: np.ndarray) -> bytes:
    """Encodes an image [H, W, C]: uint8 with 1, 3 or 4 channels, or uint16 with 1."""
    return _encode(image.squeeze(-1) if image.shape[-1] == 1 else image, format="PNG")


def float_tiff(image: np.ndarray) -> bytes:
    """Encodes an image float32 [H, W, 1] as a TIFF, which Pillow opens in mode F."""
    return _encode(image.squeeze(-1), format="TIFF", compression="tiff_adobe_deflate")


def rgb16_png(image: np.ndarray) -> bytes:
    """Encodes an image uint16 [H, W, 3], which Pillow cannot.

    See the PNG specification, section 11.2.
    """
    height, width, _ = image.shape
    rows = image.astype(">u2").view(np.uint8).reshape(height, -1)
    # Filter 2, "up": the difference to the row above, modulo 256.
    filtered = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    lines = np.concatenate([np.full((height, 1), 2, np.uint8), filtered], axis=1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes())),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _encode(image: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, **options)
    return file.getvalue()
