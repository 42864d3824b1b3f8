"""Waiting, with a time-out."""

import time
from collections.abc import Callable
from typing import TypeVar

SECONDS = 180
"""For anything to happen, on a machine with much else to do."""

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], what: str = "it happens", seconds: float = SECONDS
) -> T:
    """Waits until a condition holds and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return value
