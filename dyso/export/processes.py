"""Work shared out to processes, none of which outlives the one that shares it out."""

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
"""Seconds without a word from any process, after which they are given up."""


def share_out(
    work: Callable[[_T, Tick], None], items: Iterator[_T], workers: int, tick: Tick
) -> None:
    """Works on items, several at a time, each in a process of its own.

    Args:
      work: takes an item and what it calls for every step that it does; pickles.
      items: are asked for one by one, when a process is free.
      workers: processes.
      tick: is called here for every step.

    Raises:
      UserError: or OSError: what `work` raised; the others are ended then. A process
        died, or nothing was heard for `SILENCE` seconds.
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
                    f"no scene was done in {SILENCE:.0f} s, so the processes are "
                    "given up; the same command goes on from here"
                )
            for connection in ready:
                assert isinstance(connection, Connection)
                if _hear(connection, busy[connection], tick):
                    continue
                for item in itertools.islice(items, 1):
                    connection.send(item)
                    break
                else:
                    _end(connection, busy.pop(connection))
    finally:
        for connection, process in busy.items():
            _end(connection, process)


def _hear(connection: Connection, process: Any, tick: Tick) -> bool:
    """Takes one message; says whether its item goes on."""
    try:
        message = connection.recv()
    except (EOFError, ConnectionResetError):
        process.join(10)
        raise UserError(
            f"a process of the export died with status {process.exitcode}; if memory "
            "ran out, use fewer --workers; the same command goes on from here"
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
    """Works on what comes until the other side closes or dies."""
    # Ctrl-C reaches the whole group; the parent answers it.
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
