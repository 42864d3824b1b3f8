"""What the rendering benchmark measures with: scenes, process trees, PSNR."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dyso.sampling import Scene, sample_scene
from dyso.spec import ResolvedSpec

PATTERNS = ("shift", "pan", "zoom", "random")
TIMEOUT = 24 * 3600.0  # seconds for one process: a reference takes hours


def choose_scenes(resolved: ResolvedSpec, count: int) -> list[Scene]:
    """Returns scenes of `train` that differ in what matters to a renderer.

    The patterns take turns, as do objects with a texture of their own and with a
    procedural material; HDRIs and objects repeat only when all have been shown, scenes
    never.
    """
    chosen: list[Scene] = []
    hdris: set[str] = set()
    objects: set[str] = set()
    taken: set[int] = set()
    index = 0
    while len(chosen) < count:
        turn = len(chosen)
        if len(hdris) == len(resolved.backgrounds_of("train")):
            hdris.clear()
        if index > 2000:  # Fewer textured objects than turns: show them again.
            objects.clear()
            index = 0
        scene = sample_scene(resolved, "train", index)
        index += 1
        [item] = scene.objects
        if (
            scene.index not in taken
            and scene.pattern == PATTERNS[turn % len(PATTERNS)]
            and scene.background.asset_id not in hdris
            and item.asset_id not in objects
            and (item.material is None) == ((turn + turn // len(PATTERNS)) % 2 == 0)
        ):
            chosen.append(scene)
            hdris.add(scene.background.asset_id)
            objects.add(item.asset_id)
            taken.add(scene.index)
            index = 0
    return chosen


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process and those it waited for used.

    Attributes:
      cpu: core-seconds, user and system.
      memory: bytes, the peak of the largest process.
    """

    cpu: float
    memory: int


def start(
    script: str,
    job: dict[str, Any],
    folder: Path,
    cpu: int,
    stdin: int | None = None,
    stdout: int | Any = sys.stderr,
) -> subprocess.Popen:
    """Starts a script of this folder on a job, pinned to a CPU.

    By affinity, with Blender's thread mode on AUTO: fixed to one thread, Blender's main
    thread spins and burns a second core.
    """
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    with (folder / "stderr").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), str(path)],
            stdin=stdin,
            stdout=stdout,
            stderr=log,
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_ENABLE_ONEDNN_OPTS": "0",
                "CUDA_VISIBLE_DEVICES": "",
            },
        )
    os.sched_setaffinity(process.pid, {cpu})
    return process


def finish(process: subprocess.Popen, folder: Path) -> Usage:
    """Waits for what `start` started.

    Raises:
      RuntimeError: it failed or did not end.
    """
    deadline = time.monotonic() + TIMEOUT
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"{process.args}: no end within {TIMEOUT:g} s")
            time.sleep(0.1)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        end(process)
    if process.returncode:
        tail = (folder / "stderr").read_text(errors="replace")[-4000:]
        raise RuntimeError(f"{process.args}: status {process.returncode}\n{tail}")
    return Usage(cpu=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss * 1024)


def end(process: subprocess.Popen) -> None:
    """Ends what `start` started, if it still runs."""
    if process.returncode is None:
        process.kill()
        process.wait()


@dataclass(frozen=True, kw_only=True)
class Quality:
    """PSNR in dB of 8-bit images against a 16-bit reference, both in [0, 1].

    Attributes:
      mean: of the squared error averaged over a scene's views; the mean over scenes.
      worst: of the worst single view.
    """

    mean: float
    worst: float


def quality(errors: Sequence[np.ndarray]) -> Quality:
    """Returns the quality from each scene's mean squared errors [views]."""
    return Quality(
        mean=float(np.mean([_decibels(scene.mean()) for scene in errors])),
        worst=_decibels(max(scene.max() for scene in errors)),
    )


def squared_errors(
    color: np.ndarray, folder: Path, views: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean squared errors [views] of images and of the objects' boxes.

    Args:
      color: [V, H, W, 3], uint8.
      folder: the scene's reference.
      views: those that the reference has; one without the object in sight has no box.
    """
    whole, boxed = [], []
    boxes = np.load(folder / "boxes.npy")
    for view in views:
        reference = np.load(folder / f"view-{view:02d}.npy") / 65535
        error = (color[view] / 255 - reference) ** 2
        whole.append(error.mean())
        y0, y1, x0, x1 = boxes[view]
        if y1 > y0 and x1 > x0:
            boxed.append(error[y0:y1, x0:x1].mean())
    return np.array(whole), np.array(boxed)


def _decibels(error: float) -> float:
    return float(-10 * np.log10(max(error, 1e-12)))
