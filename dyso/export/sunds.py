"""`sunds`: what the official release is, for the sunds package and for tfds.

`sunds.builder("kubric/msn_ms_v4.3a", data_dir=out)` reads it. The names are those of
the official release, whose own `kubric:kubric/msn_ms_v4.3a` says with `kubric:` where
its bucket is; the features are the official ones too. An example of the frames is a
scene; the scenes have its poses and its box, without images.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from dyso import geometry
from dyso.export.examples import shard_path, write_examples, write_info
from dyso.spec import ResolvedSpec, Spec, UserError

ABOUT = "the official release's features, for the sunds package and tfds"
CONFIG = "msn_ms_v4.3a"
CLASSES = 55
"""Of the official release, whose ids go from 0, the background, to 55."""


def check(spec: Spec) -> None:
    """Looks whether the names of the splits stay distinct.

    Raises:
      UserError: two become one.
    """
    if {"val", "validation"} <= set(spec.splits):
        raise UserError(
            "sunds: has no names for both splits 'val' and 'validation': the latter "
            "is 'val' there, as in the official release; rename one in the spec"
        )


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Gives the paths of one shard: of the scenes, and of their frames."""
    return tuple(
        shard_path(_builder(resolved.spec, kind), _split(split), shard, shards)
        for kind in ("scenes", "frames")
    )


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard of the frames and of the scenes."""
    light = []

    def frames() -> Iterator[dict[str, Any]]:
        for record in scenes:
            light.append(_scene(record))
            yield _frame(record) | {"scene_name": str(record["scene_name"])}

    write_examples(files[1], frame_features(resolved), frames())
    write_examples(files[0], scene_features(resolved), light)


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes tfds's metadata."""
    spec = resolved.spec
    named = {_split(split): lengths for split, lengths in shards.items()}
    description = f"{spec.name} {spec.version}, {resolved.hash}: {spec.description}"
    for kind, features in {
        "scenes": scene_features(resolved),
        "frames": frame_features(resolved),
    }.items():
        write_info(out, _builder(spec, kind), features, named, description)


def frame_features(resolved: ResolvedSpec) -> tfds.features.FeaturesDict:
    """Gives the features of the frames: the official release's."""
    size = resolved.spec.resolution
    count = len(resolved.objects.categories())
    images = {
        "color_image": tfds.features.Image(shape=(*size, 3)),
        "category_image": tfds.features.LabeledImage(
            shape=(*size, 1), labels=CLASSES if count <= CLASSES else count + 1
        ),
        "instance_image": tfds.features.LabeledImage(shape=(*size, 1), labels=None),
        "depth_image": tfds.features.Image(shape=(*size, 1), dtype=np.float32),
    }
    return tfds.features.FeaturesDict(
        {"scene_name": tfds.features.Text(), **_frame_features(resolved, images)}
    )


def scene_features(resolved: ResolvedSpec) -> tfds.features.FeaturesDict:
    """Gives the features of the scenes: sunds's own."""
    corner = tfds.features.Tensor(shape=(3,), dtype=np.float32)
    return tfds.features.FeaturesDict(
        {
            "scene_name": tfds.features.Text(),
            "frames": tfds.features.Sequence(_frame_features(resolved, {})),
            "scene_box": {"min_corner": corner, "max_corner": corner},
            "nominal_time": tfds.features.Text(),
        }
    )


def _frame_features(resolved: ResolvedSpec, images: dict[str, Any]) -> dict[str, Any]:
    def tensor(*shape: int) -> tfds.features.Tensor:
        return tfds.features.Tensor(shape=shape, dtype=np.float32)

    pose = {"R": tensor(3, 3), "t": tensor(3)}
    camera = {
        "intrinsics": {
            "image_width": np.int32,
            "image_height": np.int32,
            "K": tensor(3, 3),
            "type": tfds.features.Text(),
            "distortion": {"radial": tensor(3), "tangential": tensor(2)},
        },
        "extrinsics": pose,
        **images,
    }
    views = range(resolved.spec.views)
    return {
        "frame_name": tfds.features.Text(),
        "pose": pose,
        "cameras": {f"camera_{view}": camera for view in views},
    }


def _frame(record: Mapping[str, Any], images: bool = True) -> dict[str, Any]:
    height, width = record["color"].shape[1:3]
    cameras = {}
    for view, (intrinsics, extrinsics) in enumerate(
        zip(record["intrinsics"], record["extrinsics"], strict=True)
    ):
        camera = {
            "intrinsics": {
                "image_width": width,
                "image_height": height,
                "K": intrinsics,
                "type": "PERSPECTIVE",
                "distortion": {
                    "radial": np.zeros(3, np.float32),
                    "tangential": np.zeros(2, np.float32),
                },
            },
            "extrinsics": {"R": extrinsics[:, :3], "t": extrinsics[:, 3]},
        }
        if images:
            camera |= {
                f"{name}_image": record[name][view]
                for name in ("color", "depth", "category", "instance")
            }
        cameras[f"camera_{view}"] = camera
    return {
        "frame_name": f"{record['scene_name']}_frame_0",
        "pose": {"R": np.eye(3, dtype=np.float32), "t": np.zeros(3, np.float32)},
        "cameras": cameras,
    }


def _scene(record: Mapping[str, Any]) -> dict[str, Any]:
    low, high = _box(record)
    return {
        "scene_name": str(record["scene_name"]),
        "frames": [_frame(record, images=False)],
        "scene_box": {"min_corner": low, "max_corner": high},
        "nominal_time": "",
    }


def _box(record: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Gives the corners [3] of the box around all objects at all steps, metres."""
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    corners = signs * record["objects/sizes"][:, None, None]
    poses = geometry.pose_matrix(
        record["objects/positions"], record["objects/quaternions"]
    )
    points = geometry.transform(poses[:, :, None], corners).reshape(-1, 3)
    return points.min(0).astype(np.float32), points.max(0).astype(np.float32)


def _split(name: str) -> str:
    return "val" if name == "validation" else name


def _builder(spec: Spec, kind: str) -> str:
    return f"kubric_{kind}/{CONFIG}/{spec.version}"
