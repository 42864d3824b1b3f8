"""Progress of a job that converts files."""

from __future__ import annotations

import io
import sys
import time
from typing import Self

from tqdm import tqdm

LINE_SECONDS = 10.0


class Bar:
    """Progress on stderr: a bar on a terminal, else a line every some seconds."""

    def __init__(self, unit: str, failed: str | None = None):
        """Shows nothing yet.

        Args:
          unit: what is counted, such as `videos`.
          failed: what is said of those that fail; None where none may.
        """
        self._unit, self._failed = unit, failed
        self._tqdm: tqdm | None = None
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tqdm is not None:
            self._tqdm.close()

    def show(self, done: int, planned: int, failed: int = 0) -> None:
        """Shows where the job is."""
        terminal = sys.stderr.isatty()
        if self._tqdm is None:
            self._tqdm = tqdm(
                total=planned,
                initial=done,
                smoothing=0,
                unit=f" {self._unit}",
                file=sys.stderr if terminal else io.StringIO(),
            )
        if self._failed is not None:
            self._tqdm.set_postfix_str(f"{failed} {self._failed}", refresh=False)
        self._tqdm.update(done - self._tqdm.n)
        now = time.monotonic()
        if not terminal and now - self._last >= LINE_SECONDS:
            self._last = now
            print(self._tqdm, file=sys.stderr, flush=True)
