"""Measures image files by their headers, before Blender decodes them."""

from __future__ import annotations

import io
import math
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import OpenEXR
from PIL import Image, UnidentifiedImageError

from dyso.images import open_image

from .errors import AssetError, quote

if TYPE_CHECKING:
    import bpy

MAX_PIXELS = 1 << 27
"""Maximum total of an object's textures: eight of 4096 x 4096, which take 0.5 GB."""
MAX_HDRI_PIXELS = 1 << 25
"""Maximum of an HDRI: 4096 x 8192, for which the worker takes up to 3.5 GB."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA")


def check_pictures(asset_id: str, folder: Path, item: bpy.types.Object) -> None:
    """Checks the textures of an imported object before they are decoded.

    Args:
      asset_id: the asset's id, for error messages.
      folder: the folder of the imported copy, see `untrusted_meshes.clean_copy`.
      item: the object.

    Raises:
      AssetError: a texture is outside of the folder, too large, or of a kind that is
        not measured. One that is missing is no error: Blender shows its own colour.
    """
    images = {
        node.image
        for slot in item.material_slots
        if slot.material is not None and slot.material.node_tree is not None
        for node in slot.material.node_tree.nodes
        if node.bl_idname == "ShaderNodeTexImage" and node.image is not None
    }
    left = MAX_PIXELS
    for image in sorted(images, key=lambda image: image.name):
        if image.source not in ("FILE", "GENERATED"):
            raise AssetError(
                asset_id, f"its texture {image.name} is not a single image"
            )
        if image.packed_file is not None:
            data = io.BytesIO(image.packed_file.data)
            left -= measure(asset_id, data, left)
            continue
        path = Path(image.filepath_from_user())
        if path.parent != folder:
            name = quote(image.filepath)
            raise AssetError(asset_id, f"its texture {name} is outside its folder")
        if path.is_file():
            with path.open("rb") as file:
                left -= measure(asset_id, file, left)


def measure(asset_id: str, file: BinaryIO, most: int) -> int:
    """Returns the number of pixels of an image, counted as four channels each.

    Args:
      asset_id: the asset's id, for error messages.
      file: an open file at its start, in one of the formats PNG, JPEG, WebP, TIFF, BMP,
        TGA, OpenEXR and Radiance HDR.
      most: the maximum number of pixels.

    Raises:
      AssetError: the image has another format, or more pixels.
    """
    magic = file.read(4)
    file.seek(0)
    try:
        if magic == b"\x76\x2f\x31\x01":
            pixels = _openexr(file)
        elif magic[:2] == b"#?":
            pixels = _radiance(file)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about sizes and metadata
                with open_image(file, _FORMATS) as image:
                    pixels = math.prod(image.size)
    except Image.DecompressionBombError as error:
        raise AssetError(asset_id, f"has too large an image: {error}") from error
    except UnidentifiedImageError as error:
        raise AssetError(asset_id, "cannot be read as an image") from error
    # Errors that the decoders raise for damaged headers.
    except (OSError, RuntimeError, SyntaxError, TypeError, ValueError) as error:
        raise AssetError(asset_id, f"cannot be read as an image: {error}") from error
    if pixels > most:
        raise AssetError(asset_id, f"an image of {pixels} pixels is more than {most}")
    return pixels


def _openexr(file: BinaryIO) -> int:
    total = 0
    for part in OpenEXR.File(file, header_only=True).parts:
        windows = part.header["dataWindow"], part.header["displayWindow"]
        size = max(
            (int(high[0]) - int(low[0]) + 1) * (int(high[1]) - int(low[1]) + 1)
            for low, high in windows
        )
        total += size * math.ceil(len(part.header["channels"]) / 4)
    return total


def _radiance(file: BinaryIO) -> int:
    # Blender also reads the size from this position only.
    _, _, size = file.read(1 << 14).partition(b"\n\n")
    match = re.match(rb"\s*\S+\s+(\d{1,9})\s+\S+\s+(\d{1,9})\s", size)
    if not match:
        raise ValueError("has no size")
    return int(match[1]) * int(match[2])
