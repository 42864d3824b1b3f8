"""`dyso doctor`: checks whether this machine can render, and how to fix it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dyso.render import resources
from dyso.spec import UserError

IMPORT_SECONDS = 180
# The packages that the worker imports in addition to bpy.
MODULES = (
    "kubric",
    "pybullet",
    "OpenEXR",
    "pyquaternion",
    "scipy",
    "embreex",
    "tensorflow",
)
DISK_BYTES = 2_000_000_000
SCENE_BYTES = 800_000
SHARED_BYTES = 64_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of a check.

    Attributes:
      ok: whether the check passed.
      text: what was found; if the check failed, also how to fix it.
    """

    ok: bool
    text: str


def main(*, out: Path = Path()) -> int:
    """Check whether this machine can render, and say how to fix what is missing.

    Args:
      out: the folder for datasets, whose disk is checked.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "python": check_python,
        "packages": check_packages,
        "libraries": check_libraries,
        "bpy": check_bpy,
        "cores": check_cores,
        "memory": check_memory,
        "shm": check_shared_memory,
        "disk": lambda: check_disk(out),
    }
    problems = 0
    for name, check in checks.items():
        finding = check()
        problems += not finding.ok
        print(f"{'ok' if finding.ok else 'PROBLEM':8} {name:10} {finding.text}")
    if problems:
        print(f"{problems} of {len(checks)} checks found a problem")
        return 1
    print(
        "this machine can render; next: dyso generate specs/demo.yaml --out data/demo"
    )
    return 0


def check_python() -> Finding:
    """Checks Python's version: bpy's wheels are for one version."""
    version = platform.python_version()
    if sys.version_info[:2] == (3, 11):
        return Finding(ok=True, text=f"{version} at {sys.executable}")
    return Finding(ok=False, text=f"{version}; install Python 3.11, which bpy needs")


def check_packages() -> Finding:
    """Checks that the packages of the worker are installed."""
    missing = [m for m in ("bpy", *MODULES) if importlib.util.find_spec(m) is None]
    if missing:
        text = f"missing {', '.join(missing)}; run `pip install 'dyso[generate]'`"
        return Finding(ok=False, text=text)
    return Finding(ok=True, text=f"bpy, {', '.join(MODULES)}")


def check_libraries() -> Finding:
    """Checks the system libraries that bpy loads."""
    try:
        resources.require_system_libraries()
    except UserError as error:
        return Finding(ok=False, text=str(error))
    return Finding(ok=True, text="all libraries that bpy loads")


def check_bpy() -> Finding:
    """Imports bpy in a separate process."""
    # `os._exit`, because Blender may hang at exit.
    script = "import bpy, os; print(bpy.app.version_string, flush=True); os._exit(0)"
    command = [sys.executable, "-c", script]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        text = f"not imported within {IMPORT_SECONDS} s; is the disk very slow?"
        return Finding(ok=False, text=text)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        status = error.returncode
        text = f"import fails with status {status}: {last}; fix this, or reinstall bpy"
        return Finding(ok=False, text=text)
    return Finding(ok=True, text=done.stdout.strip().splitlines()[-1])


def check_cores() -> Finding:
    """Counts the usable cores."""
    count = len(resources.usable_cpus())
    return Finding(ok=True, text=f"{count}, so at most {count} workers")


def check_memory() -> Finding:
    """Checks that the free memory is enough for at least one worker."""
    free = resources.usable_memory()
    text = f"{free / 1e9:.1f} GB free, {resources.WORKER_BYTES / 1e9:.1f} GB per worker"
    if free < resources.WORKER_BYTES:
        return Finding(ok=False, text=f"{text}; end other programs or add memory")
    return Finding(ok=True, text=f"{text}: {resources.default_workers()} workers")


def check_shared_memory() -> Finding:
    """Checks /dev/shm, through which workers return views."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        return Finding(ok=True, text=f"{folder} is not there; the disk serves instead")
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e6:.0f} MB free in {folder}"
    if free < SHARED_BYTES * resources.default_workers():
        need = f"{SHARED_BYTES / 1e6:.0f} MB per worker are needed"
        return Finding(ok=False, text=f"{text}; {need} (docker run --shm-size=1g)")
    return Finding(ok=True, text=text)


def check_disk(out: Path) -> Finding:
    """Checks the disk for datasets."""
    folder = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Finding(
            ok=False, text=f"{folder} is not writable; choose another folder"
        )
    if free < DISK_BYTES:
        return Finding(ok=False, text=f"{text}; free some space or choose another disk")
    # Approximate: while a shard is packed, its parts exist as well.
    return Finding(ok=True, text=f"{text}, about {free // SCENE_BYTES:,} scenes")
