"""Strangers' archives: plain files alone, in one folder, within bounds."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from dyso.assets.manifest import is_inside

from .errors import AssetError, StorageError, is_machines

# A mesh of a million triangles is about 100 MB of OBJ, a 4k texture 50 MB at most, a
# 16k HDRI 400 MB: what people render with stays well below.
MAX_BYTES = 1 << 30
"""Of an archive, and of all that it unpacks to."""
MAX_FILES = 4096
"""Files and folders in an archive; ShapeNet's and GSO's have tens, at most hundreds."""
MAX_DEPTH = 16
"""Folders within folders."""
_CHUNK = 1 << 20


def unpack(asset_id: str, archive: Path, folder: Path, checksum: str = "") -> None:
    """Unpacks a .tar.gz; leaves `folder` half made where it raises.

    Args:
      asset_id: whose it is, for errors.
      archive: the file.
      folder: is made.
      checksum: sha256 in hexadecimal, of the archive or of its content (see
        `_extract`); empty for none.

    Raises:
      AssetError: it is damaged, past a bound, has another checksum, or has anything
        but plain files and folders that stay inside.
      StorageError: the disk is full, or fails.
    """
    plain = folder.with_name(f"{folder.name}.tar")
    try:
        folder.mkdir(parents=True)
        with gzip.open(archive, "rb") as zipped, plain.open("wb") as unzipped:
            copy(asset_id, zipped, unzipped)
        with plain.open("rb") as file:
            sips: Any = _Sips(file)
            with tarfile.open(fileobj=sips, mode="r:") as tar:
                found = _extract(asset_id, tar, folder)
    except (
        tarfile.TarError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        RecursionError,
        zlib.error,
    ) as error:
        if is_machines(error):
            raise StorageError(f"{archive}: cannot be unpacked: {error}") from error
        raise AssetError(asset_id, f"is no whole .tar.gz: {error}") from error
    finally:
        plain.unlink(missing_ok=True)
    if checksum and checksum != found:
        with archive.open("rb") as whole:
            found = hashlib.file_digest(whole, "sha256").hexdigest()
        if checksum != found:
            raise AssetError(asset_id, f"its sha256 is not the manifest's, {checksum}")


def copy(asset_id: str, source: BufferedIOBase | BinaryIO, target: BinaryIO) -> None:
    """Copies what is left of a file, up to `MAX_BYTES`.

    Raises:
      AssetError: there is more.
    """
    left = MAX_BYTES
    while data := source.read(_CHUNK):
        left -= len(data)
        if left < 0:
            raise AssetError(asset_id, f"has more than {MAX_BYTES} bytes")
        target.write(data)


class _Sips:
    """A file that is read in sips: a tar's header may ask for any amount at once."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _CHUNK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def _extract(asset_id: str, tar: tarfile.TarFile, folder: Path) -> str:
    """Gives the sha256 over the files in order: name, zero, length, zero, bytes."""
    digest = hashlib.sha256()
    for count, member in enumerate(tar):
        name = PurePosixPath(member.name)
        if count >= MAX_FILES:
            raise AssetError(asset_id, f"has more than {MAX_FILES} files")
        if not is_inside(member.name) or len(name.parts) > MAX_DEPTH:
            raise AssetError(asset_id, f"has a file outside its folder: {name}")
        if member.isdir():
            (folder / name).mkdir(parents=True, exist_ok=True)
            continue
        if not member.isreg() or member.issparse() or member.size < 0:
            raise AssetError(asset_id, f"{name} is not a plain file")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        digest.update(
            f"{member.name}\0{member.size}\0".encode(errors="surrogateescape")
        )
        source = tar.extractfile(member)
        assert source is not None
        with source, (folder / name).open("wb") as target:
            while data := source.read(_CHUNK):
                digest.update(data)
                target.write(data)
    return digest.hexdigest()
