"""What this machine offers: system libraries for bpy, cores and memory for workers."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dyso.spec import UserError
from dyso.storage import tempdirs

# The libraries that bpy's wheel leaves to the system, and their packages in Debian.
PACKAGES = {
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
}
WORKER_BYTES = 1_200_000_000  # of memory, but for the views
SCRATCH_BYTES = 1_000_000_000  # free in memory, or temporary files go to a disk
LEAST_BYTES = 16_000_000  # free where they go, or nothing is started
CLAIM = "dyso-cpu"


def missing_libraries() -> list[str]:
    """Gives the sonames of libraries that bpy needs and this system lacks.

    Asks the dynamic loader about bpy's file, so that bpy itself is not loaded.

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
    # ldd says "libX.so.1 => not found" for bpy's own needs and for their needs.
    return sorted({line.split()[0] for line in lines if "not found" in line})


def require_system_libraries() -> None:
    """Checks that bpy can be loaded, in a fraction of a second.

    Raises:
      UserError: libraries are missing; one line with the command that installs them.
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
    """Gives the CPUs that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def usable_memory() -> int:
    """Gives the bytes of memory that are free for new processes."""
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
    """Gives how many worker processes this machine has cores and memory for.

    Args:
      view_bytes: of a scene, where they are many: the worker has them, a file in
        memory, and the process that writes the record.
    """
    each = WORKER_BYTES + 3 * view_bytes
    return max(1, min(len(usable_cpus()), usable_memory() // each))


@contextmanager
def claimed_cpu() -> Iterator[int | None]:
    """Gives a CPU that nobody else on this machine has claimed, or None.

    Threads and processes of any job and user may claim, and containers that share the
    machine's network; what a dead process held is free. Where a container may use only
    the time of some CPUs and not certain ones, nothing is claimed.
    """
    cpus = usable_cpus() if _cpu_share() >= len(usable_cpus()) else []
    for cpu in cpus:
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                # Abstract: a name in the kernel, whatever /tmp is here.
                claim.bind(f"\0{CLAIM}-{cpu}")
            except OSError:
                continue
            yield cpu
            return
    yield None


def _cpu_share() -> float:
    """Gives how many CPUs' time this control group may use."""
    try:
        text = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii")
        quota, period = text.split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def process_memory(pid: int) -> int:
    """Gives the bytes of memory that a process has for itself; 0 if it is gone."""
    try:
        statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    _, resident, shared, *_ = map(int, statm)
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a process has done since its start, as the kernel counts it.

    Attributes:
      ran: seconds on a CPU, all threads together.
      waited: seconds in which threads were ready to run and got no CPU.
      halted: it is stopped, or waits for a disk.
      at: when this was so, on the monotonic clock.
    """

    ran: float = 0.0
    waited: float = 0.0
    halted: bool = False
    at: float = field(default_factory=time.monotonic)


def activity(pid: int) -> Activity:
    """Returns what a process has done; nothing, where the kernel does not tell."""
    ran, waited, halted = 0.0, 0.0, False
    with suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        # What follows the name, which may hold anything: see proc(5).
        state, *numbers = stat.rpartition(")")[2].split()
        halted = state in "DTt"
        ran = sum(map(int, numbers[10:12])) / os.sysconf("SC_CLK_TCK")
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                text = (thread / "schedstat").read_text(encoding="ascii")
                waited += int(text.split()[1]) / 1e9
    return Activity(ran=ran, waited=waited, halted=halted)


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread that made it ends.

    However the parent ends, and whatever this process then hangs in.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def scratch_parent() -> str | None:
    """Gives a folder in memory for temporary files; None where there is little."""
    shared = Path("/dev/shm")
    if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > SCRATCH_BYTES:
        return str(shared)
    return None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Gives a folder for temporary files, in memory where there is much of it.

    It is removed at the end; those that killed processes left are removed before.

    Raises:
      OSError: there is no room in it.
    """
    for parent in (Path("/dev/shm"), Path(tempfile.gettempdir())):
        tempdirs.clean(parent)
    here = Path(scratch_parent() or tempfile.gettempdir())
    if shutil.disk_usage(here).free < LEAST_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(here))
    with tempdirs.made(here) as folder:
        yield folder
