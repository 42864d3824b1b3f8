"""Processes that do chores with strangers' files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import IO, Any

from dyso import children
from dyso.children import Request
from dyso.spec import UserError

_CHORES = ("-m", "dyso.worker.chores")


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
    """Does chores in processes; gives the answers in the order of the requests.

    Args:
      requests: see `dyso.worker.chores`.
      workers: processes.
      timeout: seconds that a chore may take.

    Raises:
      UserError: the storage failed, or a process could not be started.
    """
    asked, sent = itertools.tee(requests)
    answers = children.answer_all(
        _CHORES, sent, _read, workers=workers, timeout=timeout
    )
    with contextlib.closing(answers):
        try:
            # `answers` first: it is what takes from `sent`, ahead of `asked`.
            for answer, request in zip(answers, asked, strict=True):
                if isinstance(answer, children.Failure):
                    answer = Answer(reason=answer.reason, message=answer.message)
                if answer.reason == "storage":
                    raise UserError(answer.message)
                yield request, answer
        except children.StartError as error:
            raise UserError(
                f"{_CHORES[1]} does not start: {error}; it needs what "
                "`pip install 'dyso[generate]'` installs"
            ) from error


def _read(stdout: IO[bytes]) -> Answer:
    found = children.read_line(stdout)
    if found["ok"]:
        return Answer(value=found["value"])
    message = children.one_line(found["message"])
    return Answer(reason=str(found["reason"]), message=message)
