"""Encodes and decodes lossless images; decoding checks the kind and the size.

Three channels are stored as WebP, which is a quarter smaller than PNG for rendered
colour and decodes faster. One channel is stored as PNG: WebP has no such mode.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from dyso.images import DAMAGED, open_image
from dyso.records.errors import RecordError

# Pillow's mode and the file's format by dtype and number of channels.
_KINDS = {
    ("uint8", 1): ("L", "PNG"),
    ("uint8", 3): ("RGB", "WEBP"),
    ("uint16", 1): ("I;16", "PNG"),
}
_OPTIONS: dict[str, dict[str, Any]] = {
    # Zlib's level 9 makes depth 5 % smaller but takes five times as long.
    "PNG": {"compress_level": 7},
    # Method 4 makes colour 3 % smaller but takes more than twice as long.
    "WEBP": {"lossless": True, "method": 2, "quality": 50},
}
# The largest side that a spec allows, so that a damaged header cannot request more.
_MAX_SIDE = 8192


def encode_image(image: Shaped[np.ndarray, "H W C"]) -> bytes:
    """Encodes a uint8 image of 1 or 3 channels, or a uint16 image of one."""
    _, form = _KINDS[str(image.dtype), image.shape[-1]]
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
        file, format=form, **_OPTIONS[form]
    )
    return file.getvalue()


def decode_image(
    data: bytes, dtype: str, channels: int, size: tuple[int, int] | None = None
) -> Shaped[np.ndarray, "H W C"]:
    """Decodes an image written by `encode_image`.

    Args:
      data: the file.
      dtype: `uint8` or `uint16`.
      channels: the number of channels.
      size: the required height and width, if known.

    Raises:
      RecordError: the data is not such an image; other sizes are not decoded.
    """
    mode, form = _KINDS[dtype, channels]
    try:
        with open_image(io.BytesIO(data), (form,)) as image:
            if image.mode != mode or max(image.size) > _MAX_SIDE:
                raise RecordError(
                    f"expected a {dtype} image with {channels} channels, "
                    f"got mode {image.mode} and size {image.size}"
                )
            if size is not None and image.size != size[::-1]:
                raise RecordError(f"expected size {size[::-1]}, got {image.size}")
            array = np.asarray(image)
    except DAMAGED as error:
        raise RecordError(f"not a {form} image: {error}") from error
    return array.reshape(*array.shape[:2], channels)
