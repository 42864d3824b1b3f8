"""Processes that decode videos, and what is left when one of them fails."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dyso.videos.listing import Video
from dyso.videos.options import Options

START_TIMEOUT = 180.0  # seconds
AHEAD = 8  # clips a worker, that wait for a slow one before them
MAX_RECORD = 1 << 30  # bytes
MAX_LINE = 100_000  # bytes
MAX_MESSAGE = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a video.

    Attributes:
      record: its clip; empty if there is none.
      frames: of the clip.
      reason: why there is none, see `dyso.videos.decoding.VideoError`.
      message: likewise, for people.
    """

    record: bytes = b""
    frames: int = 0
    reason: str = ""
    message: str = ""


def decode_all(
    root: Path, videos: Iterable[Video], options: Options, workers: int, timeout: float
) -> Generator[Answer, None, None]:
    """Decodes videos in processes; gives the answers in the order of the videos.

    Args:
      root: the folder that the videos' names are in.
      videos: what to decode.
      options: of the clips.
      workers: processes.
      timeout: seconds that a video may take.
    """
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    processes = [_Process(root, options, timeout) for _ in range(workers)]
    with contextlib.ExitStack() as stack:
        for process in processes:
            idle.put(process)
            stack.callback(process.close)
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        # Ends what threads still wait for, before the pool waits for them.
        for process in processes:
            stack.callback(process.stop)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)

        def decode(video: Video) -> Answer:
            process = idle.get()
            try:
                return process.decode(video)
            finally:
                idle.put(process)

        waiting: collections.deque[Future[Answer]] = collections.deque()
        rest = iter(videos)
        for video in itertools.islice(rest, AHEAD * workers):
            waiting.append(pool.submit(decode, video))
        while waiting:
            answer = waiting.popleft().result()
            for video in itertools.islice(rest, 1):
                waiting.append(pool.submit(decode, video))
            yield answer


class _Process:
    """One process at a time, that is replaced when it fails."""

    def __init__(self, root: Path, options: Options, timeout: float):
        self._root, self._timeout = root, timeout
        self._command = [sys.executable, "-m", "dyso.videos.worker"]
        self._command.append(json.dumps(dataclasses.asdict(options)))
        self._process: subprocess.Popen[bytes] | None = None
        # Open as long as this object is.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._stopped = False

    def decode(self, video: Video) -> Answer:
        if self._process is None:
            with self._limited(START_TIMEOUT) as late:
                self._start()
                started = self._line()
            if started != b"{}\n":
                raise RuntimeError(
                    f"a decoder did not start: {'late' if late else self._tail()}"
                )
        with self._limited(self._timeout) as late:
            answer = self._ask(video)
        if answer is not None and not late:
            return answer
        status = self._end()
        if late:
            return Answer(reason="timeout", message=f"not done in {self._timeout:g} s")
        how = f"status {status}: {self._tail()}"
        if status < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-status).name
        return Answer(reason="crash", message=f"the decoder ended with {how}")

    def _start(self) -> None:
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

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Iterator[list[bool]]:
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
        return self._process.stdout.readline(MAX_LINE)

    def _ask(self, video: Video) -> Answer | None:
        """Gives the answer; None is for no or a wrong one."""
        process = self._process
        assert process is not None and process.stdin and process.stdout
        request = dataclasses.asdict(video) | {"path": str(self._root / video.name)}
        del request["split"], request["size"]
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            head = json.loads(self._line())
            if "reason" in head:
                message = str(head["message"])[:MAX_MESSAGE]
                return Answer(reason=str(head["reason"])[:20], message=message)
            size, frames = int(head["bytes"]), int(head["frames"])
            if not 0 < size <= MAX_RECORD:
                return None
            record = process.stdout.read(size)
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return Answer(record=record, frames=frames) if len(record) == size else None

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
