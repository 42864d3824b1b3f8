"""Renders scenes by `python -m dyso.worker`, again and again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from dyso.render.process import SCENES, RenderError, WorkerProcess
from dyso.render.views import Views
from dyso.sampling.scene import Scene
from dyso.spec import UserError

# What Cycles renders with, by Blender's names.
Device = Literal["cpu", "cuda", "optix", "hip", "metal", "oneapi"]
RECYCLE = 200  # scenes
MEMORY = 8_000_000_000  # bytes; on the starter assets a worker takes half a GB


def scene_seconds(scene: Scene) -> float:
    """Gives what a scene may take where nobody says: many times what it should.

    600 s, or 3 s a view and 2 s a million samples, if that is more.
    """
    height, width = scene.resolution
    views = scene.layout.views
    samples = views * height * width * scene.render.samples
    return max(600.0, 3 * views + 2e-6 * samples)


class Renderer:
    """One worker process; a context manager, not for sharing between threads."""

    def __init__(
        self,
        *,
        objects: str | Path,
        backgrounds: str | Path,
        timeout: float | None = None,
        recycle: int = RECYCLE,
        memory: int = MEMORY,
        cpu: int | None = None,
        device: Device = "cpu",
        command: Sequence[str] = (sys.executable, "-m", "dyso.worker"),
    ):
        """Starts nothing yet; the process starts with the first scene.

        Args:
          objects: the object catalog's manifest (`Catalog.manifest`).
          backgrounds: the HDRI catalog's manifest.
          timeout: seconds that one scene may take; None: see `scene_seconds`.
          recycle: scenes after which the process is replaced, since Blender's memory
            grows slowly.
          memory: bytes that the process may take; files that it has mapped, and that
            others share, do not count.
          cpu: pin the process to this CPU; None leaves it alone.
          device: what Cycles renders with. Pixels of a GPU differ slightly from those
            of a CPU; `Views.versions` says what rendered.
          command: starts the process, as of another environment; options are added.

        Raises:
          UserError: there is no such kind of device. Whether this machine has one is
            seen with the first scene.
        """
        if device not in get_args(Device):
            known = ", ".join(get_args(Device))
            raise UserError(f"device: must be one of {known}, got {device}")
        self._command = [*command, "--objects", str(objects)]
        self._command += ["--backgrounds", str(backgrounds), "--device", device]
        self._timeout, self._recycle, self._memory = timeout, recycle, memory
        self._cpu, self._device = cpu, device
        self._worker: WorkerProcess | None = None

    def render(
        self, scene: Scene, watch: Callable[[int], None] = lambda views: None
    ) -> Views:
        """Renders one scene.

        Args:
          scene: what to render.
          watch: called about each second, in this thread, with how many views of the
            scene there are.

        Raises:
          RenderError: the worker crashed, hung, took too much memory, answered
            nonsense, reported an error, or could not be started. The next call starts
            a fresh process, but after a reason in `SCENES`.
        """
        if self._worker is not None and self._worker.served >= self._recycle:
            self.close()
        if self._worker is None:
            environment = _environment(self._device)
            try:
                self._worker = WorkerProcess(
                    self._command, environment, self._memory, self._cpu
                )
            except OSError as error:
                raise RenderError(
                    "machine", f"the worker could not be started: {error}"
                ) from error
        try:
            timeout = self._timeout or scene_seconds(scene)
            return self._worker.render(scene, timeout, watch)
        except BaseException as error:
            # After a reported error too, for Blender's state may be anything; and where
            # `watch` raised, for the answer is yet to come.
            known = isinstance(error, RenderError) and error.reason
            if known not in SCENES:
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
