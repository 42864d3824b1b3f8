"""The command line `dyso`: one module per command, imported only when it runs."""

from __future__ import annotations

import importlib
import os
import sys

from dyso import __version__
from dyso.streams import run_command

COMMANDS = {
    "assets": "turn ShapeNet, mesh and HDRI folders into catalogs; fill the cache",
    "doctor": "check whether this machine can render, and how to fix it",
    "plan": "estimate the size and cost of a dataset from a pilot of its scenes",
    "generate": "make the dataset of a spec on this machine",
    "status": "show the progress of the job that makes a dataset",
    "render": "render one scene to PNG, EXR or npz",
    "show": "print one record",
    "stats": "print distributions of patterns, categories, sizes, visibility",
    "preview": "write contact sheets, an animation and a page to browse",
    "view": "show scenes in Rerun, in 3D and over time",
    "export": "write a dataset in the formats of other projects",
    "publish": "copy a dataset or an export to the Hub, a bucket or a folder",
    "videos": "turn a folder of videos into clips to train on",
    "train": "train DyST, RUST, SRT or a video prior on a dataset",
    "evaluate": "measure a trained model, and write a report with pictures",
    "manipulate": "freeze or transfer a video's camera or dynamics",
    "fit": "fit a dynamic 3D model to one scene, or to a text",
    "score": "score any method's predictions on a dataset's exact truth",
    "curves": "draw the learning curves of runs",
    "weights": "write a trained model as one small file",
    "validate": "check checksums, counts and geometry of a dataset",
}


TRAINED = ("train", "evaluate", "manipulate", "fit", "weights")
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
            "For a command's options: dyso COMMAND --help. Also: dyso --version.",
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
    from dyso.cli.arguments import parse, refusal  # tyro takes half a second.

    name, *rest = arguments
    if name not in COMMANDS:
        raise refusal("dyso", "command", name, COMMANDS)
    if name in TRAINED and sys.platform == "linux":
        _use_large_pages()
    command = importlib.import_module(f"dyso.cli.{name}")
    if hasattr(command, "select"):
        # `dyso train PRESET`: the preset sets the defaults of the other options.
        # `dyso videos ingest`: each action has other options.
        name, main, rest = command.select(rest)
    else:
        main = command.main
    return parse(main, f"dyso {name}", rest)()


def _use_large_pages() -> None:
    """Replaces this process by the same command with large memory pages.

    On a CPU, XLA frees the memory of each step and allocates it anew. With small pages
    this takes up to a third of the time (docs/training.md). The C library reads the
    setting only when a program starts. A value that the user has set is kept.
    """
    if "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
