"""Local folders for a while, which nobody has to remember: the dead hold no locks."""

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
def made(parent: Path) -> Iterator[Path]:
    """Makes a folder in `parent`, and removes it at the end."""
    # Under another name until it is locked, so that `clean` cannot meet it before.
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
        # Somebody may remove the empty parent just now.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=parent))
    raise FileNotFoundError(f"{parent}: is removed again and again")


def clean(parent: Path) -> None:
    """Removes the folders in `parent` whose makers are dead."""
    for folder in parent.glob(f"{_PREFIX}*"):
        # Gone meanwhile, another user's, or in use.
        with contextlib.suppress(OSError), (folder / _LOCK).open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
