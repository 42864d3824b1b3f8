"""Temporary folders; those of killed processes are recognized by released locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "dyso-scratch-"
_LOCK = ".lock"


@contextlib.contextmanager
def tempdir(parent: Path) -> Iterator[Path]:
    """Creates a folder in `parent` and removes it at the end."""
    with contextlib.ExitStack() as stack:
        folder = _create(parent, stack)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _create(parent: Path, stack: contextlib.ExitStack) -> Path:
    """Returns a new folder, which is locked until the stack is closed."""
    for _ in range(10):
        # Until it is locked, `clean` may remove it, and its parent if that is empty.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            lock = stack.enter_context((folder / _LOCK).open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat((folder / _LOCK).stat(), os.fstat(lock.fileno())):
                return folder
    raise FileNotFoundError(f"{parent}: was removed repeatedly while it was in use")


def clean(parent: Path) -> None:
    """Removes the folders in `parent` whose processes have ended."""
    for folder in parent.glob(f"{_PREFIX}*"):
        # Errors: it was removed meanwhile, belongs to another user, or is in use.
        with contextlib.suppress(OSError):
            if not (folder / _LOCK).exists():
                folder.rmdir()
                continue
            with (folder / _LOCK).open("rb+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
