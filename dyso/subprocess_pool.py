"""Child processes that answer requests about untrusted files.

A child that hangs, crashes or returns an invalid answer is killed and replaced, and the
answer to its request is a `Failure`. A child prints `{}` when it is ready. It then
reads one line of JSON per request. The caller's `read` function parses its answers.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Generic, TypeVar

_T = TypeVar("_T")
Request = dict[str, Any]

START_TIMEOUT = 180.0  # seconds
AHEAD = 8  # requests per child that are submitted before an earlier one is answered
MAX_LINE = 10_000_000  # bytes
MAX_MESSAGE = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The answer to a request that failed.

    Attributes:
      reason: one word. This module sets `timeout` and `crash`.
      message: one line for the user.
    """

    reason: str
    message: str


class StartError(Exception):
    """A child could not be started; the message is its last line on standard error."""


def answer_all(
    arguments: Iterable[str],
    requests: Iterable[Request],
    read: Callable[[IO[bytes]], _T],
    *,
    workers: int,
    timeout: float,
) -> Generator[_T | Failure, None, None]:
    """Yields the answers of several children, in the order of the requests.

    Args:
      arguments: arguments of the Python interpreter, such as `-m
        dyso.worker.asset_tasks`.
      requests: values that can be written as JSON.
      read: reads one answer; if it raises ValueError, LookupError or TypeError, the
        child is killed.
      workers: number of children.
      timeout: time limit for one answer, in seconds.

    Raises:
      StartError: a child did not start.
    """
    children = [_Child([*arguments], read, timeout) for _ in range(workers)]
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


def read_line(stdout: IO[bytes]) -> Any:
    """Reads a line of JSON.

    Raises:
      ValueError: the line is not JSON.
    """
    return json.loads(stdout.readline(MAX_LINE))


def one_line(message: Any) -> str:
    """Returns a message shortened to one line of at most `MAX_MESSAGE` characters."""
    return " ".join(str(message).split())[:MAX_MESSAGE]


class _Child(Generic[_T]):
    """One process, which is replaced when it fails."""

    def __init__(
        self, arguments: list[str], read: Callable[[IO[bytes]], _T], timeout: float
    ):
        self._command = [sys.executable, *arguments]
        self._read, self._timeout = read, timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # see `close`
        self._stopped = False

    def answer(self, request: Request) -> _T | Failure:
        if self._process is None:
            with self._limited(START_TIMEOUT) as late:
                started = self._start()
            if not started:
                message = f"not ready within {START_TIMEOUT:g} s"
                raise StartError(message if late else self._tail())
        with self._limited(self._timeout) as late:
            try:
                answer: _T | None = self._ask(request)
            except (OSError, ValueError, LookupError, TypeError):
                answer = None
        if answer is not None and not late:
            return answer
        status = self._end()
        if late:
            message = f"not done in {self._timeout:g} s"
            return Failure(reason="timeout", message=message)
        how = f"status {status}: {self._tail()}"
        if status < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-status).name
        return Failure(reason="crash", message=f"the process ended with {how}")

    def _start(self) -> bool:
        self._stderr.seek(0)
        self._stderr.truncate()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            # In a new session, so that Ctrl-C reaches only the parent.
            start_new_session=True,
        )
        if self._stopped:
            self._process.kill()
        assert self._process.stdout is not None
        return self._process.stdout.readline(MAX_LINE) == b"{}\n"

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Generator[list[bool], None, None]:
        """Kills the process after a time; yields a list that is then not empty."""
        late: list[bool] = []

        def stop() -> None:
            late.append(True)
            if self._process is not None:
                self._process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()
            timer.join()

    def _ask(self, request: Request) -> _T:
        process = self._process
        assert process is not None and process.stdin and process.stdout
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        return self._read(process.stdout)

    def _end(self) -> int:
        process, self._process = self._process, None
        assert process is not None
        # After an invalid answer, the process may still run.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        with process:  # waits, and closes its pipes
            pass
        return process.returncode

    def _tail(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        return lines[-1][:MAX_MESSAGE] if lines else "no message"

    def stop(self) -> None:
        """Kills the process and prevents further ones; any thread may call this."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process and closes its files; no thread may be using it."""
        self.stop()
        if self._process is not None:
            self._end()
        self._stderr.close()
