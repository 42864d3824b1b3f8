"""Lossless image encoders: PNG and floating-point TIFF."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def png(image: np.ndarray) -> bytes:
    """Encodes an image [H, W, C]: uint8 with 1, 3 or 4 channels, or uint16 with 1."""
    return _encode(image.squeeze(-1) if image.shape[-1] == 1 else image, format="PNG")


def float_tiff(image: np.ndarray) -> bytes:
    """Encodes an image float32 [H, W, 1] as a TIFF, which Pillow opens in mode F."""
    return _encode(image.squeeze(-1), format="TIFF", compression="tiff_adobe_deflate")


def _encode(image: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, **options)
    return file.getvalue()
