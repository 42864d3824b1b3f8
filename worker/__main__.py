"""`python -m dyso.worker`: serves scenes, or renders one and exits.

Requests and answers are lines of JSON, see `dyso.render.protocol`. The process ends at
the end of its input, or when its parent has exited.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any, get_args

from dyso.child_process import open_answers, write_line
from dyso.render import Device
from dyso.render.protocol import failure
from dyso.render.resources import scratch_parent

_ROOM = 1_000_000  # bytes that must be free in addition to the size of an image
_UNUSED = ("tensorflow", "sklearn", "sklearn.utils")
"""What Kubric imports for functions that the worker never calls.

These functions copy files to and from buckets and hash names for Cryptomatte. Without
the imports, a worker starts in a third of the CPU time and takes 0.7 GB less memory.
"""


def main() -> int:
    """Parses the command line, serves or renders, and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dyso.worker",
        description="Serve scenes, one JSON line each, or render one and exit.",
    )
    parser.add_argument("--objects", required=True, help="manifest of the objects")
    parser.add_argument("--backgrounds", required=True, help="manifest of the HDRIs")
    parser.add_argument(
        "--scratch", help="folder for temporary files, removed at the end"
    )
    parser.add_argument(
        "--device",
        choices=get_args(Device),
        default="cpu",
        help="what Cycles renders with (default: %(default)s)",
    )
    parser.add_argument("--scene", help="a Scene as JSON: render this one and exit")
    parser.add_argument("--output", help="with --scene: the .npz to write")
    arguments = parser.parse_args()
    if bool(arguments.scene) != bool(arguments.output):
        parser.error("--scene and --output go together")
    answers = open_answers()
    with _scratch(arguments.scratch) as scratch:
        from . import device

        try:
            device.select(arguments.device)
        except device.DeviceError as error:
            write_line(answers, failure("device", str(error)))
            return 1

        _leave_out(*_UNUSED)
        from .stage import Stage

        manifests = arguments.objects, arguments.backgrounds
        try:
            stage = Stage(*manifests, scratch, arguments.device)
        except Exception as error:
            message = f"cannot read {' or '.join(manifests)}: {error}"
            write_line(answers, failure("manifest", message))
            return 1
        try:
            if arguments.scene:
                request = {
                    "scene": json.loads(Path(arguments.scene).read_text()),
                    "output": arguments.output,
                }
                answer = _answer(stage, request)
                write_line(answers, answer)
                return int(not answer["ok"])
            start = {"ok": True, "timings": {"start": sum(os.times()[:2])}}
            write_line(answers, start)
            for line in sys.stdin:
                request = json.loads(line)
                answer = _answer(
                    stage, request, lambda progress: write_line(answers, progress)
                )
                write_line(answers, answer)
        finally:
            stage.close()
    return 0


def _leave_out(*names: str) -> None:
    """Makes later imports of these modules return empty modules."""
    for name in names:
        sys.modules[name] = module_from_spec(ModuleSpec(name, loader=None))


@contextlib.contextmanager
def _scratch(folder: str | None) -> Iterator[Path]:
    """Yields the scratch folder, by default one in memory, and removes it at the end.

    The worker removes the folder itself, so it is removed even if the parent is killed.
    """
    parent = scratch_parent()
    path = Path(folder or tempfile.mkdtemp(prefix="dyso-worker-", dir=parent))
    # Blender and Kubric create temporary folders and do not remove them.
    os.environ["TMPDIR"] = tempfile.tempdir = str(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _answer(
    stage: Any,
    request: dict[str, Any],
    report: Callable[[dict[str, int]], None] = lambda progress: None,
) -> dict[str, Any]:
    import numpy as np

    from dyso.sampling.scene import Scene

    from .errors import AssetError, StorageError, UnseenError

    parent, last_report = os.getppid(), time.monotonic()

    def before_view(views: int) -> None:
        nonlocal last_report
        if os.getppid() != parent:
            sys.exit("the parent process is gone")
        if views and time.monotonic() - last_report >= 1:
            report({"views": views})
            last_report = time.monotonic()

    room = _ROOM
    try:
        scene = Scene.from_json(json.dumps(request["scene"]))
        height, width = scene.resolution
        room += 16 * height * width  # Blender's image: four float32 per pixel
        views = stage.render(scene, before_view)
        np.savez(request["output"], **views.arrays())
    except StorageError as error:
        return failure("storage", str(error))
    except UnseenError as error:
        return failure("unseen", str(error))
    except Exception as error:
        fault = _machine_fault(error, Path(request["output"]).parent, room)
        if fault is not None:
            return failure("machine", _describe(fault))
        if isinstance(error, AssetError):
            return failure("asset", str(error), error.asset)
        traceback.print_exc()
        return failure("error", _describe(error))
    return {"ok": True, "timings": views.timings, "versions": views.versions}


def _machine_fault(error: Exception, folder: Path, room: int) -> BaseException | None:
    """Returns the fault of this machine that may have caused an error, or None.

    Blender and the libraries that read its files seldom report the cause of a failure:
    on a full disk, one of them reports "0 parts" in an image. Therefore this function
    also tests whether the temporary folder has enough space.

    Args:
      error: the error that ended the scene.
      folder: the folder for temporary files.
      room: the bytes that a temporary file needs.
    """
    from .errors import is_machine_fault

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, room)
    except OSError as full:
        full.filename = str(folder)
        return full
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or is_machine_fault(cause):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _describe(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Skips Blender's shutdown, which may hang.
    os._exit(status)
