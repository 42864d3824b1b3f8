"""Runs of `dyso fit`, which benchmarks make one after another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DYSO = str(Path(sys.executable).with_name("dyso"))


def fit(*options: str) -> None:
    """Runs `dyso fit`; a fit that is finished is not done again.

    Raises:
      SystemExit: it failed, and has printed why.
    """
    print("dyso fit", *options, flush=True)
    status = subprocess.run([DYSO, "fit", *options]).returncode
    if status:
        sys.exit(status)
