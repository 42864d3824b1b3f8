"""Where this machine keeps what can be fetched or made again, and how much of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dyso.spec import UserError

SIZE = "DYSO_CACHE_SIZE"
DEFAULT_SIZE = "20GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def cache_folder() -> Path:
    """Gives the folder for files that can be made again: `$XDG_CACHE_HOME/dyso`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dyso"


def cache_bytes() -> int:
    """Gives the bytes that unpacked assets may take: `$DYSO_CACHE_SIZE`, or 20 GB.

    Raises:
      UserError: the variable is no size.
    """
    text = os.environ.get(SIZE) or DEFAULT_SIZE
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise UserError(f"{SIZE}: expected a size such as 500MB or 20GB, got {text!r}")
    return int(float(found[1]) * _UNITS[found[2]])
