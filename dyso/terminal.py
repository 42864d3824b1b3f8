"""Prints lines without control characters."""

from __future__ import annotations

import sys
from typing import TextIO


def printable(text: str) -> str:
    """Escapes control characters, including line breaks.

    Printed names, messages and reasons may come from untrusted datasets, videos and
    servers.
    """
    return "".join(
        char if char.isprintable() else ascii(char).strip("'") for char in str(text)
    )


def size(height: int, width: int) -> str:
    """Returns an image's size, always height first, as in a spec's `resolution`."""
    order = "" if height == width else " (height x width)"
    return f"{height} x {width}{order}"


def say(line: str = "", file: TextIO | None = None) -> None:
    """Prints one line; line breaks and control characters in it are escaped."""
    print(printable(line), file=file or sys.stdout, flush=True)


def to_stderr(line: str) -> None:
    """Prints one line on stderr."""
    say(line, sys.stderr)


def stopped() -> int:
    """Prints how to resume a job after Ctrl-C, and returns the exit status."""
    to_stderr("stopped; run the same command to resume")
    return 130


def say_error(error: Exception) -> None:
    """Prints a `UserError`, which may have several lines, to standard error."""
    for line in str(error).split("\n"):
        to_stderr(line)
