"""`dyso ...`: one module a command, imported when it is the one that was asked for."""

from __future__ import annotations

import importlib
import os
import sys

from dyso import __version__
from dyso.streams import run_command

COMMANDS = {
    "assets": "turn ShapeNet, mesh and HDRI folders into catalogs; keep the cache",
    "doctor": "check that this machine can render, and say what to do",
    "plan": "what a dataset will hold and cost, from a pilot of its scenes",
    "generate": "make the dataset of a spec on this machine",
    "status": "where the job is that makes a dataset, here or elsewhere",
    "render": "render one scene to PNG, EXR or npz",
    "show": "print one record",
    "stats": "distributions of patterns, categories, sizes, visibility",
    "preview": "contact sheets, an animation and a page to browse",
    "view": "open scenes in Rerun, in three dimensions and over time",
    "export": "write a dataset in other people's formats",
    "videos": "turn a folder of videos into clips to train on",
    "train": "train DyST, RUST or a baseline on a dataset",
    "evaluate": "measure a trained model, and write a report with pictures",
    "manipulate": "freeze or transfer a video's camera or dynamics",
    "validate": "check checksums, counts and geometry of a dataset",
}


TRAINED = ("train", "evaluate", "manipulate")
"""The commands that compute with JAX."""


def usage() -> str:
    """Returns the overview that `dyso --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [
            "usage: dyso COMMAND ...",
            "",
            *lines,
            "",
            "dyso COMMAND --help tells more; dyso --version names the version.",
        ]
    )


def main() -> None:
    """Runs the command line; exits with 2 on bad input, 130 on Ctrl-C."""
    sys.exit(run_command(lambda: _run(sys.argv[1:])))


def _run(arguments: list[str]) -> int | None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"dyso {__version__}")
        return 0
    from dyso.cli.arguments import parse, refusal  # Imports for half a second.

    name, *rest = arguments
    if name not in COMMANDS:
        raise refusal("dyso", "command", name, COMMANDS)
    if name in TRAINED and sys.platform == "linux":
        _use_large_pages()
    command = importlib.import_module(f"dyso.cli.{name}")
    if hasattr(command, "select"):
        # `dyso train PRESET`: the preset gives the other options their defaults;
        # `dyso videos ingest`: an action has options of its own.
        name, main, rest = command.select(rest)
    else:
        main = command.main
    return parse(main, f"dyso {name}", rest)()


def _use_large_pages() -> None:
    """Starts this command again, in its own place, with large pages for its memory.

    On a CPU, XLA gives the memory of a step back after it and asks for it anew: page
    by page, that takes up to a third of the time (docs/training.md). The C library
    learns of it as a program starts and at no other time; what it was told by the user
    stays.
    """
    if "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
