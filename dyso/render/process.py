"""A worker process: start, requests, answers and end."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

import numpy as np

from dyso.render.resources import Activity, activity, process_memory, scratch_folder
from dyso.render.views import Views
from dyso.sampling.scene import Scene

START_TIMEOUT = 180.0  # seconds; reading bpy's 1 GB from a cold disk is slow
END_TIMEOUT = 10.0  # seconds until a killed process must have ended
WATCH_SECONDS = 0.25  # between two checks of the memory
STDERR_LINES = 40
# Limits for the output of a worker, which must not fill the memory of this process.
LINE_BYTES = 100_000
ANSWERS = 8
VIEWS = b'{"views":'  # start of a line that reports progress instead of an answer

SCENE_REASONS = ("asset", "unseen")
"""Reasons caused by the scene, the same on every machine."""
UNCERTAIN_REASONS = ("crash", "error", "memory", "timeout")
"""Reasons caused by the scene or by the machine; only repetition can tell."""
FINAL_REASONS = ("device", "manifest", "storage")
"""Reasons for which this machine cannot render any scene."""
REASONS = (*SCENE_REASONS, *UNCERTAIN_REASONS, "machine", *FINAL_REASONS)

# A mesh can make Blender end with these signals. All others have other causes: SIGKILL
# comes from the kernel if memory is short, SIGBUS from a full file system in memory.
_SCENES_SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE)
_SIGNAL_CAUSES: dict[int, str] = {
    signal.SIGKILL: ", as the kernel does when memory is short",
    signal.SIGBUS: ", as the kernel does when /dev/shm is full",
}
# The machine is to blame for a time-out if the worker ran for less than `_RAN` of the
# time and waited for a CPU for more than `_WAITED` of it.
_RAN, _WAITED = 0.9, 0.1


class RenderError(Exception):
    """A scene could not be rendered.

    Attributes:
      reason: one word for counting. Caused by the scene: `asset` or `unseen` (physics
        moves the objects out of sight). Caused by the scene or the machine: `crash`,
        `error` (a Python exception), `memory` (above the limit) or `timeout`. Caused by
        the machine: `machine`, for example a full disk, a killed worker or a busy CPU.
        No scene can be rendered after `device` (the machine has no such device),
        `manifest` (it cannot be read) and `storage` (assets cannot be fetched).
      kind: distinguishes failures of the same reason, for example by exit status.
      asset: the id of the asset that caused the failure, or empty.
      stderr: the end of the worker's standard error.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        kind: str = "",
        asset: str = "",
        stderr: str = "",
    ):
        super().__init__(message)
        self.reason, self.kind = reason, kind
        self.asset, self.stderr = asset, stderr

    @property
    def final(self) -> bool:
        """Whether no scene can be rendered on this machine."""
        # If scenes were sampled again during an outage, the data would depend on it.
        return self.reason in FINAL_REASONS


class WorkerProcess:
    """One worker process, from its start to its end.

    Attributes:
      served: number of scenes requested so far.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        memory: int,
        cpu: int | None,
    ):
        """Starts the process with a new folder for its temporary files.

        Args:
          command: command that starts the worker; `--scratch FOLDER` is appended.
          environment: environment variables of the process.
          memory: memory limit in bytes.
          cpu: CPU to pin the process to, or None.

        Raises:
          OSError: there is no space for the folder, or the process cannot be started.
        """
        self.served = 0
        self._memory = memory
        self._start_timings: dict[str, float] = {}
        self._stderr: collections.deque[str] = collections.deque(maxlen=STDERR_LINES)
        self._answers: queue.Queue[bytes | None] = queue.Queue(ANSWERS)
        self._views_line: bytes | None = None  # the last progress report, if new
        self._began = Activity()
        with contextlib.ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder())
            command = [*command, "--scratch", str(self._folder)]
            started: Future[subprocess.Popen[bytes]] = Future()
            # The process ends with the thread that starts it (see `end_with_parent`).
            # A Beam runner may end the calling thread, so this needs another thread.
            starter = threading.Thread(
                target=self._run, args=(command, environment, started), daemon=True
            )
            starter.start()
            self._process = started.result(START_TIMEOUT)
            reader = threading.Thread(target=self._read_answers, daemon=True)
            reader.start()
            self._readers = (starter, reader)
            self._files = stack.pop_all()
        # The process may have ended already; then waiting for an answer reports why.
        with contextlib.suppress(OSError):
            # If memory is short, the kernel should kill the worker, not this process.
            Path(f"/proc/{self._process.pid}/oom_score_adj").write_text("1000")
        if cpu is not None and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self._process.pid, {cpu})

    def render(
        self, scene: Scene, timeout: float, watch: Callable[[int], None]
    ) -> Views:
        """See `Renderer.render`; `timeout` is in seconds."""
        if not self.served:
            ready = self._next_answer(
                time.monotonic() + START_TIMEOUT, f"{START_TIMEOUT:g} s of its start"
            )
            self._start_timings = ready["timings"]
        self.served += 1
        # A unique name, so that a file of an earlier request cannot be read instead.
        path = self._folder / f"views-{self.served}.npz"
        request = f'{{"scene":{scene.to_json()},"output":{json.dumps(str(path))}}}\n'
        deadline, what = time.monotonic() + timeout, f"{timeout:g} s"
        self._views_line = None
        self._began = activity(self._process.pid)
        self._send(request.encode(), deadline, what)
        answer = self._next_answer(deadline, what, watch)
        try:
            arrays = _read_arrays(path, scene)
            path.unlink()
        except Exception as error:  # the file may have any content
            message = f"the worker's views do not match the scene: {error}"
            raise self._error("machine", message) from error
        return Views(
            **arrays,
            timings=self._start_timings | answer["timings"],
            versions=answer["versions"],
        )

    def _send(self, request: bytes, deadline: float, what: str) -> None:
        """Writes in chunks of PIPE_BUF, which never block after a successful poll."""
        pipe = self._process.stdin
        assert pipe is not None
        try:
            poll = select.poll()
            poll.register(pipe, select.POLLOUT)
            for start in range(0, len(request), select.PIPE_BUF):
                if not poll.poll(1000 * max(0.0, deadline - time.monotonic())):
                    raise self._late(deadline, what)
                pipe.write(request[start : start + select.PIPE_BUF])
                pipe.flush()
        except (OSError, ValueError) as error:  # it has ended, or `close` was called
            raise self._crash() from error

    def _next_answer(
        self,
        deadline: float,
        what: str,
        watch: Callable[[int], None] = lambda views: None,
    ) -> dict[str, Any]:
        line = self._next_line(deadline, what, watch)
        if line is None:
            raise self._crash()
        try:
            answer = json.loads(line)
            if answer["ok"]:
                timings, versions = answer["timings"], answer.get("versions", {})
                return {
                    "timings": {str(key): float(timings[key]) for key in timings},
                    "versions": {str(key): str(versions[key]) for key in versions},
                }
            reason, message = str(answer["reason"]), str(answer["message"])
            asset = str(answer["asset"])
            if reason not in REASONS:
                raise ValueError(reason)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise self._invalid_answer(line) from None
        # The text after the exception's name may contain names of temporary files.
        kind = message.partition(":")[0] if reason == "error" else ""
        raise self._error(reason, message, kind=kind, asset=asset)

    def _next_line(
        self, deadline: float, what: str, watch: Callable[[int], None]
    ) -> bytes | None:
        """Waits for the line of an answer; returns None at the end of the output."""
        while True:
            memory = process_memory(self._process.pid)
            if memory > self._memory:
                raise self._error(
                    "memory",
                    f"the worker took {memory / 1e9:.1f} GB of memory, more than "
                    f"{self._memory / 1e9:.1f} GB",
                )
            views_line, self._views_line = self._views_line, None
            if views_line is not None:
                try:
                    views = int(json.loads(views_line)["views"])
                except (ValueError, LookupError, TypeError, OverflowError):
                    raise self._invalid_answer(views_line) from None
                watch(views)
            left = deadline - time.monotonic()
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=min(WATCH_SECONDS, max(0.0, left)))
            if left <= 0:
                raise self._late(deadline, what)

    def _invalid_answer(self, line: bytes) -> RenderError:
        return self._error("machine", f"the worker's answer is invalid: {line[:80]!r}")

    def _late(self, deadline: float, what: str) -> RenderError:
        """Returns the error for a missed deadline; `what` is the time limit as text."""
        late = f"the worker did not answer within {what}"
        if not self.served:
            return self._error("machine", late)
        now = activity(self._process.pid)
        seconds = time.monotonic() - self._began.at
        ran, waited = now.ran - self._began.ran, now.waited - self._began.waited
        if now.halted:
            return self._error(
                "machine", f"{late}: it is stopped or waiting for a disk"
            )
        if ran < _RAN * seconds and waited > _WAITED * seconds:
            return self._error(
                "machine",
                f"{late}: of {seconds:.0f} s it ran {ran:.0f} s and waited "
                f"{waited:.0f} s for a CPU, which is busy with something else",
            )
        return self._error("timeout", late)

    def _crash(self) -> RenderError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_TIMEOUT / 2)
        self._readers[0].join(1)
        status = self._process.returncode
        tail = self._tail()
        last = tail.splitlines()[-1] if tail else "no message"
        if status is None:
            return self._error("machine", f"the worker went silent: {last}")
        if status < 0 and -status not in _SCENES_SIGNALS:
            name, cause = _signal_name(-status), _SIGNAL_CAUSES.get(-status, "")
            return self._error("machine", f"the worker was ended by {name}{cause}")
        # Before the first request, no scene can be the cause.
        return self._error(
            "crash" if self.served else "machine",
            f"the worker ended with status {status}: {last}",
            kind=str(status),
        )

    def _error(
        self, reason: str, message: str, *, kind: str = "", asset: str = ""
    ) -> RenderError:
        return RenderError(reason, message, kind=kind, asset=asset, stderr=self._tail())

    def _tail(self) -> str:
        return "".join(self._stderr.copy())

    def _run(
        self,
        command: list[str],
        environment: dict[str, str],
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
            for line in _lines(stream):
                self._stderr.append(line.decode(errors="replace"))

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream, contextlib.suppress(queue.Full):
            for line in _lines(stream):
                if line.startswith(VIEWS):
                    self._views_line = line
                else:
                    self._answers.put_nowait(line)
            self._answers.put_nowait(None)

    def close(self) -> None:
        """Ends the process and removes its folder; may be called twice."""
        # No need to let the worker clean up: the folder is removed here.
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_TIMEOUT)
        for reader in self._readers:
            reader.join(END_TIMEOUT / 2)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._files.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yields lines; those longer than `LINE_BYTES` in pieces."""
    return iter(lambda: stream.readline(LINE_BYTES), b"")


def _read_arrays(path: Path, scene: Scene) -> dict[str, Any]:
    """Reads the arrays of a scene's views.

    Raises:
      Exception: the file is not an archive of these arrays. NumPy may raise anything.
    """
    # If `np.load` opens the file itself, it stays open if it is not an archive.
    with path.open("rb") as file, np.load(file) as loaded:
        arrays: dict[str, Any] = dict(loaded)
    poses = (len(scene.objects), scene.steps)
    pixels = (*scene.layout.shape, *scene.resolution)
    expected: dict[str, tuple[tuple[int, ...], type]] = {
        "color": ((*pixels, 3), np.uint8),
        "depth": (pixels, np.float32),
        "instance": (pixels, np.uint8),
        "category": (pixels, np.uint8),
        "positions": ((*poses, 3), np.float64),
        "quaternions": ((*poses, 4), np.float64),
        "sizes": ((len(scene.objects), 3), np.float64),
    }
    vectors = {"normal", "object_coordinates"}
    for name in vectors & {*scene.render.layers}:
        expected[name] = ((*pixels, 3), np.float32)
    actual = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if actual != expected:
        raise ValueError(f"arrays {actual}")
    return dict.fromkeys(vectors) | arrays
