"""What commands print: lines in which no character does anything but show."""

from __future__ import annotations

import sys
from typing import TextIO


def printable(text: str) -> str:
    """Escapes what a terminal would act on, line breaks among it.

    Names, messages and reasons come from datasets, videos and servers of strangers.
    """
    return "".join(
        own if own.isprintable() else ascii(own).strip("'") for own in str(text)
    )


def size(height: int, width: int) -> str:
    """Returns an image's size, always height first, as in a spec's `resolution`."""
    order = "" if height == width else " (height x width)"
    return f"{height} x {width}{order}"


def say(line: str = "", file: TextIO | None = None) -> None:
    """Prints one line, which stays one, whatever is in it."""
    print(printable(line), file=file or sys.stdout, flush=True)


def to_stderr(line: str) -> None:
    """Prints one line on stderr."""
    say(line, sys.stderr)


def say_error(error: Exception) -> None:
    """Prints a `UserError` on stderr, which may have several lines."""
    for line in str(error).split("\n"):
        to_stderr(line)
