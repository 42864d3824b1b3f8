"""Processes that do chores with strangers' files, and what is left when one fails."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dyso.spec import UserError

START_TIMEOUT = 180.0  # seconds
AHEAD = 4  # chores a process, that wait for it
MAX_MESSAGE = 300  # characters
_COMMAND = (sys.executable, "-m", "dyso.worker.chores")

Request = dict[str, Any]


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
    """Does chores in processes; gives the answers as they come.

    Args:
      requests: see `dyso.worker.chores`.
      workers: processes.
      timeout: seconds that a chore may take.

    Raises:
      UserError: the storage failed, or a process could not be started.
    """
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    processes = [_Process(timeout) for _ in range(workers)]
    with contextlib.ExitStack() as stack:
        for process in processes:
            idle.put(process)
            stack.callback(process.close)
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        # Ends what threads still wait for, before the pool waits for them.
        for process in processes:
            stack.callback(process.stop)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)

        def do(request: Request) -> tuple[Request, Answer]:
            process = idle.get()
            try:
                return request, process.do(request)
            finally:
                idle.put(process)

        rest = iter(requests)
        waiting: set[Future[tuple[Request, Answer]]] = set()
        waiting |= {pool.submit(do, each) for each in islice(rest, AHEAD * workers)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            waiting |= {pool.submit(do, each) for each in islice(rest, len(done))}
            for future in done:
                request, answer = future.result()
                if answer.reason == "storage":
                    raise UserError(answer.message)
                yield request, answer


class _Process:
    """One process at a time, that is replaced when it fails."""

    def __init__(self, timeout: float):
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        # Open as long as this object is.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._stopped = False

    def do(self, request: Request) -> Answer:
        if self._process is None:
            with self._limited(START_TIMEOUT):
                self._start()
                started = self._line()
            if started != b"{}\n":
                raise UserError(
                    f"{' '.join(_COMMAND[1:])} does not start: {self._tail()}; "
                    "it needs what `pip install 'dyso[generate]'` installs"
                )
        with self._limited(self._timeout) as late:
            answer = self._ask(request)
        if answer is not None and not late:
            return answer
        status = self._end()
        if late:
            return Answer(reason="timeout", message=f"not done in {self._timeout:g} s")
        how = f"status {status}: {self._tail()}"
        if status < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-status).name
        return Answer(reason="crash", message=f"the process ended with {how}")

    def _start(self) -> None:
        self._stderr.seek(0)
        self._stderr.truncate()
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            # In a session of its own, so that Ctrl-C reaches us alone.
            start_new_session=True,
        )
        if self._stopped:
            self._process.kill()

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

    def _line(self) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        return self._process.stdout.readline()

    def _ask(self, request: Request) -> Answer | None:
        """Gives the answer; None is for no or a wrong one."""
        process = self._process
        assert process is not None and process.stdin
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            found = json.loads(self._line())
            if found["ok"]:
                return Answer(value=found["value"])
            message = " ".join(str(found["message"]).split())[:MAX_MESSAGE]
            return Answer(reason=str(found["reason"]), message=message)
        except (OSError, ValueError, LookupError, TypeError):
            return None

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
