"""Processes that work on strangers' files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import IO, Any

from dyso import subprocess_pool
from dyso.spec import UserError
from dyso.subprocess_pool import Request

_TASKS = ("-m", "dyso.worker.asset_tasks")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a chore.

    Attributes:
      value: what it gave.
      reason: why it could not be done, in one word: `broken` is the asset's fault,
        `timeout`, `crash` and `memory` may be; `storage` is not. Empty if it was done.
      message: likewise, for people.
    """

    value: Any = None
    reason: str = ""
    message: str = ""


def do_all(
    requests: Iterable[Request], workers: int, timeout: float
) -> Generator[tuple[Request, Answer], None, None]:
    """Runs tasks in processes; returns the answers in the order of the requests.

    Args:
      requests: see `dyso.worker.asset_tasks`.
      workers: processes.
      timeout: seconds that a chore may take.

    Raises:
      UserError: the storage failed, or a process could not be started.
    """
    asked, sent = itertools.tee(requests)
    answers = subprocess_pool.answer_all(
        _TASKS, sent, _read, workers=workers, timeout=timeout
    )
    with contextlib.closing(answers):
        try:
            # `answers` first: it is what takes from `sent`, ahead of `asked`.
            for answer, request in zip(answers, asked, strict=True):
                if isinstance(answer, subprocess_pool.Failure):
                    answer = Answer(reason=answer.reason, message=answer.message)
                if answer.reason == "storage":
                    raise UserError(answer.message)
                yield request, answer
        except subprocess_pool.StartError as error:
            raise UserError(
                f"{_TASKS[1]} does not start: {error}; it needs what "
                "`pip install 'dyso[generate]'` installs"
            ) from error


def _read(stdout: IO[bytes]) -> Answer:
    found = subprocess_pool.read_line(stdout)
    if found["ok"]:
        return Answer(value=found["value"])
    message = subprocess_pool.one_line(found["message"])
    return Answer(reason=str(found["reason"]), message=message)
