"""The job's command line: its own options, then any of Beam's."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from apache_beam.options import pipeline_options

from dyso import assets
from dyso.pipeline.job import Job, run
from dyso.pipeline.runners import register_options
from dyso.pipeline.shard_report import say_failures
from dyso.render import Device, image_bytes
from dyso.render.system import default_workers
from dyso.spec import ResolvedSpec, Spec, UserError
from dyso.storage import open_folder
from dyso.terminal import say_error


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job on the engine that Beam's options name; by default on this machine.

    Args:
      argv: the arguments; None takes the process's.

    Returns:
      The exit status: 0, 2 on bad input, 130 on Ctrl-C and SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        register_options(argv)
    except UserError as error:
        say_error(error)
        return 2
    # Beam drops options that it does not know; a misspelt one must not go unseen.
    _parser(beam=True).parse_args(argv)
    args, flags = _parser(beam=False).parse_known_args(argv)
    try:
        resolved = load(args.spec, args.limit, args.overrides)
        if not any(flag.partition("=")[0] == "--runner" for flag in flags):
            flags = [*local_flags(None, resolved.spec), *flags]
        job = Job(
            resolved=resolved,
            output=open_folder(args.output),
            scenes_per_part=args.scenes_per_part,
            scenes_per_shard=args.scenes_per_shard,
            timeout=args.timeout,
            device=args.device,
        )
        accounts = run(job, flags)
    except UserError as error:
        say_error(error)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(
        f"{args.output}: {accounts['rendered']} of {accounts['planned']} scenes, "
        f"{say_failures(accounts['failed'])} failed"
    )
    return 0


def load(
    spec: Path, limit: int | None = None, overrides: Sequence[str] = ()
) -> ResolvedSpec:
    """Reads a spec and its catalogs.

    Args:
      spec: the YAML file.
      limit: at most this many scenes of every split. That is a dataset of its own,
        with an identity of its own, though its scenes are those of the whole one.
      overrides: `key=value` each, in place of the file's; see `dyso.spec.load_spec`.

    Raises:
      UserError: see `dyso.assets.load`.
    """
    resolved = assets.load(spec, overrides)
    if limit is None:
        return resolved
    if limit < 1:
        raise UserError(f"limit: must be at least 1, got {limit}")
    splits = {k: min(scenes, limit) for k, scenes in resolved.spec.splits.items()}
    return dataclasses.replace(
        resolved, spec=dataclasses.replace(resolved.spec, splits=splits)
    )


def local_flags(workers: int | None, spec: Spec | None = None) -> list[str]:
    """Gives Beam's options for this machine, a thread for every worker process.

    Args:
      workers: worker processes; None takes what cores and memory allow.
      spec: whose scenes they make, which memory depends on.

    Raises:
      UserError: there are to be no workers.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers: must be at least 1, got {workers}")
    workers = workers or default_workers(image_bytes(spec) if spec else 0)
    return [
        "--runner=FnApiRunner",
        "--direct_running_mode=multi_threading",
        f"--direct_num_workers={workers}",
    ]


def _parser(*, beam: bool) -> argparse.ArgumentParser:
    parser = pipeline_options._BeamArgumentParser(
        prog="beam_pipeline.py",
        description="Makes the dataset of a spec; the same command goes on after a "
        "stop. All other options are Beam's; without --runner it runs here, on all "
        "cores.",
        allow_abbrev=False,
        add_help=beam,
    )
    own = parser.add_argument_group("the dataset")
    own.add_argument("--spec", type=Path, required=True, help="the spec, a YAML file")
    own.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of the spec and its value, such as splits.train=100; repeatable",
    )
    own.add_argument(
        "--out",
        "--output",
        dest="output",
        required=True,
        help="where the dataset goes: a folder, s3://bucket/prefix or gs://bucket/prefix",
    )
    own.add_argument(
        "--limit", type=int, help="at most this many scenes of every split"
    )
    own.add_argument(
        "--scenes-per-part",
        "--scenes_per_part",
        type=int,
        help="that a worker does in one go",
    )
    own.add_argument(
        "--scenes-per-shard",
        "--scenes_per_shard",
        type=int,
        help="in a file of the dataset",
    )
    own.add_argument(
        "--timeout",
        type=float,
        help="seconds that one scene may take (default: 600, or 3 a view and 2 a "
        "million samples, if that is more)",
    )
    own.add_argument(
        "--device",
        choices=get_args(Device),
        default="cpu",
        help="what Cycles renders with (default: %(default)s); pixels of a GPU differ "
        "slightly from those of a CPU, and each record's `versions` say what rendered "
        "it",
    )
    if beam:
        kinds = pipeline_options.PipelineOptions.__subclasses__()
        # A class may be there twice when its module was loaded twice; as Beam does.
        for kind in {str(kind): kind for kind in kinds}.values():
            kind._add_argparse_args(parser)
    return parser
