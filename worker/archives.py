"""Unpacks untrusted archives: only plain files, in one folder, within bounds."""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from dyso.assets.manifest import is_inside

from .errors import AssetError, blamed, quote

# A mesh of a million triangles is about 100 MB of OBJ, a 4k texture 50 MB at most, a
# 16k HDRI 400 MB: assets in use stay well below this.
MAX_BYTES = 1 << 30
"""Maximum size of an archive, and of its unpacked content."""
MAX_FILES = 4096
"""Maximum files and folders in an archive; ShapeNet and GSO have at most hundreds."""
MAX_DEPTH = 16
"""Maximum depth of nested folders."""
MAX_HEADERS = 8 << 20
"""Maximum total bytes of an archive's headers: 2 KiB for each file."""
_CHUNK = 1 << 20
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_RECORD = re.compile(rb"(\d{1,7}) [^=\n]{1,255}=")
_DIGITS = re.compile(rb"\d{100}")


def unpack(asset_id: str, archive: Path, folder: Path, checksum: str = "") -> None:
    """Unpacks a .tar.gz; if it raises, `folder` may be incomplete.

    Args:
      asset_id: the asset's id, for error messages.
      archive: the file.
      folder: the target; created here.
      checksum: sha256 in hexadecimal, of the archive or of its content (see
        `_extract`); empty for none.

    Raises:
      AssetError: it is damaged, past a bound, has another checksum, or has entries
        other than plain files and folders inside of `folder`.
      StorageError: the disk is full, or fails.
    """
    plain = folder.with_name(f"{folder.name}.tar")
    try:
        folder.mkdir(parents=True)
        with gzip.open(archive, "rb") as zipped, plain.open("wb") as unzipped:
            copy(asset_id, zipped, unzipped)
        with plain.open("rb") as file, plain.open("rb") as contents:
            headers: Any = _Headers(file)
            with tarfile.open(fileobj=headers, mode="r:") as tar:
                actual = _extract(asset_id, tar, contents, folder)
    except (
        tarfile.TarError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        RecursionError,
        zlib.error,
    ) as error:
        raise blamed(asset_id, "is not a complete .tar.gz", error, archive) from error
    finally:
        plain.unlink(missing_ok=True)
    if checksum and checksum != actual:
        with archive.open("rb") as whole:
            actual = hashlib.file_digest(whole, "sha256").hexdigest()
        if checksum != actual:
            raise AssetError(asset_id, f"its sha256 is not the manifest's, {checksum}")


def copy(asset_id: str, source: BufferedIOBase | BinaryIO, target: BinaryIO) -> None:
    """Copies the rest of a file, up to `MAX_BYTES`.

    Raises:
      AssetError: the rest is longer.
    """
    left = MAX_BYTES
    while data := source.read(_CHUNK):
        left -= len(data)
        if left < 0:
            raise AssetError(asset_id, f"has more than {MAX_BYTES} bytes")
        target.write(data)


class _Headers:
    """Reads only the headers of a tar file, within bounds.

    A header may request a read of any size. `tarfile` takes quadratic time for records
    of a wrong length and for long rows of digits.
    """

    def __init__(self, file: BinaryIO):
        self._file, self._left = file, MAX_HEADERS
        self._extended = False
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise tarfile.ReadError(f"headers of more than {MAX_HEADERS} bytes")
        data = self._file.read(size)
        if self._extended:
            _check_records(data)
        self._extended = size == tarfile.BLOCKSIZE and data[156:157] in _EXTENDED
        return data


def _check_records(data: bytes) -> None:
    """Reads an extended header: records of their length, a blank, KEY=VALUE, newline.

    Raises:
      tarfile.ReadError: it is not made of these.
    """
    at = 0
    while at < len(data) and data[at]:
        match = _RECORD.match(data, at)
        end = at + int(match[1]) if match else 0
        if not match or end < match.end() + 1 or data[end - 1 : end] != b"\n":
            raise tarfile.ReadError("a damaged extended header")
        at = end
    if _DIGITS.search(data):
        raise tarfile.ReadError("an extended header with a number of 100 digits")


def _extract(
    asset_id: str, tar: tarfile.TarFile, contents: BinaryIO, folder: Path
) -> str:
    """Returns the sha256 over the files in order: name, zero, length, zero, bytes."""
    digest = hashlib.sha256()
    for count, member in enumerate(tar):
        name = PurePosixPath(member.name)
        if count >= MAX_FILES:
            raise AssetError(asset_id, f"has more than {MAX_FILES} files")
        if not is_inside(member.name) or len(name.parts) > MAX_DEPTH:
            raise AssetError(
                asset_id, f"has a file outside its folder: {quote(member.name)}"
            )
        if member.isdir():
            (folder / name).mkdir(parents=True, exist_ok=True)
            continue
        if not member.isreg() or member.issparse() or member.size < 0:
            raise AssetError(asset_id, f"{quote(member.name)} is not a plain file")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        digest.update(
            f"{member.name}\0{member.size}\0".encode(errors="surrogateescape")
        )
        contents.seek(member.offset_data)
        left = member.size
        with (folder / name).open("wb") as target:
            while left:
                data = contents.read(min(left, _CHUNK))
                if not data:
                    raise tarfile.ReadError("unexpected end of data")
                left -= len(data)
                digest.update(data)
                target.write(data)
    return digest.hexdigest()
