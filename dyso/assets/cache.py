"""The location and the size limit of this machine's cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dyso.spec import UserError

SIZE = "DYSO_CACHE_SIZE"
DEFAULT_SIZE = "20GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def cache_folder() -> Path:
    """Returns the folder for files that can be recreated: `$XDG_CACHE_HOME/dyso`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dyso"


def cache_bytes() -> int:
    """Returns the maximum bytes of unpacked assets: `$DYSO_CACHE_SIZE`, or 20 GB.

    Raises:
      UserError: the variable is not a size.
    """
    text = os.environ.get(SIZE) or DEFAULT_SIZE
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise UserError(f"{SIZE}: expected a size such as 500MB or 20GB, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])
