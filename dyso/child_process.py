"""Child processes that answer lines of JSON, for work on untrusted files.

Renderers, decoders and mesh readers crash, hang, take all memory or print nonsense. A
`ChildProcess` turns each of these into an error within a time limit, and none of its
children outlives this process. `dyso.subprocess_pool` replaces children that fail.

`multiprocessing` and `concurrent.futures` cannot do this. They exchange pickles, so a
file that takes over a child would run code in this process. They also have no time
limit for a task, keep no standard error, and give up a whole pool if one process dies.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import IO, Any, BinaryIO

START_TIMEOUT = 180.0  # seconds; reading bpy's 1 GB from a cold disk is slow
END_TIMEOUT = 10.0  # seconds until a killed process must have ended
STDERR_LINES = 40
STDERR_LINE_BYTES = 100_000  # longer lines of standard error are split
_CHUNK = 1 << 20  # bytes
_MAX_POLL_SECONDS = 3600.0  # poll(2) takes at most 24 days


class Deadline:
    """The end of a time limit that begins now.

    Attributes:
      seconds: the time limit.
    """

    def __init__(self, seconds: float):
        """Starts the clock."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Returns the seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())


class ChildProcess:
    """One process, from its start to its end. `close` may be called by any thread."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        max_line: int,
        environment: Mapping[str, str] | None = None,
    ):
        """Starts the process.

        Args:
          command: the program and its arguments.
          max_line: maximum length of a line of its answers, in bytes.
          environment: its environment variables; None: those of this process.

        Raises:
          OSError: the process cannot be started.
        """
        self._max_line = max_line
        self._buffer = bytearray()  # output that has not been returned yet
        self._stderr: collections.deque[str] = collections.deque(maxlen=STDERR_LINES)
        self._in_use = threading.Lock()  # held while the pipes must stay open
        started: Future[subprocess.Popen[bytes]] = Future()
        # The process ends with the thread that starts it (see `open_answers`). A Beam
        # runner may end the calling thread, so this needs another thread.
        self._starter = threading.Thread(
            target=self._run, args=(command, environment, started), daemon=True
        )
        self._starter.start()
        self._process = started.result(START_TIMEOUT)
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)

    def _run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None,
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        """Starts the process and reads its standard error until it ends."""
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # In a new session, so that Ctrl-C reaches only the parent.
                start_new_session=True,
                env=environment,
            )
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        assert process.stderr is not None
        with process.stderr as stream:
            for line in iter(lambda: stream.readline(STDERR_LINE_BYTES), b""):
                self._stderr.append(line.decode(errors="replace"))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        return self._process.returncode

    @property
    def stderr(self) -> str:
        """The end of the standard error."""
        return "".join(self._stderr.copy())

    @property
    def last_words(self) -> str:
        """The last line of the standard error."""
        lines = self.stderr.splitlines()
        return lines[-1] if lines else "no message"

    def send(self, request: bytes, deadline: Deadline) -> None:
        """Writes a line to the standard input.

        Raises:
          TimeoutError: the process did not read it in time.
          EOFError: the process has ended.
        """
        with self._in_use:
            left = memoryview(request)
            while left:
                self._wait_for(self._stdin, select.POLLOUT, deadline)
                try:
                    left = left[os.write(self._stdin.fileno(), left) :]
                except OSError as error:
                    raise EOFError("the process reads no more") from error

    def read_line(self, deadline: Deadline) -> bytes:
        """Reads a line of the standard output, or the first part of one too long.

        Raises:
          TimeoutError: there is none in time; the next call continues.
          EOFError: the process has ended.
        """
        with self._in_use:
            while not (length := self._buffer.find(b"\n") + 1):
                if len(self._buffer) >= self._max_line:
                    break
                self._fill(deadline)
            return self._take(min(length or self._max_line, self._max_line))

    def read(self, size: int, deadline: Deadline) -> bytes:
        """Reads this many bytes of the standard output; raises as `read_line`."""
        with self._in_use:
            while len(self._buffer) < size:
                self._fill(deadline)
            return self._take(size)

    def _take(self, size: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return data

    def _fill(self, deadline: Deadline) -> None:
        self._wait_for(self._stdout, select.POLLIN, deadline)
        data = os.read(self._stdout.fileno(), _CHUNK)
        if not data:
            raise EOFError("the process writes no more")
        self._buffer += data

    def _wait_for(self, pipe: IO[bytes], event: int, deadline: Deadline) -> None:
        if pipe.closed:
            raise EOFError("the process has been closed")
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(1000 * min(deadline.left(), _MAX_POLL_SECONDS)):
            if not deadline.left():
                raise TimeoutError(f"not done in {deadline.seconds:g} s")

    def wait(self, seconds: float) -> int | None:
        """Waits for the end of the process and of its standard error; see `status`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            self._starter.join(1)
        return self.status

    def kill(self) -> None:
        """Kills the process, which also ends a call of another thread."""
        self._process.kill()

    def close(self) -> None:
        """Kills the process and closes its pipes; may be called twice."""
        self.kill()
        self.wait(END_TIMEOUT)
        # Another thread may use the pipes until the process has ended.
        if self._in_use.acquire(timeout=END_TIMEOUT):
            self._stdin.close()
            self._stdout.close()
            self._in_use.release()


def signal_name(status: int) -> str:
    """Returns the name of the signal of a negative exit status."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def open_answers() -> BinaryIO:
    """Prepares this process as a child, and returns the stream for its answers.

    Standard output then goes to standard error, since libraries print to it. On Linux,
    the kernel kills the process when the thread that started it ends. This works
    however the parent ends, and even if this process hangs.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def write_line(answers: BinaryIO, answer: Any, data: bytes = b"") -> None:
    """Writes an answer as a line of JSON, and data after it."""
    answers.write(json.dumps(answer).encode() + b"\n" + data)
    answers.flush()


def to_line(request: Any) -> bytes:
    """Returns a request as a line of JSON."""
    return json.dumps(request).encode() + b"\n"
