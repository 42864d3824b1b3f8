"""Retries and time-outs of remote storage."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

RETRY_SECONDS = 120.0
"""Maximum time from the first try of a request to the start of the last."""

CONNECT_SECONDS = 10.0
"""Time-out for connecting."""

SILENCE_SECONDS = 30.0
"""Time-out for the next byte of an answer."""

WHOLE_TRIES = 3
"""Tries for a file that arrives damaged although each request succeeded."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0

_jitter = random.SystemRandom()
_T = TypeVar("_T")


class Transient(OSError):
    """A request failed, but may succeed if it is repeated."""


class Damaged(OSError):
    """The data that arrived differs from the data that was sent."""


def with_retries(request: Callable[[], _T]) -> _T:
    """Repeats a request while it raises `Transient`, with growing pauses.

    Raises:
      OSError: the request still failed after `RETRY_SECONDS`.
    """
    begin, pause, tries = time.monotonic(), FIRST_PAUSE, 0
    while True:
        tries += 1
        try:
            return request()
        except Transient as error:
            # Many workers fail at the same time; jitter spreads their retries.
            wait = pause * _jitter.uniform(0.5, 1)
            if time.monotonic() + wait - begin > RETRY_SECONDS:
                raise gave_up(error, tries) from error
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)


def gave_up(error: OSError, tries: int) -> OSError:
    """Returns the error to raise when there are no more tries."""
    message = f"{error.strerror} (tried {tries} times)"
    return OSError(errno.EIO, message, error.filename)
