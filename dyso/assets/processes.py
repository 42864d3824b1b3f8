"""Runs tasks on untrusted files in separate processes."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from dyso import subprocess_pool
from dyso.child_process import ChildProcess, Deadline, to_line
from dyso.errors import UserError, one_line
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

    def ask(process: ChildProcess, request: Request) -> Answer:
        deadline = Deadline(timeout)
        process.send(to_line(request), deadline)
        response = json.loads(process.read_line(deadline))
        if response["ok"]:
            return Answer(value=response["value"])
        message = one_line(response["message"])
        return Answer(reason=str(response["reason"]), message=message)

    answers = subprocess_pool.answer_all(_TASKS, sent, ask, workers=workers)
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
