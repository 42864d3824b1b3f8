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
    # It gets its final name once it is locked, so that `clean` never sees it unlocked.
    new = _mkdtemp(parent)
    folder = new.with_name(_PREFIX + new.name)
    with (new / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(new, folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _mkdtemp(parent: Path) -> Path:
    for _ in range(10):
        # Another process may remove the empty parent at the same time.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=parent))
    raise FileNotFoundError(f"{parent}: was removed repeatedly while it was in use")


def clean(parent: Path) -> None:
    """Removes the folders in `parent` whose processes have ended."""
    for folder in parent.glob(f"{_PREFIX}*"):
        # Errors: it was removed meanwhile, belongs to another user, or is in use.
        with contextlib.suppress(OSError), (folder / _LOCK).open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
