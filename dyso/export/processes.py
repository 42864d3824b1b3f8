"""A pool of processes for export units; no process outlives its parent."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from dyso.spec import UserError

_T = TypeVar("_T")
Tick = Callable[[], None]

SILENCE = 600.0
"""Time-out in seconds: the export ends if no process finishes a scene for so long."""


def share_out(
    work: Callable[[_T, Tick], None], items: Iterator[_T], workers: int, tick: Tick
) -> None:
    """Processes items in several processes.

    Args:
      work: called with an item and a function to call after each scene; must pickle.
      items: the items, taken one by one when a process is free.
      workers: the number of processes.
      tick: called in this process after each scene.

    Raises:
      UserError: `work` raised it, a process died, or no scene was finished within
        `SILENCE` seconds. The other processes are ended.
      OSError: `work` raised it.
    """
    context = multiprocessing.get_context("spawn")
    busy: dict[Connection, Any] = {}
    try:
        for item in itertools.islice(items, workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, work), daemon=True)
            process.start()
            theirs.close()
            busy[ours] = process
            ours.send(item)
        while busy:
            ready = wait(list(busy), SILENCE)
            if not ready:
                raise UserError(
                    f"no scene was finished within {SILENCE:.0f} s, so the export was "
                    "stopped; the same command continues from here"
                )
            for connection in ready:
                assert isinstance(connection, Connection)
                if _receive(connection, busy[connection], tick):
                    continue
                for item in itertools.islice(items, 1):
                    connection.send(item)
                    break
                else:
                    _end(connection, busy.pop(connection))
    finally:
        for connection, process in busy.items():
            _end(connection, process)


def _receive(connection: Connection, process: Any, tick: Tick) -> bool:
    """Receives one message; returns whether its item is still in progress."""
    try:
        message = connection.recv()
    except (EOFError, ConnectionResetError):
        process.join(10)
        raise UserError(
            f"a process of the export died with status {process.exitcode}; if memory "
            "ran out, use fewer --workers; the same command continues from here"
        ) from None
    if isinstance(message, Exception):
        raise message
    if message:
        tick()
    return bool(message)


def _end(connection: Connection, process: Any) -> None:
    connection.close()
    process.kill()
    process.join(10)


def _serve(connection: Connection, work: Callable[[Any, Tick], None]) -> None:
    """Processes items until the parent closes the connection or dies."""
    # Ctrl-C reaches the whole process group; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        while True:
            try:
                item = connection.recv()
            except EOFError:
                return
            try:
                work(item, lambda: connection.send(True))
            except BrokenPipeError:
                raise
            except (UserError, OSError, ModuleNotFoundError) as error:
                connection.send(error)
            else:
                connection.send(False)
