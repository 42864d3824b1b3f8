"""This worker's rows: scenes rendered by `dyso.render.Renderer`, as the pipeline does.

`render.py` starts it as `python benchmarks/served.py JOB` for a row, in a process of
its own, and calls `speed` and `soak`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dyso.render import Renderer
from dyso.sampling import Scene

TIMEOUT = 3600.0  # seconds a scene, and for another process to catch up


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """One scene of a soak.

    Attributes:
      cpu: core-seconds of the worker process.
      memory: bytes resident after the scene.
      peak: the most bytes resident so far.
    """

    cpu: float
    memory: int
    peak: int


def main(job: dict[str, Any]) -> None:
    """Renders the job's scenes; without any, starts a worker and ends it.

    Encoding is measured apart: no other row does it.
    """
    out = Path(job["out"])
    scenes = [Scene.from_json(json.dumps(scene)) for scene in job["scenes"]]
    timings: dict[str, float] = {}
    encode = 0.0
    begin = time.process_time()
    from dyso.records import encode as to_record

    excluded = time.process_time() - begin
    if not scenes:
        _start_and_kill(job)
    with Renderer(
        objects=job["objects"], backgrounds=job["hdris"], timeout=TIMEOUT
    ) as renderer:
        for i, scene in enumerate(scenes):
            views = renderer.render(scene)
            np.save(
                out / f"color-{i}.npy", views.color.reshape(-1, *views.color.shape[2:])
            )
            for stage, seconds in views.timings.items():
                if stage != "start":  # the process's, not the scene's
                    timings[stage] = timings.get(stage, 0.0) + seconds
            begin = time.process_time()
            to_record(scene, views)
            encode += time.process_time() - begin
    report = {"timings": timings, "encode": encode, "excluded": excluded + encode}
    (out / "report.json").write_text(json.dumps(report))


def _start_and_kill(job: dict[str, Any]) -> None:
    """Starts a worker and ends it as `Renderer` does, when it says that it is ready."""
    command = [sys.executable, "-m", "dyso.worker", "--objects", job["objects"]]
    command += ["--backgrounds", job["hdris"], "--scratch", job["scratch"]]
    Path(job["scratch"]).mkdir()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as worker:
        assert worker.stdout is not None and worker.stdout.readline()
        worker.kill()


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast workers are that run at the same time.

    Attributes:
      rate: scenes a second of wall time, of all workers.
      cpu: core-seconds a scene, the mean over workers; unlike the rate it shows what
        workers cost each other on a machine that others use too.
    """

    rate: float
    cpu: float


def speed(scenes: list[Scene], manifests: tuple[str, str], cpus: list[int]) -> Speed:
    """Renders all scenes on each CPU at the same time, a worker pinned to each."""
    together = threading.Barrier(len(cpus))

    def work(cpu: int) -> tuple[float, float]:
        with Renderer(
            objects=manifests[0], backgrounds=manifests[1], timeout=TIMEOUT, cpu=cpu
        ) as renderer:
            renderer.render(scenes[0])  # the start is no part of the rate
            together.wait(TIMEOUT)
            begin = time.monotonic()
            used = sum(renderer.render(scene).timings["cpu"] for scene in scenes)
            rate = len(scenes) / (time.monotonic() - begin)
            together.wait(TIMEOUT)  # nobody's worker ends while another's is measured
            return rate, used / len(scenes)

    with ThreadPoolExecutor(len(cpus)) as pool:
        rates, used = zip(*pool.map(work, cpus), strict=True)
    return Speed(rate=sum(rates), cpu=sum(used) / len(used))


def soak(
    scenes: list[Scene], count: int, manifests: tuple[str, str], cpu: int
) -> Iterator[Soaked]:
    """Renders the scenes over and over, `count` in all, in one worker."""
    others = _children()
    with Renderer(
        objects=manifests[0],
        backgrounds=manifests[1],
        timeout=TIMEOUT,
        recycle=count + 2,
        cpu=cpu,
    ) as renderer:
        renderer.render(scenes[0])
        [worker] = _children() - others
        used = _cpu_seconds(worker)
        for i in range(count):
            renderer.render(scenes[i % len(scenes)])
            now = _cpu_seconds(worker)
            memory, peak = (_bytes(worker, key) for key in ("VmRSS", "VmHWM"))
            yield Soaked(cpu=now - used, memory=memory, peak=peak)
            used = now


def _children() -> set[int]:
    """Returns the processes whose parent is this one."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # It has just ended.
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(path.parent.name))
    return found


def _bytes(process: int, key: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    [kilobytes] = (line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return int(kilobytes) * 1024


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
