"""The job's command line: its own options, then any of Beam's."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from dyso import assets
from dyso.pipeline.job import Job, run
from dyso.pipeline.shard_report import say_failures
from dyso.render import Device, image_bytes
from dyso.render.resources import default_workers
from dyso.spec import ResolvedSpec, Spec, UserError
from dyso.storage import open_folder
from dyso.terminal import say_error, stopped


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job on the runner that Beam's options name; by default on this machine.

    Args:
      argv: the arguments; None stands for `sys.argv`.

    Returns:
      The exit status: 0, 2 on bad input, 130 on Ctrl-C and SIGTERM.
    """
    from dyso.pipeline.runners import register_options

    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        register_options(argv)
    except UserError as error:
        say_error(error)
        return 2
    # Beam ignores unknown options; a misspelt one must be an error.
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
        metadata = run(job, flags)
    except UserError as error:
        say_error(error)
        return 2
    except KeyboardInterrupt:
        return stopped()
    print(
        f"{args.output}: {metadata['rendered']} of {metadata['planned']} scenes, "
        f"{say_failures(metadata['failed'])} failed"
    )
    return 0


def load(
    spec: Path, limit: int | None = None, overrides: Sequence[str] = ()
) -> ResolvedSpec:
    """Reads a spec and its catalogs.

    Args:
      spec: the YAML file.
      limit: at most this many scenes of every split. The result is another dataset
        with another identity, although its scenes equal those of the full dataset.
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
    """Returns Beam's options for this machine: one thread for every worker process.

    Args:
      workers: the number of worker processes; None: as many as cores and memory allow.
      spec: the spec of the scenes, whose size decides how much memory a worker needs.

    Raises:
      UserError: `workers` is below 1.
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
    from apache_beam.options import pipeline_options

    parser = pipeline_options._BeamArgumentParser(
        prog="beam_pipeline.py",
        description="Makes the dataset of a spec. After a stop, the same command "
        "resumes the job. All other options are Beam's. Without --runner, the job "
        "runs on all cores of this machine.",
        allow_abbrev=False,
        add_help=beam,
    )
    group = parser.add_argument_group("the dataset")
    group.add_argument("--spec", type=Path, required=True, help="the spec, a YAML file")
    group.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of the spec and its value, such as splits.train=100; repeatable",
    )
    group.add_argument(
        "--out",
        "--output",
        dest="output",
        required=True,
        help="where the dataset goes: a folder, s3://bucket/prefix or gs://bucket/prefix",
    )
    group.add_argument(
        "--limit", type=int, help="at most this many scenes of every split"
    )
    group.add_argument(
        "--scenes-per-part",
        "--scenes_per_part",
        type=int,
        help="scenes that a worker renders in one task",
    )
    group.add_argument(
        "--scenes-per-shard",
        "--scenes_per_shard",
        type=int,
        help="scenes in one file of the dataset",
    )
    group.add_argument(
        "--timeout",
        type=float,
        help="time limit for one scene in seconds (default: 600, or 3 per view plus 2 "
        "per million samples, whichever is larger)",
    )
    group.add_argument(
        "--device",
        choices=get_args(Device),
        default="cpu",
        help="device that Cycles renders on (default: %(default)s); a GPU's pixels "
        "differ slightly from a CPU's, and each record's `versions` name the device",
    )
    if beam:
        kinds = pipeline_options.PipelineOptions.__subclasses__()
        # A module that was loaded twice registers its class twice. Beam does the same.
        for kind in {str(kind): kind for kind in kinds}.values():
            kind._add_argparse_args(parser)
    return parser
