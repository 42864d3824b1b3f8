"""The progress bar of every command."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Collection, Iterator
from typing import Self, TypeVar

from tqdm import tqdm

from dyso import terminal

DRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
WIDTH = 80
"""Columns of a terminal that does not report its width."""
ROWS = 20
_Item = TypeVar("_Item")


class Bar:
    """Progress on stderr: a bar on a terminal, otherwise a line every 10 seconds."""

    def __init__(self, unit: str, failed: str | None = None, waiting: str = ""):
        """Shows nothing until `show` is called.

        Args:
          unit: what is counted, in the plural, such as `videos`.
          failed: the word for items that fail, such as `broken`; None if none may.
          waiting: what the job does before it makes progress. With it, a log's first
            line is written at once.
        """
        self._unit, self._failed, self._waiting = unit, failed, waiting
        self._tqdm: tqdm | None = None
        self._is_terminal = sys.stderr.isatty()
        self._interval = DRAW_SECONDS if self._is_terminal else LINE_SECONDS
        at_once = self._is_terminal or waiting
        self._next = time.monotonic() + (0.0 if at_once else LINE_SECONDS)
        self._undrawn = False
        self._lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tqdm is None:
            return
        if self._undrawn and (self._is_terminal or self._lines):
            self._draw(self._tqdm)
        self._tqdm.close()

    def show(
        self,
        done: float,
        planned: int,
        failed: int | str = 0,
        *,
        whole: int | None = None,
        note: str = "",
    ) -> None:
        """Shows the state of the job.

        Args:
          done: finished items; parts of items count as fractions.
          planned: all items.
          failed: how many failed, or a text with their number.
          whole: items to print as finished; default: `done`.
          note: what else to print.
        """
        if self._tqdm is None:
            self._tqdm = tqdm(
                total=planned,
                initial=done,
                file=sys.stderr if self._is_terminal else io.StringIO(),
                bar_format=" ",
                # tqdm hides the bar on a terminal that reports 0 rows.
                nrows=ROWS,
            )
        bar = self._tqdm
        bar.n = done
        rate = (done - bar.initial) / max(bar.format_dict["elapsed"], 1e-3)
        count = f"{int(done) if whole is None else whole}/{planned} {self._unit}"
        notes = [f"{failed} {self._failed}"] if self._failed is not None else []
        if rate > 0:
            pace = "{remaining} left"
            notes.insert(0, _per_time(rate))
        else:
            pace = self._waiting
        rest = ", ".join(filter(None, ["{elapsed} elapsed", pace, *notes, note]))
        bar.bar_format = f"{count} |{{bar}}| {{percentage:.0f}}%, {rest}"
        self._undrawn = True
        if time.monotonic() >= self._next:
            self._draw(bar)

    def write(self, line: str) -> None:
        """Prints a line on stdout, above the bar."""
        if self._is_terminal and self._tqdm is not None:
            self._tqdm.clear()
        terminal.say(line)
        if self._is_terminal and self._tqdm is not None:
            self._draw(self._tqdm)

    def _draw(self, bar: tqdm) -> None:
        if self._is_terminal:
            bar.ncols = _columns()
            bar.refresh()
        else:
            print(bar, file=sys.stderr, flush=True)
            self._lines += 1
        self._undrawn = False
        self._next = time.monotonic() + self._interval


def each(items: Collection[_Item], unit: str) -> Iterator[_Item]:
    """Yields items, and shows how many have been used."""
    with Bar(unit) as bar:
        bar.show(0, len(items))
        for done, item in enumerate(items, 1):
            yield item
            bar.show(done, len(items))


def _columns() -> int:
    """Returns the terminal's width, which some terminals report as 0."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def _per_time(rate: float) -> str:
    """Formats a rate per second, minute or hour, whichever shows at least one."""
    if rate >= 1:
        return f"{rate:.1f}/s"
    return f"{60 * rate:.1f}/min" if rate >= 1 / 60 else f"{3600 * rate:.1f}/h"
