"""The job that makes a dataset on any Beam runner: planning, rendering and packing."""

from dyso.pipeline.command import load, local_flags
from dyso.pipeline.job import Job, build, is_complete, run
from dyso.pipeline.progress import Progress, read_state
from dyso.pipeline.shard_report import Failure, ShardReport, say_assets, say_failures

__all__ = [
    "Failure",
    "Job",
    "Progress",
    "ShardReport",
    "build",
    "is_complete",
    "load",
    "local_flags",
    "read_state",
    "run",
    "say_assets",
    "say_failures",
]
