"""`dyso status`: where a job is, on this machine or another."""

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

SILENT_SECONDS = 120.0  # after which a job that says `running` is doubted
_Count = Annotated[int, Ge(0), Lt(2**60)]
_Number = Annotated[float, Ge(0), Lt(1e11)]


class _Asset(TypedDict):
    attempts: _Count
    message: str


class _State(TypedDict, total=False):
    """What is shown of a job's notes, which may be a stranger's."""

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
    """Show where the job is that makes a dataset; exit with 1 if it needs help.

    Reads what the job notes in its output every few seconds, so the job may be on
    another machine, as long as its output can be seen from here.

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
                f"{dataset}: no job has written here, or none of this program"
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
            f"{dataset}: what a job has noted here is damaged; the command that makes "
            "the dataset goes on from what is there"
        ) from error
    for line in lines:
        say(line)
    return 0 if state["state"] in ("running", "complete") else 1


def describe(dataset: str, state: Mapping[str, Any], silent: float) -> list[str]:
    """Returns a few lines for people.

    Args:
      dataset: the output, as it is called.
      state: see `dyso.pipeline.read_state`.
      silent: seconds since it was written.
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
        lines.append(f"{state['core_seconds_a_scene']:.2f} core-seconds a scene")
    if state["state"] == "complete":
        return [*lines, *pipeline.say_assets(state["assets"])]
    left = state["seconds_left"]
    if state["state"] == "running" and left is not None:
        lines[-1] += (
            f", {state['scenes_a_minute']:.1f} scenes a minute, "
            f"{timedelta(seconds=left)} left"
        )
    lines.append(
        f"by process {state['pid']} on {state['host']}, last heard of "
        f"{timedelta(seconds=round(silent))} ago"
    )
    if state["message"]:
        lines.append(state["message"])
    if state["state"] == "silent":
        lines.append(
            "its process or machine may be gone; the same command goes on from here"
        )
    return lines
