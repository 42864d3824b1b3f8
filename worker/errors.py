"""What can be wrong with a scene and its assets, and with where they are kept."""

from __future__ import annotations

import errno

# What a file's own name, or its absence, may bring; the rest is the machine's doing.
_NAMES = {
    errno.EACCES,
    errno.EEXIST,
    errno.EILSEQ,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
}

MESSAGE = 300
"""Characters of an error's message: parts of it come out of the files themselves."""
_QUOTED = 80


class AssetError(Exception):
    """An asset is missing or cannot be used.

    Attributes:
      asset: its id.
    """

    def __init__(self, asset: str, message: str):
        super().__init__(f"{asset}: {_cut(message, MESSAGE)}")
        self.asset = asset


class StorageError(Exception):
    """The storage or the disk failed, which is no asset's fault."""

    def __init__(self, message: str):
        super().__init__(_cut(message, MESSAGE))


class UnseenError(Exception):
    """What physics made of a scene cannot be shown; another may be sampled."""


def is_machines(error: BaseException) -> bool:
    """Says whether an error is the machine's, such as a full disk, not a file's."""
    return (
        isinstance(error, OSError)
        and error.errno is not None
        and error.errno not in _NAMES
    )


def blamed(
    asset_id: str, what: str, error: Exception, place: object = ""
) -> AssetError | StorageError:
    """Returns whose fault an error is that came while an asset was being read.

    Args:
      asset_id: the asset.
      what: happened to it, such as "cannot be read".
      error: why.
      place: where the asset's file is kept, for errors of the storage.
    """
    reason = describe(error)
    if is_machines(error):
        where = place or getattr(error, "filename", None) or asset_id
        return StorageError(f"{where}: {what}: {reason}")
    return AssetError(asset_id, f"{what}: {reason}")


def describe(error: Exception) -> str:
    """Returns an error as a short line, with the file's name if it has one."""
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f": {quote(error.filename)}"
        return f"{error.strerror}{name}"
    return _cut(" ".join(str(error).split()), MESSAGE // 2)


def quote(value: object) -> str:
    """Returns the repr of what a file or manifest says, cut where it is long."""
    text = value[: 2 * _QUOTED] if isinstance(value, (str, bytes)) else value
    return _cut(repr(text), _QUOTED)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
