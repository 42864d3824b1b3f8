"""PNG in and out, with what comes in held to the expected kind."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from dyso.records.errors import RecordError

_MODES = {("uint8", 1): "L", ("uint8", 3): "RGB", ("uint16", 1): "I;16"}
# The largest side that a spec allows; keeps damaged headers from asking for more.
_MAX_SIDE = 8192


def encode_png(image: Shaped[np.ndarray, "H W C"]) -> bytes:
    """Encodes a uint8 image of 1 or 3 channels, or a uint16 image of one."""
    file = io.BytesIO()
    # `optimize` is zlib's level 9: 2 % smaller, and decodes as fast.
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
        file, format="PNG", optimize=True
    )
    return file.getvalue()


def decode_png(data: bytes, dtype: str, channels: int) -> Shaped[np.ndarray, "H W C"]:
    """Decodes what `encode_png` wrote.

    Raises:
      RecordError: it is not a PNG of this dtype and number of channels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.mode != _MODES[dtype, channels] or max(image.size) > _MAX_SIDE:
                raise RecordError(
                    f"expected a {dtype} image with {channels} channels, "
                    f"got mode {image.mode} and size {image.size}"
                )
            array = np.asarray(image)
    # Pillow's decoder answers damaged data with any of these.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise RecordError(f"not a PNG: {error}") from error
    return array.reshape(*array.shape[:2], channels)
