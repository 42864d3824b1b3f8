"""Runs commands whose standard streams may be closed, full or without a reader."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from dyso.errors import UserError
from dyso.terminal import say_error


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a command and returns its exit status; tolerates broken standard streams.

    The status is that of the command, 2 on bad input, 130 on Ctrl-C, and 1 instead of 0
    if the output could not be written. A reader that closes the pipe early, such as
    `head`, is not an error. Text that cannot be written to standard error is dropped.
    """
    _open_closed()
    stdout = _Stream(1, quiet=False)
    sys.stdout = _replaced(sys.stdout, sys.__stdout__, stdout)
    sys.stderr = _replaced(sys.stderr, sys.__stderr__, _Stream(2, quiet=True))
    status = 0
    try:
        try:
            status = command() or 0
        except SystemExit as error:  # raised by argparse
            status = (
                error.code
                if isinstance(error.code, int)
                else int(error.code is not None)
            )
        sys.stdout.flush()
    except UserError as error:
        say_error(error)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except OSError:
        if stdout.lost is None:
            raise
    if stdout.lost is not None and not isinstance(stdout.lost, BrokenPipeError):
        print(f"standard output: {stdout.lost.strerror}", file=sys.stderr)
        return status or 1
    return status


def _open_closed() -> None:
    """Opens /dev/null for each standard stream that is closed.

    Otherwise the next file to be opened would get the stream's number, and libraries
    would print into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # os.open returns the lowest free number, which is `number`.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _replaced(current: TextIO | None, real: TextIO | None, raw: _Stream) -> TextIO:
    """Returns a text stream over `raw`, or `current` if it is not the real stream."""
    if current is not None and current is not real:
        return current
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(current, "encoding", None),
        errors=getattr(current, "errors", "backslashreplace"),
        line_buffering=raw.quiet or raw.isatty(),
    )


class _Stream(io.FileIO):
    """A standard stream that records its first error.

    Attributes:
      quiet: drop data that cannot be written, instead of raising.
      lost: the error of a failed write, or None. If not `quiet`, all data after a
        failed write is dropped.
    """

    def __init__(self, number: int, *, quiet: bool):
        super().__init__(number, "w", closefd=False)
        self.quiet = quiet
        self.lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes data and returns its size; see `quiet` for errors."""
        size = memoryview(data).nbytes
        if self.lost is not None and not self.quiet:
            return size
        try:
            written = super().write(data)
        except OSError as error:
            self.lost = error
            if not self.quiet:
                raise
            return size
        # FileIO returns None if a non-blocking stream is full.
        return size if written is None and self.quiet else written
