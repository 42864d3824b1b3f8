"""Child processes that answer requests about strangers' files.

A child may hang, crash or answer nonsense: it is ended and replaced, and its request
has a `Failure` for an answer. It prints `{}` when it is ready, then reads a line of
JSON for each request; what it answers, the caller reads.
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
AHEAD = 8  # requests a child, that wait for a slow one before them
MAX_LINE = 10_000_000  # bytes
MAX_MESSAGE = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a request has no other answer.

    Attributes:
      reason: in one word; `timeout` and `crash` are given here.
      message: likewise, for people.
    """

    reason: str
    message: str


class StartError(Exception):
    """A child could not be started; the message is its last words."""


def answer_all(
    arguments: Iterable[str],
    requests: Iterable[Request],
    read: Callable[[IO[bytes]], _T],
    *,
    workers: int,
    timeout: float,
) -> Generator[_T | Failure, None, None]:
    """Has requests answered by several children; answers are in their order.

    Args:
      arguments: of this Python, such as `-m dyso.worker.asset_tasks`.
      requests: values for JSON.
      read: reads one answer; ValueError, LookupError and TypeError end the child.
      workers: children.
      timeout: seconds that an answer may take.

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
        # Ends what threads still wait for, before the pool waits for them.
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
            found = waiting.popleft().result()
            for request in itertools.islice(rest, 1):
                waiting.append(pool.submit(answer, request))
            yield found


def read_line(stdout: IO[bytes]) -> Any:
    """Reads a line of JSON.

    Raises:
      ValueError: it is none.
    """
    return json.loads(stdout.readline(MAX_LINE))


def one_line(message: Any) -> str:
    """Gives a message that fits on a line."""
    return " ".join(str(message).split())[:MAX_MESSAGE]


class _Child(Generic[_T]):
    """One process at a time, that is replaced when it fails."""

    def __init__(
        self, arguments: list[str], read: Callable[[IO[bytes]], _T], timeout: float
    ):
        self._command = [sys.executable, *arguments]
        self._read, self._timeout = read, timeout
        self._process: subprocess.Popen[bytes] | None = None
        # Open as long as this object is.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._stopped = False

    def answer(self, request: Request) -> _T | Failure:
        if self._process is None:
            with self._limited(START_TIMEOUT) as late:
                started = self._start()
            if not started:
                raise StartError("it was too late" if late else self._tail())
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
            # In a session of its own, so that Ctrl-C reaches us alone.
            start_new_session=True,
        )
        if self._stopped:
            self._process.kill()
        assert self._process.stdout is not None
        return self._process.stdout.readline(MAX_LINE) == b"{}\n"

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Generator[list[bool], None, None]:
        """Ends the process if what is done here takes longer; the list is then full."""
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
        # One that has answered nonsense may still run.
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
        """Kills the process, and lets no other live; any thread may call it."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process; no thread may use it any more."""
        self.stop()
        if self._process is not None:
            self._end()
        self._stderr.close()
