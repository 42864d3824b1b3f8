"""What can be wrong with a scene and its assets, and with where they are kept."""

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

MESSAGE = 300  # characters


class AssetError(Exception):
    """An asset is missing or cannot be used.

    Attributes:
      asset: its id.
    """

    def __init__(self, asset: str, message: str):
        # Parts of it come out of the files themselves.
        super().__init__(f"{asset}: {message[:MESSAGE]}")
        self.asset = asset


class StorageError(Exception):
    """The storage or the disk failed, which is no asset's fault."""


class UnseenError(Exception):
    """What physics made of a scene cannot be shown; another may be sampled."""


def is_machines(error: BaseException) -> bool:
    """Says whether an error is the machine's, such as a full disk, not a file's."""
    return (
        isinstance(error, OSError)
        and error.errno is not None
        and error.errno not in _NAMES
    )
