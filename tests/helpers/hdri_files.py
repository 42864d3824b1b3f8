"""HDRIs in the two formats that people have them in."""

from pathlib import Path

import numpy as np
import OpenEXR


def sky(height: int = 64) -> np.ndarray:
    """A panorama [H, 2H, 3]: red on the left, grey on the right, and a sun."""
    pixels = np.full((height, 2 * height, 3), 0.5, np.float32)
    pixels[:, :height] = (2, 0.125, 0.125)
    pixels[height // 4, height // 4] = 49920
    return pixels


def write_exr(path: Path, pixels: np.ndarray, layer: str = "") -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    channels = {f"{layer}{c}": pixels[..., i].copy() for i, c in enumerate("RGB")}
    OpenEXR.File(header, channels).write(str(path))


def write_hdr(path: Path, pixels: np.ndarray, packed: bool = True) -> None:
    """Radiance's format, whose numbers are mantissas of 8 bits."""
    height, width = pixels.shape[:2]
    _, exponents = np.frexp(pixels.max(-1))
    values = np.empty((height, width, 4), np.uint8)
    values[..., :3] = np.ldexp(pixels, 8 - exponents[..., None])
    values[..., 3] = exponents + 128
    text = b"#?RADIANCE\n# made\nFORMAT=32-bit_rle_rgbe\n\n"
    text += b"-Y %d +X %d\n" % (height, width)
    for row in values:
        if packed:
            text += bytes((2, 2, width >> 8, width & 255))
            text += b"".join(map(_runs, row.T))
        else:
            text += row.tobytes()
    path.write_bytes(text)


def _runs(row: np.ndarray) -> bytes:
    """Runs where there are some, else at most five bytes as they are."""
    made, at = bytearray(), 0
    while at < len(row):
        same = int(np.argmax(np.append(row[at : at + 127] != row[at], True)))
        if same >= 3:
            made += bytes((128 + same, row[at]))
            at += same
        else:
            some = bytes(row[at : at + 5])
            made += bytes((len(some),)) + some
            at += len(some)
    return bytes(made)
