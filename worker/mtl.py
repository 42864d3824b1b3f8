"""Rewrites the materials of OBJ files so that Blender shows them as intended."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from dyso.images import open_image

from .pictures import MAX_PIXELS
from .plain_files import plain_file, read_plain

MAX_SIDE = 4096
"""Maximum side of a texture in pixels; larger ones are reduced."""
_KEPT = re.compile(r"(?:K[ades]|N[is]|d|illum|P[rmsc]|Pcr|aniso|anisor)\Z")
_MAPS = re.compile(r"(?:map_\w+|bump|norm|refl|disp)\Z", re.IGNORECASE)
# A map's option takes numbers, a switch or a channel's name.
_VALUE = r"(?:[-+.\d][-+.\deE]*|on|off|[rgbmlz])(?=\s)"
_OPTIONS = re.compile(rf"(?:-[a-zA-Z_]+(?:\s+{_VALUE})*\s+)*")


@dataclass
class Materials:
    """Materials and the textures that they name.

    Attributes:
      text: the .mtl file.
      textures: image files by their names in `text`.
      names: the names of the materials.
      missing: names of textures that are missing or cannot be read.
    """

    text: str = ""
    textures: dict[str, bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)


def read_materials(
    asset_id: str, libraries: Iterable[Path], root: Path, used: set[str]
) -> Materials:
    """Reads .mtl files.

    Invisible materials are made visible, because masks and depth treat them as
    surfaces. A missing texture is replaced by the material's colour.

    Args:
      asset_id: the asset's id, for error messages.
      libraries: the files.
      root: the folder, resolved, that must contain the textures.
      used: the names of the materials in use.
    """
    read = Materials()
    pictures = _Pictures(asset_id, root)
    lines: list[str] = []
    for library in libraries:
        text = read_plain(asset_id, library).decode(errors="replace")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        blocks = re.split(r"(?m)^\s*newmtl[ \t]+(.*?)[ \t]*$", text)
        for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
            if name in used and name not in read.names:
                read.names.add(name)
                lines += [f"newmtl {name}", *_material(block, library, pictures)]
    pictures.encode()
    text = "\n".join(lines) + "\n"
    read.text = re.sub(r"(?m)^(.*)\0(\d+)\n", pictures.line, text)
    read.textures, read.missing = pictures.textures, pictures.missing
    return read


def _material(block: str, library: Path, pictures: _Pictures) -> list[str]:
    lines, opacity = [], None
    for line in block.splitlines():
        key, value = [*line.split(None, 1), "", ""][:2]
        value = value.strip()
        if key in ("d", "Tr"):
            value_opacity = _opacity(key, value)
            # Some files have both, and `d` is the one that is well defined.
            if value_opacity is not None and (key == "d" or opacity is None):
                opacity = value_opacity
        elif _KEPT.match(key) and value:
            lines.append(f"{key} {value}")
        elif _MAPS.match(key) and value:
            options = _OPTIONS.match(value)
            assert options is not None
            name = pictures.add(value[options.end() :], library)
            if name:
                lines.append(f"{key} {options[0]}{name}")
    if opacity is not None and 0 < opacity < 1:
        lines.append(f"d {opacity:.6g}")
    return lines


def _opacity(key: str, value: str) -> float | None:
    try:
        number = float(value.split()[-1])
    except (ValueError, IndexError):
        return None
    return number if key == "d" else 1 - number


class _Pictures:
    """Textures as they are met; until all are, a zero and a number stand for each."""

    def __init__(self, asset_id: str, root: Path):
        self._asset_id, self._root = asset_id, root
        self._numbers: dict[Path, int] = {}
        self._names: dict[int, str] = {}
        self.textures: dict[str, bytes] = {}
        self.missing: set[str] = set()

    def add(self, reference: str, library: Path) -> str:
        """Returns a placeholder for a texture's name; empty if the file is missing."""
        path = self._find(reference, library)
        if path is None:
            self.missing.add(reference)
            return ""
        return f"\0{self._numbers.setdefault(path, len(self._numbers))}"

    def _find(self, reference: str, library: Path) -> Path | None:
        parts = reference.strip().strip('"').replace("\\", "/").replace("\0", "")
        path = plain_file(self._root, library.parent / parts)
        if path is not None:
            return path
        # The file may have moved, or come from a case-insensitive file system.
        name = Path(parts).name.lower()
        same = (p for p in self._root.rglob("*") if p.name.lower() == name)
        return min(
            filter(None, (plain_file(self._root, p) for p in same)), default=None
        )

    def encode(self) -> None:
        """Reads all textures, within the worker's limit on their total size."""
        side = min(MAX_SIDE, math.isqrt(MAX_PIXELS // max(len(self._numbers), 1)))
        for path, number in self._numbers.items():
            try:
                suffix, data = _encode(read_plain(self._asset_id, path), side)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                self.missing.add(path.name)
                continue
            self._names[number] = f"texture_{number}{suffix}"
            self.textures[self._names[number]] = data

    def line(self, match: re.Match[str]) -> str:
        """Returns a line with the texture's name; none if the texture is missing."""
        name = self._names.get(int(match[2]))
        return f"{match[1]}{name}\n" if name else ""


def _encode(data: bytes, side: int) -> tuple[str, bytes]:
    """Returns the suffix and content of an image of at most `side` pixels per side."""
    with open_image(io.BytesIO(data)) as image:
        plain = image.mode in ("1", "L", "LA", "P", "RGB", "RGBA")
        unchanged = (
            image.format in ("PNG", "JPEG") and max(image.size) <= side and plain
        )
        image.load()
        if unchanged:
            return {"PNG": ".png", "JPEG": ".jpg"}[str(image.format)], data
        alpha = "A" in image.getbands() or "transparency" in image.info
        reduced = image.convert("RGBA" if alpha else "RGB")
        reduced.thumbnail((side, side))
        file = io.BytesIO()
        reduced.save(file, "PNG")
        return ".png", file.getvalue()
