"""The job that makes a dataset: planning, rendering, packing, on any Beam engine."""

from dyso.pipeline.command import load, local_flags
from dyso.pipeline.job import Job, build, is_complete, run
from dyso.pipeline.progress import Progress, read_state
from dyso.pipeline.shard_report import Account, Failure, say_assets, say_failures

__all__ = [
    "Account",
    "Failure",
    "Job",
    "Progress",
    "build",
    "is_complete",
    "load",
    "local_flags",
    "read_state",
    "run",
    "say_assets",
    "say_failures",
]
