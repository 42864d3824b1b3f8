"""Image files, measured by their headers before Blender decodes them."""

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
"""Of an object's textures together: eight of 4096 x 4096, which take half a GB."""
MAX_HDRI_PIXELS = 1 << 25
"""4096 x 8192, for which the worker takes 3.5 GB at its peak."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA")


def check_pictures(asset_id: str, folder: Path, item: bpy.types.Object) -> None:
    """Looks at the textures of an imported object, which are not decoded yet.

    Args:
      asset_id: whose it is, for errors.
      folder: that of the imported copy, see `references.clean_copy`.
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
            raise AssetError(asset_id, f"its texture {image.name} is no single image")
        if image.packed_file is not None:
            data = io.BytesIO(image.packed_file.data)
            left -= measure(asset_id, data, left)
            continue
        path = Path(image.filepath_from_user())
        if path.parent != folder:
            name = quote(image.filepath)
            raise AssetError(asset_id, f"its texture {name} is outside of it")
        if path.is_file():
            with path.open("rb") as file:
                left -= measure(asset_id, file, left)


def measure(asset_id: str, file: BinaryIO, most: int) -> int:
    """Gives the number of pixels of an image, of four channels each.

    Args:
      asset_id: whose it is, for errors.
      file: from its start; PNG, JPEG, WebP, TIFF, BMP, TGA, OpenEXR or Radiance HDR.
      most: how many it may have.

    Raises:
      AssetError: it is none of these, or larger.
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
                warnings.simplefilter("ignore")  # of sizes and metadata
                with open_image(file, _FORMATS) as image:
                    pixels = math.prod(image.size)
    except Image.DecompressionBombError as error:
        raise AssetError(asset_id, f"has too large an image: {error}") from error
    except UnidentifiedImageError as error:
        raise AssetError(asset_id, "cannot be read as an image") from error
    # What damaged headers bring out of the decoders.
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
    # Where Blender looks for the size, and nowhere else.
    _, _, size = file.read(1 << 14).partition(b"\n\n")
    found = re.match(rb"\s*\S+\s+(\d{1,9})\s+\S+\s+(\d{1,9})\s", size)
    if not found:
        raise ValueError("has no size")
    return int(found[1]) * int(found[2])
