"""A worker process: its start, requests, answers, and its end."""

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

from dyso.render.system import Activity, activity, process_memory, scratch_folder
from dyso.render.views import Views
from dyso.sampling.scene import Scene

START_TIMEOUT = 180.0  # seconds; a cold disk reads bpy's 1 GB slowly
END_TIMEOUT = 10.0  # seconds, for a killed process to be gone
WATCH_SECONDS = 0.25  # between looks at its memory
STDERR_LINES = 40
# What is longer, or more, is no worker's answer, and must not fill our memory.
LINE_BYTES = 100_000
ANSWERS = 8
VIEWS = b'{"views":'  # begins a line that is no answer yet

SCENES = ("asset", "unseen")
"""Reasons that are the scene's own: the same on every machine."""
UNCERTAIN = ("crash", "error", "memory", "timeout")
"""Reasons that may be the scene's or the machine's; only repetition can tell."""
FINAL = ("device", "manifest", "storage")
"""Reasons for which no scene can be rendered, whatever is tried."""
REASONS = (*SCENES, *UNCERTAIN, "machine", *FINAL)

# A mesh can bring Blender to these. All others come from elsewhere: SIGKILL from the
# kernel where memory is short, SIGBUS from a full file system in memory.
_SCENES_SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE)
_WHEN: dict[int, str] = {
    signal.SIGKILL: ", as the kernel does when memory is short",
    signal.SIGBUS: ", as the kernel does when /dev/shm is full",
}
# A worker that ran less than this share of its time, and waited for a CPU more than
# that share, was kept from its work.
_RAN, _WAITED = 0.9, 0.1


class RenderError(Exception):
    """A scene could not be rendered.

    Attributes:
      reason: one word for counting. The scene's own: `asset` or `unseen` (physics moves
        the objects out of sight). The scene's or the machine's: `crash`, `error` (a
        Python exception), `memory` (more than the limit) or `timeout`. The machine's:
        `machine`, such as a full disk, a killed worker or one that got no CPU. And
        `device` (this machine has none of the kind), `manifest` (it cannot be read)
        and `storage` (assets cannot be fetched), so that no scene can be rendered.
      kind: tells failures of the same reason apart, such as the exit status.
      asset: the id of the asset that is to blame, or empty.
      stderr: the tail of the worker's standard error.
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
        """Whether no scene can be rendered, whatever is tried."""
        # Sampling again while a storage is down would make the data depend on that.
        return self.reason in FINAL


class WorkerProcess:
    """One process, from its start to its end.

    Attributes:
      served: scenes that it was asked for.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        memory: int,
        cpu: int | None,
    ):
        """Starts it, with a folder of its own for temporary files.

        Args:
          command: starts the worker; `--scratch FOLDER` is added.
          environment: of the process.
          memory: bytes that it may take.
          cpu: pin it to this CPU.

        Raises:
          OSError: this machine has no room for the folder, or for the process.
        """
        self.served = 0
        self._memory = memory
        self._start_timings: dict[str, float] = {}
        self._stderr: collections.deque[str] = collections.deque(maxlen=STDERR_LINES)
        self._answers: queue.Queue[bytes | None] = queue.Queue(ANSWERS)
        self._told: bytes | None = None  # last, of the views that there are
        self._began = Activity()
        with contextlib.ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder())
            command = [*command, "--scratch", str(self._folder)]
            started: Future[subprocess.Popen[bytes]] = Future()
            # The process ends with the thread that makes it, so not in the caller's,
            # which an engine may end: see `end_with_parent`.
            runner = threading.Thread(
                target=self._run, args=(command, environment, started), daemon=True
            )
            runner.start()
            self._process = started.result(START_TIMEOUT)
            reader = threading.Thread(target=self._read_answers, daemon=True)
            reader.start()
            self._readers = (runner, reader)
            self._files = stack.pop_all()
        # It may be gone already; its first answer will then say why.
        with contextlib.suppress(OSError):
            # Where memory gets short, the kernel shall not end us in its place.
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
        # A name of its own, so that no answer to anything else can pass for this one.
        path = self._folder / f"views-{self.served}.npz"
        request = f'{{"scene":{scene.to_json()},"output":{json.dumps(str(path))}}}\n'
        deadline, what = time.monotonic() + timeout, f"{timeout:g} s"
        self._told = None
        self._began = activity(self._process.pid)
        self._send(request.encode(), deadline, what)
        answer = self._next_answer(deadline, what, watch)
        try:
            arrays = _read_arrays(path, scene)
            path.unlink()
        except Exception as error:  # anything may be in that file
            message = f"the worker's views are not the scene's: {error}"
            raise self._error("machine", message) from error
        return Views(
            **arrays,
            timings=self._start_timings | answer["timings"],
            versions=answer["versions"],
        )

    def _send(self, request: bytes, deadline: float, what: str) -> None:
        """Writes as much at a time as surely does not wait for the worker to read."""
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
        except (OSError, ValueError) as error:  # it is gone, or `close` was called
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
            raise self._nonsense(line) from None
        # Of an exception's message, what follows its name may name temporary files.
        kind = message.partition(":")[0] if reason == "error" else ""
        raise self._error(reason, message, kind=kind, asset=asset)

    def _next_line(
        self, deadline: float, what: str, watch: Callable[[int], None]
    ) -> bytes | None:
        """Waits for an answer's line; None is the end of the worker's output."""
        while True:
            memory = process_memory(self._process.pid)
            if memory > self._memory:
                raise self._error(
                    "memory",
                    f"the worker took {memory / 1e9:.1f} GB of memory, more than "
                    f"{self._memory / 1e9:.1f} GB",
                )
            told, self._told = self._told, None
            if told is not None:
                try:
                    views = int(json.loads(told)["views"])
                except (ValueError, LookupError, TypeError, OverflowError):
                    raise self._nonsense(told) from None
                watch(views)
            left = deadline - time.monotonic()
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=min(WATCH_SECONDS, max(0.0, left)))
            if left <= 0:
                raise self._late(deadline, what)

    def _nonsense(self, line: bytes) -> RenderError:
        return self._error("machine", f"the worker's answer is none: {line[:80]!r}")

    def _late(self, deadline: float, what: str) -> RenderError:
        """Says why no answer came in time; `what` is that time, in words."""
        late = f"the worker did not answer within {what}"
        if not self.served:
            return self._error("machine", late)
        now = activity(self._process.pid)
        seconds = time.monotonic() - self._began.at
        ran, waited = now.ran - self._began.ran, now.waited - self._began.waited
        if now.halted:
            return self._error("machine", f"{late}: it is stopped, or waits for a disk")
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
            name, when = _signal_name(-status), _WHEN.get(-status, "")
            return self._error("machine", f"the worker was ended by {name}{when}")
        # At its start it knows of no scene.
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
        """Starts the process, and reads what it says until it ends."""
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # In a session of its own, so that Ctrl-C reaches us alone.
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
                    self._told = line
                else:
                    self._answers.put_nowait(line)
            self._answers.put_nowait(None)

    def close(self) -> None:
        """Ends the process and removes its folder; safe to call twice."""
        # Nothing in it is worth waiting for: the folder is removed here.
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
    """Gives lines, long ones in pieces."""
    return iter(lambda: stream.readline(LINE_BYTES), b"")


def _read_arrays(path: Path, scene: Scene) -> dict[str, Any]:
    """Reads the arrays of a scene's views; raises anything if they are not those."""
    # A file that `np.load` opens itself stays open if it is no archive.
    with path.open("rb") as file, np.load(file) as loaded:
        arrays: dict[str, Any] = dict(loaded)
    own = (len(scene.objects), scene.steps)
    pixels = (*scene.layout.shape, *scene.resolution)
    wanted: dict[str, tuple[tuple[int, ...], type]] = {
        "color": ((*pixels, 3), np.uint8),
        "depth": (pixels, np.float32),
        "instance": (pixels, np.uint8),
        "category": (pixels, np.uint8),
        "positions": ((*own, 3), np.float64),
        "quaternions": ((*own, 4), np.float64),
        "sizes": ((own[0], 3), np.float64),
    }
    vectors = {"normal", "object_coordinates"}
    for name in vectors & {*scene.render.layers}:
        wanted[name] = ((*pixels, 3), np.float32)
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if found != wanted:
        raise ValueError(f"arrays {found}")
    return dict.fromkeys(vectors) | arrays
