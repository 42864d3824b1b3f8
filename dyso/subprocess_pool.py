"""Several child processes that answer requests about untrusted files.

A child that hangs, crashes or returns an invalid answer is killed and replaced, and the
answer to its request is a `Failure`. A child prints `{}` when it is ready. It then
reads one line of JSON per request. The caller's `ask` function parses its answers.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import queue
import sys
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dyso.child_process import START_TIMEOUT, ChildProcess, Deadline, signal_name

_T = TypeVar("_T")
Request = dict[str, Any]

AHEAD = 8  # requests per child that are submitted before an earlier one is answered
MAX_LINE = 10_000_000  # bytes
MAX_MESSAGE = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The answer to a request that failed.

    Attributes:
      reason: `timeout` or `crash`.
      message: one line for the user.
    """

    reason: str
    message: str


class StartError(Exception):
    """A child could not be started; the message says how it ended."""


def answer_all(
    arguments: Iterable[str],
    requests: Iterable[Request],
    ask: Callable[[ChildProcess, Request], _T],
    *,
    workers: int,
) -> Generator[_T | Failure, None, None]:
    """Yields the answers of several children, in the order of the requests.

    Args:
      arguments: arguments of the Python interpreter, such as `-m
        dyso.worker.asset_tasks`.
      requests: values that can be written as JSON.
      ask: sends a request to a child and returns its answer; called in several threads.
        If it raises TimeoutError, EOFError, ValueError, LookupError, TypeError or
        RecursionError, the child is killed.
      workers: number of children.

    Raises:
      StartError: a child did not start.
    """
    children = [_Child([*arguments], ask) for _ in range(workers)]
    idle: queue.SimpleQueue[_Child[_T]] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        for child in children:
            idle.put(child)
            stack.callback(child.close)
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        # On exit, kills the children before the pool waits for its threads.
        for child in children:
            stack.callback(child.stop)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)

        def answer(request: Request) -> _T | Failure:
            child = idle.get()
            try:
                return child.answer(request)
            finally:
                idle.put(child)

        waiting: collections.deque[Future[_T | Failure]] = collections.deque()
        rest = iter(requests)
        for request in itertools.islice(rest, AHEAD * workers):
            waiting.append(pool.submit(answer, request))
        while waiting:
            result = waiting.popleft().result()
            for request in itertools.islice(rest, 1):
                waiting.append(pool.submit(answer, request))
            yield result


class _Child(Generic[_T]):
    """A process that is replaced when it fails."""

    def __init__(
        self, arguments: list[str], ask: Callable[[ChildProcess, Request], _T]
    ):
        self._command = [sys.executable, *arguments]
        self._ask = ask
        self._process: ChildProcess | None = None
        self._stopped = False

    def answer(self, request: Request) -> _T | Failure:
        process = self._process or self._start()
        try:
            return self._ask(process, request)
        except TimeoutError as error:
            failure = Failure(reason="timeout", message=str(error))
        except (EOFError, ValueError, LookupError, TypeError, RecursionError):
            # After an invalid answer, the process may still run.
            failure = Failure(reason="crash", message=_ending(process))
        except BaseException:
            process.kill()  # its answer must not be taken for the next one
            raise
        self._process = None
        process.close()
        return failure

    def _start(self) -> ChildProcess:
        self._process = process = ChildProcess(self._command, max_line=MAX_LINE)
        if self._stopped:
            process.kill()
        try:
            if process.read_line(Deadline(START_TIMEOUT)) == b"{}\n":
                return process
        except TimeoutError as error:
            raise StartError(str(error)) from error
        except EOFError:
            pass
        raise StartError(_ending(process))

    def stop(self) -> None:
        """Kills the process and prevents further ones; any thread may call this."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process and closes its pipes."""
        if self._process is not None:
            self._process.close()


def _ending(process: ChildProcess) -> str:
    """Kills the process if it still runs, and says how it ended."""
    process.wait(1)
    process.kill()
    status = process.wait(1) or 0
    if status < 0:
        return f"the process ended with {signal_name(status)}"
    return f"the process ended with status {status}: {process.last_words[:MAX_MESSAGE]}"
