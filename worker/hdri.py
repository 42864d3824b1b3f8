"""Checks HDRI files and reduces them to the resolution that images can show."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import OpenEXR
from PIL import Image

from .convert import Converted
from .errors import AssetError
from .pictures import MAX_HDRI_PIXELS, measure

NAME = "environment.exr"
MIN_WIDTH = 64
HALF = 65504.0
"""The largest value of half precision."""
_ROUND = 0.01
"""Tolerance of a panorama's aspect ratio of 2:1."""


def convert_hdri(asset_id: str, path: Path, width: int) -> Converted:
    """Reads a Radiance or OpenEXR file.

    Args:
      asset_id: the asset's id, for error messages.
      path: the file, an equirectangular panorama.
      width: pixels; wider ones are reduced to it, by the mean of what is merged.

    Raises:
      AssetError: it cannot be read, is too large, is no panorama, is black, or has
        values that are not finite.
    """
    with path.open("rb") as file:
        # Decoding takes 4 bytes or more per pixel, so larger images are refused.
        measure(asset_id, file, 4 * MAX_HDRI_PIXELS)
        file.seek(0)
        radiance = file.read(2) == b"#?"
    try:
        pixels = _radiance(path) if radiance else _openexr(path)
    except (OSError, RuntimeError, TypeError, ValueError, IndexError) as error:
        raise AssetError(asset_id, f"cannot be read: {error}") from error
    height, source_width = pixels.shape[:2]
    if abs(source_width / height - 2) > 2 * _ROUND or source_width < MIN_WIDTH:
        raise AssetError(
            asset_id,
            f"has {height} x {source_width} pixels (height x width): a panorama is "
            f"twice as wide as high, and at least {MIN_WIDTH} pixels wide",
        )
    if not np.isfinite(pixels).all():
        raise AssetError(asset_id, "has pixels that are not finite")
    pixels = np.maximum(pixels, 0)  # Sharpening filters leave negative values.
    if not pixels.max() > 0:
        raise AssetError(asset_id, "is black")
    if source_width > width:
        pixels = _reduce(pixels, width)
    return Converted(
        files={NAME: encode(pixels)},
        kwargs={"filename": f"{{asset_dir}}/{NAME}"},
        metadata={
            "resolution": [pixels.shape[1], pixels.shape[0]],
            "source_resolution": [source_width, height],
        },
    )


def _reduce(pixels: np.ndarray, width: int) -> np.ndarray:
    size = (width, width // 2)
    channels = [
        Image.fromarray(pixels[..., i]).resize(size, Image.Resampling.BOX)
        for i in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], -1)


def encode(pixels: np.ndarray) -> bytes:
    """Returns an OpenEXR file of radiance [H, W, 3]."""
    # A sun may exceed the range of half precision.
    kind = np.float16 if pixels.max() <= HALF else np.float32
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        OpenEXR.File(header, {"RGB": pixels.astype(kind)}).write(str(path))
        return path.read_bytes()


def _openexr(path: Path) -> np.ndarray:
    """Returns [H, W, 3] of the first layer that has colours."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        for prefix in sorted({name.rpartition(".")[0] for name in channels}):
            dot = prefix and f"{prefix}."
            names = [f"{dot}{c}" for c in "RGB"]
            if f"{dot}Y" in channels and names[0] not in channels:
                names = [f"{dot}Y"] * 3
            if set(names) <= channels.keys():
                planes = [np.asarray(channels[name].pixels) for name in names]
                return np.stack(planes, -1).astype(np.float32)
    raise ValueError("has no channels R, G and B")


def _radiance(path: Path) -> np.ndarray:
    """Returns [H, W, 3] of a Radiance file: run-length encoded RGB and exponent.

    The format is described in "Radiance File Formats", G. Ward.
    """
    data = path.read_bytes()
    head, _, rest = data.partition(b"\n\n")
    size, _, body = rest.partition(b"\n")
    match = re.fullmatch(rb"-Y (\d{1,6}) \+X (\d{1,6})\s*", size)
    if b"32-bit_rle_rgbe" not in head or not match:
        raise ValueError("not of rows from the top of RGBE")
    height, width = int(match[1]), int(match[2])
    rows = np.empty((height, width, 4), np.uint8)
    at = 0
    for y in range(height):
        mark = bytes((2, 2, width >> 8, width & 255))
        if 8 <= width < 32768 and body[at : at + 4] == mark:
            at = _row(body, at + 4, rows[y])
        else:
            flat = np.frombuffer(body, np.uint8, width * 4, at)
            rows[y], at = flat.reshape(width, 4), at + width * 4
    # The exponent has a bias of 128, the mantissa 8 fractional bits.
    scale = np.ldexp(1.0, rows[..., 3].astype(np.int32) - 136)
    scale[rows[..., 3] == 0] = 0
    return (rows[..., :3] * scale[..., None]).astype(np.float32)


def _row(body: bytes, at: int, row: np.ndarray) -> int:
    """Unpacks a row [W, 4] channel by channel; returns the offset of the next row."""
    width = len(row)
    for channel in range(4):
        x, values = 0, bytearray()
        while x < width:
            count = body[at]
            if count > 128:
                values += body[at + 1 : at + 2] * (count - 128)
                at += 2
            else:
                values += body[at + 1 : at + 1 + count]
                at += 1 + count
            if len(values) <= x or len(values) > width:
                raise ValueError("a run that is empty or too long")
            x = len(values)
        row[:, channel] = values
    return at
