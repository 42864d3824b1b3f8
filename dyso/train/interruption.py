"""Signals that end a run, and calls of XLA that keep the process able to hear them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
from jax.experimental import multihost_utils

HEARTBEAT_SECONDS = 10.0
_COMPILER = "dyso-compiler"

T = TypeVar("T")


class Stopped(Exception):
    """A signal came while a program was compiled."""


@dataclass(frozen=True)
class Stop:
    """Whether a signal ends the run.

    Attributes:
      asked: says whether a signal came to this process.
      at: says, before a step, whether the run ends there.
    """

    asked: Callable[[], bool]
    at: Callable[[int], bool]


@contextmanager
def signals() -> Iterator[Stop]:
    """Takes SIGTERM and Ctrl-C as requests to stop; a second Ctrl-C exits at once."""
    received: list[int] = []
    several = jax.process_count() > 1

    def note(number: int, _: Any) -> None:
        if number == signal.SIGINT:
            if number in received:
                os._exit(130)
            os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")
            if several:
                os.kill(os.getpid(), signal.SIGTERM)  # JAX tells the others.
        received.append(number)

    # JAX makes all processes stop at the same step, whichever received SIGTERM.
    numbers = [signal.SIGINT] if several else [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        if several:
            sync = multihost_utils.reached_preemption_sync_point
            yield Stop(asked=lambda: False, at=sync)
        else:
            yield Stop(asked=lambda: bool(received), at=lambda step: bool(received))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interruptible(
    tell: Callable[[str], None],
    asked: Callable[[], bool],
    what: str,
    function: Callable[..., T],
    *args: Any,
) -> T:
    """Calls a function in another thread, and reports that it takes time.

    XLA handles no signal while it compiles, which takes minutes; this thread does.

    Args:
      tell: prints a line.
      asked: says whether a signal asks to stop.
      what: describes the call; printed if it takes over a second.
      function: to call.
      args: of the function.

    Raises:
      Stopped: a signal came; the function still runs.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=_COMPILER, daemon=True)
    thread.start()
    start, beats = time.monotonic(), 0
    thread.join(1.0)
    if thread.is_alive():
        tell(what)
    while thread.is_alive():
        if asked():
            raise Stopped
        thread.join(0.2)
        if (time.monotonic() - start) // HEARTBEAT_SECONDS > beats:
            beats += 1
            tell(f"  {time.monotonic() - start:.0f} s")
    if errors:
        raise errors[0]
    return results[0]


def still_compiling() -> bool:
    """Says whether a program is still compiled after `interruptible` was stopped.

    Only the end of the process, by `os._exit`, ends that.
    """
    return any(thread.name == _COMPILER for thread in threading.enumerate())
