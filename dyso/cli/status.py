"""`dyso status`: the progress of a job, on this machine or another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Required

import pydantic
import tyro
from annotated_types import Ge, Lt
from typing_extensions import TypedDict

from dyso import pipeline
from dyso.spec import UserError
from dyso.storage import open_folder, require_folder
from dyso.terminal import say

SILENT_SECONDS = 120.0  # without an update, after which a job counts as silent
_Count = Annotated[int, Ge(0), Lt(2**60)]
_Number = Annotated[float, Ge(0), Lt(1e11)]


class _Asset(TypedDict):
    attempts: _Count
    message: str


class _State(TypedDict, total=False):
    """The part of a job's state file that is shown. The file may be untrusted."""

    state: Required[str]
    planned: Required[_Count]
    rendered: Required[_Count]
    failed: Required[dict[str, _Count]]
    bytes: Required[_Count]
    core_seconds_a_scene: Required[_Number]
    making: _Number
    scenes_a_minute: _Number
    seconds_left: _Number | None
    updated: _Number
    host: str
    pid: int
    message: str
    assets: dict[str, _Asset]


def main(dataset: tyro.conf.Positional[str], /) -> int:
    """Show the progress of the job that makes a dataset.

    The exit status is 0 if the job is running or complete, and 1 if it is stopped,
    failed or silent. The job writes its state to its output every few seconds.
    Therefore it may run on another machine, as long as this one can read the output.

    Args:
      dataset: the output of the job: a folder, s3://bucket/prefix or
        gs://bucket/prefix.
    """
    if "://" not in dataset:
        require_folder(dataset)
    try:
        state: Any = pipeline.read_state(open_folder(dataset))
        if state is None:
            raise UserError(
                f"{dataset}: no job of dyso has written here; expected the --out of "
                "dyso generate"
            )
        state = pydantic.TypeAdapter(_State).validate_python(state)
        silent = time.time() - state.get("updated", time.time())
        if state["state"] == "running" and silent > SILENT_SECONDS:
            state["state"] = "silent"
        lines = describe(dataset, state, silent)
    except OSError as error:
        raise UserError(f"{dataset}: cannot be read: {error.strerror}") from error
    except (
        *(ValueError, LookupError, TypeError, AttributeError),
        *(ArithmeticError, RecursionError),
    ) as error:
        raise UserError(
            f"{dataset}: the job's state file is damaged; run the command that makes "
            "the dataset to resume the job and to rewrite the file"
        ) from error
    for line in lines:
        say(line)
    return 0 if state["state"] in ("running", "complete") else 1


def describe(dataset: str, state: Mapping[str, Any], silent: float) -> list[str]:
    """Returns lines that describe a job's state.

    Args:
      dataset: the output, as the user has named it.
      state: see `dyso.pipeline.read_state`.
      silent: seconds since the state was written.
    """
    planned, failed = state["planned"], state["failed"]
    done = state["rendered"] + sum(failed.values())
    share = (done + state.get("making", 0)) / max(planned, 1)
    lines = [
        f"{dataset}: {state['state']}",
        f"{done} of {planned} scenes ({share:.1%}), "
        f"{pipeline.say_failures(failed)} failed, {state['bytes'] / 1e9:.2f} GB",
    ]
    if state["core_seconds_a_scene"]:
        lines.append(f"{state['core_seconds_a_scene']:.2f} core-seconds per scene")
    if state["state"] == "complete":
        return [*lines, *pipeline.say_assets(state["assets"])]
    left = state["seconds_left"]
    if state["state"] == "running" and left is not None:
        lines[-1] += (
            f", {state['scenes_a_minute']:.1f} scenes per minute, "
            f"{timedelta(seconds=left)} left"
        )
    lines.append(
        f"process {state['pid']} on {state['host']}, last update "
        f"{timedelta(seconds=round(silent))} ago"
    )
    if state["message"]:
        lines.append(state["message"])
    if state["state"] == "silent":
        lines.append(
            "its process or machine may have died; run the same command to resume"
        )
    return lines
