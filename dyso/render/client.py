"""Runs `python -m dyso.worker` and talks to it."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, get_args

import numpy as np

from dyso.render.system import scratch_parent
from dyso.render.views import Views
from dyso.sampling.scene import Scene
from dyso.spec import UserError

# What Cycles renders with, by Blender's names.
Device = Literal["cpu", "cuda", "optix", "hip", "metal", "oneapi"]
RECYCLE = 200  # scenes
START_TIMEOUT = 180.0  # seconds; a cold disk reads bpy's 1 GB slowly
STDERR_LINES = 40


class RenderError(Exception):
    """A scene could not be rendered.

    Attributes:
      reason: one word for counting: `crash`, `timeout`, `asset` or `error`; or
        `device` (this machine has none of the kind) or `manifest` (it cannot be read),
        so that no scene can be rendered.
      asset: the id of the asset that is to blame, or empty.
      stderr: the tail of the worker's standard error.
    """

    def __init__(self, reason: str, message: str, *, asset: str = "", stderr: str = ""):
        super().__init__(message)
        self.reason, self.asset, self.stderr = reason, asset, stderr

    @property
    def final(self) -> bool:
        """Whether no scene can be rendered, whatever is tried."""
        return self.reason in ("device", "manifest")


class Renderer:
    """One worker process; a context manager, not for sharing between threads."""

    def __init__(
        self,
        *,
        objects: str | Path,
        backgrounds: str | Path,
        timeout: float = 600.0,
        recycle: int = RECYCLE,
        cpu: int | None = None,
        device: Device = "cpu",
    ):
        """Starts nothing yet; the process starts with the first scene.

        Args:
          objects: the object catalog's manifest (`Catalog.manifest`).
          backgrounds: the HDRI catalog's manifest.
          timeout: seconds that one scene may take.
          recycle: scenes after which the process is replaced, since Blender's memory
            grows slowly.
          cpu: pin the process to this CPU; None leaves it alone.
          device: what Cycles renders with. Pixels of a GPU differ slightly from those
            of a CPU; `Views.versions` says what rendered.

        Raises:
          UserError: there is no such kind of device. Whether this machine has one is
            seen with the first scene.
        """
        if device not in get_args(Device):
            known = ", ".join(get_args(Device))
            raise UserError(f"device: must be one of {known}, got {device}")
        self._manifests = str(objects), str(backgrounds)
        self._timeout, self._recycle = timeout, recycle
        self._cpu, self._device = cpu, device
        self._worker: _Worker | None = None

    def render(self, scene: Scene) -> Views:
        """Renders one scene.

        Raises:
          RenderError: the worker crashed, hung, or reported an error. The next call
            starts a fresh process.
        """
        if self._worker is not None and self._worker.served >= self._recycle:
            self.close()
        if self._worker is None:
            self._worker = _Worker(*self._manifests, self._cpu, self._device)
        try:
            return self._worker.render(scene, self._timeout)
        except RenderError as error:
            # After a reported error too: Blender's state may be anything.
            if error.reason != "asset":
                self.close()
            raise

    def close(self) -> None:
        """Ends the process and removes its files; safe to call twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def __enter__(self) -> Renderer:
        """Gives itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes."""
        self.close()


class _Worker:
    """One process, from its start to its end."""

    def __init__(self, objects: str, backgrounds: str, cpu: int | None, device: Device):
        self.served = 0
        self._start_timings: dict[str, float] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="dyso-", dir=scratch_parent()))
        self._stderr: collections.deque[str] = collections.deque(maxlen=STDERR_LINES)
        self._answers: queue.Queue[str | None] = queue.Queue()
        command = [sys.executable, "-m", "dyso.worker", "--objects", objects]
        command += ["--backgrounds", backgrounds, "--scratch", str(self._folder)]
        command += ["--device", device]
        # In a session of its own, so that Ctrl-C reaches us alone and we end it.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env=_environment(device),
        )
        if cpu is not None and hasattr(os, "sched_setaffinity"):
            # It may be gone already; its first answer will then say why.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self._process.pid, {cpu})
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_answers, self._process.stdout),
                (self._read_stderr, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def render(self, scene: Scene, timeout: float) -> Views:
        if not self.served:
            ready = self._next_answer(
                time.monotonic() + START_TIMEOUT, f"{START_TIMEOUT:g} s of its start"
            )
            self._start_timings = ready["timings"]
        self.served += 1
        path = self._folder / "views.npz"
        request = f'{{"scene":{scene.to_json()},"output":{json.dumps(str(path))}}}\n'
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except OSError as error:
            raise self._crash() from error
        answer = self._next_answer(time.monotonic() + timeout, f"{timeout:g} s")
        try:
            with np.load(path) as arrays:
                fields: dict[str, Any] = dict(arrays)
        except (OSError, ValueError) as error:
            raise RenderError("crash", f"unreadable views: {error}") from error
        path.unlink()
        absent = {"normal": None, "object_coordinates": None}
        return Views(
            **absent | fields,
            timings=self._start_timings | answer["timings"],
            versions=answer["versions"],
        )

    def _next_answer(self, deadline: float, what: str) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            message = f"the worker did not answer within {what}"
            raise RenderError("timeout", message, stderr=self._tail()) from None
        if line is None:
            raise self._crash()
        try:
            answer = json.loads(line)
            assert isinstance(answer, dict)
        except (ValueError, AssertionError):
            message = f"the worker's answer is not JSON: {line[:80]!r}"
            raise RenderError("crash", message, stderr=self._tail()) from None
        if not answer.get("ok"):
            raise RenderError(
                answer.get("reason", "error"),
                answer.get("message", "the worker gave no reason"),
                asset=answer.get("asset", ""),
                stderr=self._tail(),
            )
        return answer

    def _crash(self) -> RenderError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._readers[1].join(1)
        status = self._process.returncode
        tail = self._tail()
        last = tail.splitlines()[-1] if tail else "no message"
        message = f"the worker ended with status {status}: {last}"
        return RenderError("crash", message, stderr=tail)

    def _tail(self) -> str:
        return "".join(self._stderr)

    def _read_answers(self, stream: IO[str]) -> None:
        for line in stream:
            self._answers.put(line)
        self._answers.put(None)

    def _read_stderr(self, stream: IO[str]) -> None:
        for line in stream:
            self._stderr.append(line)

    def close(self) -> None:
        # Nothing in it is worth waiting for: the folder is removed here.
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(5)
        for stream in (
            self._process.stdin,
            self._process.stdout,
            self._process.stderr,
        ):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _environment(device: Device) -> dict[str, str]:
    """Keeps TensorFlow, which Kubric imports, quiet and off a GPU that is not asked."""
    own = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYTHONUNBUFFERED": "1",
    }
    # Cycles finds its CUDA and OptiX devices by this variable too.
    if device not in ("cuda", "optix"):
        own["CUDA_VISIBLE_DEVICES"] = ""
    return os.environ | own
