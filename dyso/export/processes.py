"""Several processes that export units; each runs `python -m dyso.export.worker`."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from dyso.child_process import ChildProcess, Deadline, to_line
from dyso.records import RecordError
from dyso.spec import UserError
from dyso.storage.resumable import RESUME
from dyso.subprocess_pool import Failure, Request, StartError, answer_all

Tick = Callable[[], None]
Keep = Callable[[str, dict[str, int]], object]

SILENCE = 600.0
"""Time-out in seconds: the export ends if a process finishes no scene for so long."""


def share_out(
    arguments: Iterable[str],
    units: Iterable[Request],
    workers: int,
    tick: Tick,
    keep: Keep,
) -> None:
    """Exports units in several processes.

    Args:
      arguments: the arguments of `dyso.export.worker`.
      units: the fields of each `Unit`.
      workers: the number of processes.
      tick: called after each scene, in any thread, by one thread at a time.
      keep: called likewise with what `Export.do` returns for a unit.

    Raises:
      UserError: a scene is damaged, a process died, or finished no scene within
        `SILENCE` seconds. The other processes are ended.
      OSError: a file cannot be written.
      ModuleNotFoundError: the format needs a package that is not installed.
    """
    reporting = threading.Lock()

    def ask(process: ChildProcess, unit: Request) -> Exception | None:
        process.send(to_line(unit), Deadline(SILENCE))
        while True:
            answer = json.loads(process.read_line(Deadline(SILENCE)))
            with reporting:
                if answer["kind"] == "scene":
                    tick()
                    continue
                if answer["kind"] == "done":
                    keep(*answer["values"])
                    return None
            return _error(answer["kind"], answer["values"])

    arguments = ("-m", "dyso.export.worker", *arguments)
    answers = answer_all(arguments, units, ask, workers=workers)
    advice = "; if memory ran out, use fewer --workers"
    with contextlib.closing(answers):
        try:
            for answer in answers:
                if isinstance(answer, Failure):
                    if answer.reason == "timeout":
                        advice = ""
                    raise UserError(f"export: {answer.message}{advice}; {RESUME}")
                if answer is not None:
                    raise answer
        except StartError as error:
            message = f"export: a process does not start: {error}{advice}; {RESUME}"
            raise UserError(message) from error


def _error(kind: str, values: list[Any]) -> Exception:
    """Returns the error of a unit; see `dyso.export.worker`."""
    match kind:
        case "OSError":
            return OSError(*values)
        case "ModuleNotFoundError":
            return ModuleNotFoundError(values[0], name=values[1])
        case "RecordError":
            return RecordError(*values)
    return UserError(*values)
