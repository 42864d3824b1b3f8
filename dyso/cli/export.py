"""`dyso export`: a dataset in the formats of other projects."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import sys
import time
from pathlib import Path

import tyro

from dyso.cli.bar import Bar
from dyso.export import FORMATS, Export, format_named
from dyso.spec import UserError
from dyso.terminal import stopped

_PYTHON = {
    "sunds": 'import sunds; print(sunds.builder("kubric/msn_ms_v4.3a", '
    "data_dir={out}).as_dataset(split={split}))",
    "multi_shapenet": 'import sunds; print(sunds.builder("multi_shapenet", '
    "data_dir={out}).as_dataset(split={split}))",
    "tfrecord": "import tensorflow_datasets as tfds; "
    "print(tfds.builder({name}, data_dir={out}).info)",
    "webdataset": "import glob, webdataset; "
    'urls = sorted(glob.glob({out} + "/*.tar")); '
    "print(next(iter(webdataset.WebDataset(urls, shardshuffle=False))).keys())",
    "parquet": "import datasets; print(datasets.load_dataset({out}))",
    "coco": "from pycocotools.coco import COCO; "
    'COCO({out} + "/annotations/instances_" + {split_name} + ".json").info()',
    "pixelsplat": "import torch; "
    'chunk = torch.load({folder_name} + "/000000.torch"); '
    'print([(example["key"], example["cameras"].shape) for example in chunk])',
    "tapvid": "import glob, pickle; "
    'videos = pickle.load(open(sorted(glob.glob({out} + "/*.pkl"))[0], "rb")); '
    'print({{name: video["points"].shape for name, video in videos.items()}})',
    "tapvid3d": "import numpy; "
    'print({{**numpy.load({scene} + "/cam_000.npz")}}["tracks_XYZ"].shape)',
    "mvtracker": "from mvtracker.datasets import KubricMultiViewDataset; "
    "print(KubricMultiViewDataset({folder_name}, seq_len={steps}, "
    "num_views={cameras}, ratio_very_dynamic=0)[0])",
    "bop": "from bop_toolkit_lib import inout; "
    'print(inout.load_scene_gt({scene} + "/scene_gt.json")[0])',
}
"""Python that reads an export or a scene of it, by format."""
_SHELL = {
    "nerfstudio": "ns-train splatfacto --data {capture}/transforms_scene.json",
    "dnerf": "cd HexPlane && python main.py config=config/dnerf_slim.yaml "
    "data.datadir={scene} data.downsample={downsample}",
    "dynerf": "cd 4DGaussians && python train.py -s {scene} "
    "--expname scene_{number} --configs arguments/dynerf/default.py",
    "d3dgs": "cd 4DGaussians && python train.py -s {scene} --expname scene_{number}",
    "nsff": "cd Neural-Scene-Flow-Fields/nsff_exp && python run_nerf.py "
    "--config configs/config_kid-running.txt --expname scene_{number} "
    "--datadir {scene} --final_height {height} --start_frame 0 --end_frame {steps}",
    "colmap": "colmap gui --import_path {capture}/sparse/0 "
    "--image_path {capture}/images --database_path new.db",
    "gltf": "blender --python-expr 'import bpy, sys; bpy.ops.import_scene.gltf("
    "filepath=sys.argv[-1])' -- {scene}/{glb}",
    "lvsm": "cd LVSM && torchrun train.py "
    "--config configs/LVSM_scene_decoder_only.yaml "
    "training.dataset_path={folder}/full_list.txt",
    "flow": 'cd RAFT && python -c \'import sys; sys.path.append("core"); '
    "from datasets import MpiSintel; "
    "print(MpiSintel(root=sys.argv[1], split=sys.argv[2])[0][2].shape)' "
    "{folder} {scene_name}",
}
"""A command that reads a scene of an export, by format; see docs/export.md."""


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    format: str,
    out: Path,
    split: str | None = None,
    scenes: str = ":",
    workers: int | None = None,
) -> int:
    """Write a dataset in the format of another project.

    After a stop, run the same command to resume. If a format cannot hold the dataset,
    the command says why and writes nothing. docs/export.md describes how each format is
    read, and what it leaves out.

    The formats:
    {formats}

    Args:
      dataset: the folder of the dataset.
      format: one of the formats above.
      out: the folder to write.
      split: export this split only; default: all.
      scenes: A:B, scenes A to B - 1 of each split; with --split, of that split only.
      workers: processes, each of which holds one scene in memory; default: one per
        core.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers: must be at least 1, got {workers}")
    start = time.monotonic()
    try:
        job = Export.of(dataset, format=format, out=out, split=split, scenes=scenes)
        done = job.done()
        with Bar("scenes") as bar:
            finished = itertools.count(done)

            def tick() -> None:
                bar.show(next(finished), job.scenes)

            tick()
            job.run(workers or len(os.sched_getaffinity(0)), tick)
    except ModuleNotFoundError as error:
        raise UserError(
            f"format {format!r} needs {error.name}: pip install 'dyso[export]'"
        ) from error
    except KeyboardInterrupt:
        return stopped()
    splits = ", ".join(f"{name} {len(span)}" for name, span in job.spans.items())
    before = f", {done} of them before" if done else ""
    seconds = time.monotonic() - start
    scenes = f"{job.scenes} scenes ({splits}{before})"
    print(f"{out}: {scenes} as {format}, {seconds:.0f} s")
    sys.stdout.flush()
    for note in job.notes():
        print(f"note: {note}", file=sys.stderr)
    print(f"next: {_next(job)}")
    return 0


def _next(job: Export) -> str:
    """Returns a shell command that reads the export, or its first scene."""
    spec = job.resolved.spec
    split, span = next(iter(job.spans.items()))
    scene = job.out.absolute() / job.folder_of(split, span[0])
    if job.format_name in _PYTHON:
        code = _PYTHON[job.format_name].format(
            out=json.dumps(str(job.out)),
            scene=json.dumps(str(scene)),
            folder_name=json.dumps(str(job.out.absolute() / split)),
            steps=spec.dynamics.steps,
            cameras=spec.layout.shape[1],
            name=json.dumps(spec.name),
            split_name=json.dumps(split),
            split=json.dumps("val" if split == "validation" else split),
        )
        return f"python -c {shlex.quote(code)}"
    # A capture is one dynamics step, or a whole monocular video.
    capture = step if (step := scene / "step_000").is_dir() else scene
    return _SHELL[job.format_name].format(
        scene=shlex.quote(str(scene)),
        number=span[0],
        capture=shlex.quote(str(capture)),
        folder=shlex.quote(str(scene.parent)),
        scene_name=scene.name,
        height=spec.resolution[0],
        steps=spec.dynamics.steps,
        glb="scene.glb" if spec.dynamics.changes_shapes else "step_000.glb",
        downsample=f"{800 / spec.resolution[1]:g}",
    )


def _about(name: str) -> str:
    try:
        return format_named(name).ABOUT
    except ModuleNotFoundError as error:
        return f"(needs {error.name}: pip install 'dyso[export]')"


main.__doc__ = str(main.__doc__).replace(
    "{formats}", "\n    ".join(f"  {name:14}  {_about(name)}" for name in FORMATS)
)
