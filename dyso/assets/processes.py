"""Runs tasks on untrusted files in separate processes."""

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
    """The result of a task.

    Attributes:
      value: the task's result.
      reason: why the task failed, in one word, or empty. `broken` is the asset's fault,
        `timeout`, `crash` and `memory` may be, and `storage` is not.
      message: the reason as a sentence.
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
      workers: number of processes.
      timeout: maximum seconds per task.

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
    response = subprocess_pool.read_line(stdout)
    if response["ok"]:
        return Answer(value=response["value"])
    message = subprocess_pool.one_line(response["message"])
    return Answer(reason=str(response["reason"]), message=message)
