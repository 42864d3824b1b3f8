"""Renders scenes in a worker process, `python -m dyso.worker`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from dyso.render.process import WorkerProcess
from dyso.render.protocol import SCENE_REASONS, RenderError
from dyso.render.views import Views
from dyso.sampling.scene import Scene
from dyso.spec import UserError

# Devices that Cycles can render on, by Blender's names.
Device = Literal["cpu", "cuda", "optix", "hip", "metal", "oneapi"]
RECYCLE = 200  # scenes
MEMORY = 8_000_000_000  # bytes; several times what a worker needs


def scene_seconds(scene: Scene) -> float:
    """Returns the default time limit for a scene, several times its expected duration.

    It is 600 s, or 3 s per view plus 2 s per million samples, whichever is larger.
    """
    height, width = scene.resolution
    views = scene.layout.views
    samples = views * height * width * scene.render.samples
    return max(600.0, 3 * views + 2e-6 * samples)


class Renderer:
    """One worker process; a context manager that is not thread-safe."""

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
        """Stores the settings; the process starts with the first scene.

        Args:
          objects: the manifest of the object catalog (`Catalog.manifest`).
          backgrounds: the manifest of the HDRI catalog.
          timeout: time limit for one scene in seconds; None: see `scene_seconds`.
          recycle: number of scenes after which the process is replaced, since
            Blender's memory grows slowly.
          memory: memory limit of the process in bytes, without mapped files and shared
            memory.
          cpu: CPU to pin the process to; None does not pin it.
          device: device that Cycles renders on. The pixels of a GPU differ slightly
            from those of a CPU. `Views.versions` names the device.
          command: command that starts the process, for example in another Python
            environment; options are appended.

        Raises:
          UserError: the device is unknown. A device that this machine lacks is an error
            of the first scene.
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
          scene: the scene.
          watch: called about once a second, in this thread, with the number of views
            rendered so far.

        Raises:
          RenderError: the worker crashed, hung, exceeded the memory limit, returned an
            invalid answer, reported an error, or could not be started. The next call
            starts a new process, unless the reason is in `SCENE_REASONS`.
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
            # Also after a reported error, since Blender's state is unknown then, and
            # after an exception of `watch`, since the answer is still to come.
            reason = isinstance(error, RenderError) and error.reason
            if reason not in SCENE_REASONS:
                self.close()
            raise

    def close(self) -> None:
        """Ends the process and removes its files; may be called twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def __enter__(self) -> Renderer:
        """Returns the renderer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the renderer."""
        self.close()


def _environment(device: Device) -> dict[str, str]:
    """Returns environment variables for the worker.

    They silence TensorFlow, which Kubric imports, and hide GPUs if not requested.
    """
    variables = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYTHONUNBUFFERED": "1",
    }
    # Cycles also uses this variable to find CUDA and OptiX devices.
    if device not in ("cuda", "optix"):
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return os.environ | variables
