"""Reads the regular files in an asset's folder, and nothing outside of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .archives import MAX_BYTES
from .errors import AssetError, is_machine_fault, quote


def plain_file(root: Path, path: Path) -> Path | None:
    """Returns a file's real path if it is a regular file inside of `root`, else None.

    Nothing is opened. `root` must be resolved.

    Raises:
      OSError: the machine failed, not the file.
    """
    try:
        real = path.resolve(strict=True)
        regular = stat.S_ISREG(real.lstat().st_mode)
    except (ValueError, RuntimeError):  # null characters, circular links
        return None
    except OSError as error:
        if is_machine_fault(error):
            raise
        return None
    return real if regular and real.is_relative_to(root) else None


def read_plain(asset_id: str, path: Path) -> bytes:
    """Reads a regular file and refuses others: reading a pipe may never end.

    Raises:
      AssetError: it is not a regular file, or has more than `MAX_BYTES`.
      OSError: it cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise AssetError(asset_id, f"{quote(path.name)} is not a plain file")
        if status.st_size > MAX_BYTES:
            raise AssetError(
                asset_id, f"{quote(path.name)} has more than {MAX_BYTES} bytes"
            )
        return file.read(MAX_BYTES)


def inside(asset_id: str, root: Path, folder: Path, name: str) -> Path:
    """Resolves a name in a mesh to a path.

    Raises:
      AssetError: it leads out of the asset's folder.
    """
    # Blender accepts both kinds of slash.
    path = Path(os.path.normpath(folder / name.replace("\\", "/")))
    if not path.is_relative_to(root):
        raise AssetError(asset_id, f"refers to {quote(name)}, outside its folder")
    return path
