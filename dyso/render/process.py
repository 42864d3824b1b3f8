"""A worker process: start, requests, answers and end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from dyso.child_process import (
    END_TIMEOUT,
    START_TIMEOUT,
    ChildProcess,
    Deadline,
    signal_name,
)
from dyso.render.protocol import (
    Answer,
    RenderError,
    parse_line,
    read_arrays,
    request_line,
)
from dyso.render.resources import Activity, activity, process_memory, scratch_folder
from dyso.render.views import Views
from dyso.sampling.scene import Scene

WATCH_SECONDS = 0.25  # between two checks of the memory
LINE_BYTES = 100_000  # limit for an answer

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
        self._began = Activity()
        with contextlib.ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder())
            self._child = ChildProcess(
                [*command, "--scratch", str(self._folder)],
                max_line=LINE_BYTES,
                environment=environment,
            )
            self._files = stack.pop_all()
        # The process may have ended already; then waiting for an answer reports why.
        with contextlib.suppress(OSError):
            # If memory is short, the kernel should kill the worker, not this process.
            Path(f"/proc/{self._child.pid}/oom_score_adj").write_text("1000")
        if cpu is not None and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self._child.pid, {cpu})

    def render(
        self, scene: Scene, timeout: float, watch: Callable[[int], None]
    ) -> Views:
        """See `Renderer.render`; `timeout` is in seconds."""
        if not self.served:
            start = self._next_answer(Deadline(START_TIMEOUT), lambda views: None)
            self._start_timings = start.timings
        self.served += 1
        # A unique name, so that a file of an earlier request cannot be read instead.
        path = self._folder / f"views-{self.served}.npz"
        self._began = activity(self._child.pid)
        deadline = Deadline(timeout)
        try:
            self._child.send(request_line(scene, path), deadline)
        except TimeoutError:
            raise self._late(deadline) from None
        except EOFError:
            raise self._crash() from None
        answer = self._next_answer(deadline, watch)
        try:
            arrays = read_arrays(path, scene)
            path.unlink()
        except Exception as error:  # the file may have any content
            message = f"the worker's views do not match the scene: {error}"
            raise self._error("machine", message) from error
        return Views(
            **arrays,
            timings=self._start_timings | answer.timings,
            versions=answer.versions,
        )

    def _next_answer(self, deadline: Deadline, watch: Callable[[int], None]) -> Answer:
        while True:
            memory = process_memory(self._child.pid)
            if memory > self._memory:
                raise self._error(
                    "memory",
                    f"the worker took {memory / 1e9:.1f} GB of memory, more than "
                    f"{self._memory / 1e9:.1f} GB",
                )
            try:
                wait = Deadline(min(WATCH_SECONDS, deadline.left()))
                line = self._child.read_line(wait)
                answer = parse_line(line)
            except TimeoutError:
                pass
            except EOFError:
                raise self._crash() from None
            except ValueError:
                message = f"the worker's answer is invalid: {line[:80]!r}"
                raise self._error("machine", message) from None
            else:
                if isinstance(answer, Answer):
                    return answer
                if isinstance(answer, RenderError):
                    answer.stderr = self._child.stderr
                    raise answer
                watch(answer)
            if not deadline.left():
                raise self._late(deadline)

    def _late(self, deadline: Deadline) -> RenderError:
        """Returns the error for a missed deadline."""
        late = f"the worker did not answer within {deadline.seconds:g} s"
        if not self.served:
            return self._error("machine", f"{late} of its start")
        now = activity(self._child.pid)
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
        status = self._child.wait(END_TIMEOUT / 2)
        last = self._child.last_words
        if status is None:
            return self._error("machine", f"the worker went silent: {last}")
        if status < 0 and -status not in _SCENES_SIGNALS:
            name, cause = signal_name(status), _SIGNAL_CAUSES.get(-status, "")
            return self._error("machine", f"the worker was ended by {name}{cause}")
        # Before the first request, no scene can be the cause.
        return self._error(
            "crash" if self.served else "machine",
            f"the worker ended with status {status}: {last}",
            kind=str(status),
        )

    def _error(self, reason: str, message: str, *, kind: str = "") -> RenderError:
        return RenderError(reason, message, kind=kind, stderr=self._child.stderr)

    def close(self) -> None:
        """Ends the process and removes its folder; may be called twice."""
        # No need to let the worker clean up: the folder is removed here.
        self._child.close()
        self._files.close()
