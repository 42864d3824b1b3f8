"""How long a bucket may fail before that is an error."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

RETRY_SECONDS = 120.0
"""From the first try of a request to the start of the last."""

CONNECT_SECONDS = 10.0
"""That a connection may take to come about."""

SILENCE_SECONDS = 30.0
"""That a connection may be silent."""

WHOLE_TRIES = 3
"""For a file that arrives damaged though each request went well."""

PART_BYTES = 16 << 20
"""Of a file, in one request; what an upload takes in memory."""

CONNECTIONS = 32
"""That a process keeps to a bucket; more than that come and go."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0

_jitter = random.SystemRandom()
_T = TypeVar("_T")


class Transient(OSError):
    """A request failed in a way that may pass."""


class Damaged(OSError):
    """What arrived is not what was sent."""


def patiently(request: Callable[[], _T]) -> _T:
    """Makes a request again while it fails with `Transient`, at growing intervals.

    Raises:
      OSError: it did so for `RETRY_SECONDS`.
    """
    begin, pause, tries = time.monotonic(), FIRST_PAUSE, 0
    while True:
        tries += 1
        try:
            return request()
        except Transient as error:
            # Many workers fail at once; they shall not come back at once.
            wait = pause * _jitter.uniform(0.5, 1)
            if time.monotonic() + wait - begin > RETRY_SECONDS:
                raise gave_up(error, tries) from error
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)


def gave_up(error: OSError, tries: int) -> OSError:
    """Gives the error to raise when there are no more tries."""
    message = f"{error.strerror} (tried {tries} times)"
    return OSError(errno.EIO, message, error.filename)
