"""The resources of this machine: libraries for bpy, CPUs and memory for workers."""

from __future__ import annotations

import errno
import importlib.util
import math
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dyso.spec import UserError
from dyso.storage import tempdirs

# The system libraries that bpy's wheel needs, and their Debian packages.
PACKAGES = {
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
}
WORKER_BYTES = 1_000_000_000
"""Memory to plan for a worker process, in addition to the views.

A worker was seen to take 0.5 GB, of which 0.2 GB are libraries that all workers share,
and 0.64 GB at the peak with procedural assets. The rest is for larger meshes and
HDRIs. What grows with the number of pixels is planned by `default_workers`.
"""
SCRATCH_BYTES = 1_000_000_000
"""Minimum free space in /dev/shm for temporary files."""
LEAST_BYTES = 16_000_000
"""Minimum free space for temporary files to start a worker."""
CLAIM = "dyso-cpu"
"""Prefix of the sockets by which workers claim CPUs."""


def missing_libraries() -> list[str]:
    """Returns the sonames of the libraries that bpy needs and this system lacks.

    It runs `ldd` on bpy's file and does not load bpy itself.

    Raises:
      UserError: bpy is not installed.
    """
    spec = importlib.util.find_spec("bpy")
    if spec is None or spec.origin is None:
        raise UserError("bpy is not installed: run `pip install dyso[generate]`")
    module = Path(spec.origin)
    if module.suffix != ".so":
        module = module.with_name("__init__.so")
    listing = subprocess.run(
        ["ldd", module], capture_output=True, text=True, timeout=60, check=False
    )
    lines = (listing.stdout + listing.stderr).splitlines()
    # ldd prints "libX.so.1 => not found" for direct and indirect dependencies.
    return sorted({line.split()[0] for line in lines if "not found" in line})


def require_system_libraries() -> None:
    """Checks in a fraction of a second that bpy's system libraries are installed.

    Raises:
      UserError: libraries are missing; the message has the command to install them.
    """
    missing = missing_libraries()
    if not missing:
        return
    packages = sorted(PACKAGES[name] for name in missing if name in PACKAGES)
    others = sorted(set(missing) - PACKAGES.keys())
    advice = []
    if packages:
        advice.append(f"run `apt-get install {' '.join(packages)}`")
    if others:
        advice.append(f"install what provides {', '.join(others)}")
    raise UserError(f"system libraries are missing for bpy: {' and '.join(advice)}")


def usable_cpus() -> list[int]:
    """Returns the CPUs that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def usable_memory() -> int:
    """Returns the free memory for new processes, in bytes."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


def default_workers(view_bytes: int = 0) -> int:
    """Returns how many worker processes the CPUs and the memory allow, at least 1.

    Args:
      view_bytes: size of a scene's views. They exist three times: in the worker, in a
        file in memory, and in the process that writes the record.
    """
    each = WORKER_BYTES + 3 * view_bytes
    return max(1, min(len(usable_cpus()), usable_memory() // each))


@contextmanager
def claimed_cpu() -> Iterator[int | None]:
    """Yields a CPU that no other worker on this machine has claimed, or None.

    Claims work between threads and processes of all jobs and users, and between
    containers that share the host's network. The claim of a process ends with it. In a
    container with a CPU quota nothing is claimed, since the quota names no CPUs.
    """
    cpus = usable_cpus() if _cpu_share() >= len(usable_cpus()) else []
    for cpu in cpus:
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                # An abstract socket is a name in the kernel, independent of /tmp.
                claim.bind(f"\0{CLAIM}-{cpu}")
            except OSError:
                continue
            yield cpu
            return
    yield None


def _cpu_share() -> float:
    """Returns the CPU quota of this control group, in CPUs."""
    try:
        text = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii")
        quota, period = text.split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def process_memory(pid: int) -> int:
    """Returns the private memory of a process in bytes; 0 if it has ended."""
    try:
        statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    _, resident, shared, *_ = map(int, statm)
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Activity:
    """The kernel's counters of a process since its start.

    Attributes:
      ran: CPU time of all threads, in seconds.
      waited: time that threads waited for a CPU, in seconds.
      halted: whether the process is stopped or waits for a disk.
      at: time of the measurement on the monotonic clock, in seconds.
    """

    ran: float = 0.0
    waited: float = 0.0
    halted: bool = False
    at: float = field(default_factory=time.monotonic)


def activity(pid: int) -> Activity:
    """Returns the counters of a process; zeros if the kernel does not provide them."""
    ran, waited, halted = 0.0, 0.0, False
    with suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        # Skip the process name, which may contain any character; see proc(5).
        state, *numbers = stat.rpartition(")")[2].split()
        halted = state in "DTt"
        ran = sum(map(int, numbers[10:12])) / os.sysconf("SC_CLK_TCK")
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                text = (thread / "schedstat").read_text(encoding="ascii")
                waited += int(text.split()[1]) / 1e9
    return Activity(ran=ran, waited=waited, halted=halted)


def scratch_parent() -> str | None:
    """Returns /dev/shm for temporary files; None if it has too little free space."""
    shared = Path("/dev/shm")
    if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > SCRATCH_BYTES:
        return str(shared)
    return None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yields a folder for temporary files, in /dev/shm if it has enough free space.

    The folder is removed at the end. Folders of killed processes are removed first.

    Raises:
      OSError: the disk is full.
    """
    for parent in (Path("/dev/shm"), Path(tempfile.gettempdir())):
        tempdirs.clean(parent)
    parent = Path(scratch_parent() or tempfile.gettempdir())
    if shutil.disk_usage(parent).free < LEAST_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(parent))
    with tempdirs.tempdir(parent) as folder:
        yield folder
