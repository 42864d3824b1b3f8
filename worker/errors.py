"""Errors of scenes, of assets, and of the storage that holds them."""

from __future__ import annotations

import errno

# Errors that a file's name or its absence can cause. All others are the machine's.
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
"""Maximum characters of an error's message, which may quote untrusted files."""
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
    """The storage or the disk failed; no asset is at fault."""

    def __init__(self, message: str):
        super().__init__(_cut(message, MESSAGE))


class UnseenError(Exception):
    """The poses after physics cannot be shown; another scene can be sampled."""


def is_machine_fault(error: BaseException) -> bool:
    """Returns whether the machine, not a file, caused an error: a full disk, say."""
    return (
        isinstance(error, OSError)
        and error.errno is not None
        and error.errno not in _NAMES
    )


def blamed(
    asset_id: str, what: str, error: Exception, place: object = ""
) -> AssetError | StorageError:
    """Returns an error that blames a failed read on the asset or on the storage.

    Args:
      asset_id: the asset.
      what: what failed, such as "cannot be read".
      error: the cause.
      place: the location of the asset's file, for errors of the storage.
    """
    reason = describe(error)
    if is_machine_fault(error):
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
    """Returns the repr of a value from a file or manifest, shortened if it is long."""
    text = value[: 2 * _QUOTED] if isinstance(value, (str, bytes)) else value
    return _cut(repr(text), _QUOTED)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
