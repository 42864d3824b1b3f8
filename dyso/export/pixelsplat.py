"""pixelSplat: chunks of examples, for pixelSplat, MVSplat and others that read RE10K.

    train/000000.torch        a list of examples, by `torch.save`
    train/index.json          the chunk of each example's key
    parts/train-000000.json   the keys of a chunk

An example is a dictionary:

    key          <split>_<scene>_<step_000, or video>
    cameras      float32 [V, 18]: fx / W, fy / H, cx / W, cy / H, 0, 0, and the rows of
                 [R, t], world to camera with OpenCV's axes, in metres
    images       V uint8 tensors, each an encoded image: PNG, without loss
    timestamps   int64 [V], the numbers of the views in the example
    url          ""

Each dynamics step is an example; the video of one moving camera is a single one. The
first pixel's centre is (0.5 / W, 0.5 / H), as in pixelSplat. The files are written by
PyTorch, which no extra of this package installs.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from dyso import terminal
from dyso.export.cameras import lens_of, require_several_poses
from dyso.export.images import png
from dyso.export.view_synthesis import examples_of
from dyso.files import replacing
from dyso.spec import ResolvedSpec, Spec, UserError

ABOUT = "pixelSplat's chunks of RE10K, for pixelSplat, MVSplat and others; needs torch"

RE10K = (360, 640)
"""The only size of images that pixelSplat does not skip."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: PyTorch is not installed, or the scene is seen from one place only.
    """
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            "pixelsplat: writes files of PyTorch, which is not installed: pip install "
            "torch"
        )
    require_several_poses(spec, "pixelsplat")


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    if spec.resolution == RE10K:
        return []
    return [
        f"pixelSplat skips images that are not of {terminal.size(*RE10K)}; this "
        f"dataset's are of {terminal.size(*spec.resolution)}: change (3, 360, 640) in "
        "its dataset_re10k.py"
    ]


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the paths of one chunk and of its keys."""
    return f"{split}/{shard:06d}.torch", f"parts/{split}-{shard:06d}.json"


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one chunk."""
    import torch

    examples = []
    for record in scenes:
        for name, views in examples_of(resolved.spec):
            images = [
                np.frombuffer(png(record["color"][view]), np.uint8).copy()
                for view in views
            ]
            examples.append(
                {
                    "url": "",
                    "timestamps": torch.arange(len(views)),
                    "cameras": torch.from_numpy(_cameras(record, views)),
                    "images": [torch.from_numpy(image) for image in images],
                    "key": f"{record['split']}_{record['scene_name']}_{name}",
                }
            )
    torch.save(examples, files[0])
    files[1].write_text(json.dumps([example["key"] for example in examples]) + "\n")


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes the index of each split."""
    for split, lengths in shards.items():
        index: dict[str, str] = {}
        for shard in range(len(lengths)):
            chunk, part = (out / path for path in paths(resolved, split, shard, 0))
            index |= dict.fromkeys(json.loads(part.read_text()), chunk.name)
        with replacing(out / split / "index.json") as path:
            path.write_text(json.dumps(index, indent=1) + "\n")


def _cameras(
    record: Mapping[str, Any], views: Sequence[int]
) -> Float32[np.ndarray, "V 18"]:
    height, width = record["color"].shape[1:3]
    lens = lens_of(record["intrinsics"][views]) / [width, height, width, height]
    poses = record["extrinsics"][views].reshape(-1, 12)
    rows = np.concatenate([lens, np.zeros((len(lens), 2)), poses], axis=-1)
    return rows.astype(np.float32)
