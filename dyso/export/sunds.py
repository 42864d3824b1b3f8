"""`sunds`: the official release's format, for the sunds package and tfds.

`sunds.builder("kubric/msn_ms_v4.3a", data_dir=out)` reads it. Names and features are
those of the official release, except that its name `kubric:kubric/msn_ms_v4.3a` also
names its bucket, by the prefix `kubric:`. An example of the frames is a scene with its
images; an example of the scenes holds the cameras and the bounding box of the objects.

Instances are numbered as readers of the official release expect: 1 is the background,
and object i of the record is i + 2. OSRT, GTA and the generators of sunds treat 1 as
the background and 0 as empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from dyso.export.examples import shard_path, write_examples, write_info
from dyso.reading import box_corners
from dyso.spec import ResolvedSpec, Spec, UserError

ABOUT = "the official release's features, for the sunds package and tfds"
CONFIG = "msn_ms_v4.3a"
CLASSES = 55
"""Classes of the official release, although its ids go from 0 (background) to 55."""
BACKGROUND = 1
"""The background's id in `instance_image`."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """The names and the views that readers of one release expect.

    Attributes:
      builder: tfds's `<dataset>/<config>/<version>`, with `{kind}` in place of `scenes`
        or `frames`.
      views: the views in an example.
    """

    builder: str
    views: range

    def builder_of(self, kind: str) -> str:
        """Returns the builder's name for `scenes` or `frames`."""
        return self.builder.format(kind=kind)


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: two splits would have the same name, or there may be more objects than
        ids.
    """
    if {"val", "validation"} <= set(spec.splits):
        raise UserError(
            "sunds: cannot hold both splits 'val' and 'validation': it renames the "
            "latter to 'val', as in the official release; rename one in the spec"
        )
    if spec.objects.count[1] > 255 - BACKGROUND:
        raise UserError(
            f"sunds: has 8-bit ids for at most {255 - BACKGROUND} objects, but "
            f"objects.count is {list(spec.objects.count)}"
        )


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    if spec.dynamics.steps == 1:
        return []
    return [
        "SRT, OSRT and GTA would take views of several dynamics steps for one static "
        "scene; for them, export multi_shapenet"
    ]


def paths(
    resolved: ResolvedSpec, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the paths of one shard: the scenes' file and the frames' file."""
    return release_paths(_release(resolved.spec), split, shard, shards)


def write(
    resolved: ResolvedSpec, scenes: Iterable[Mapping[str, Any]], files: Sequence[Path]
) -> None:
    """Writes one shard of the frames and of the scenes."""
    write_release(_release(resolved.spec), resolved, scenes, files)


def finish(
    resolved: ResolvedSpec, shards: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes tfds's metadata."""
    finish_release(_release(resolved.spec), resolved, shards, out)


def _release(spec: Spec) -> Release:
    return Release(
        builder=f"kubric_{{kind}}/{CONFIG}/{spec.version}", views=range(spec.views)
    )


def release_paths(
    release: Release, split: str, shard: int, shards: int
) -> tuple[str, ...]:
    """Returns the paths of one shard of a release; see `paths`."""
    return tuple(
        shard_path(release.builder_of(kind), _split(split), shard, shards)
        for kind in ("scenes", "frames")
    )


def write_release(
    release: Release,
    resolved: ResolvedSpec,
    scenes: Iterable[Mapping[str, Any]],
    files: Sequence[Path],
) -> None:
    """Writes one shard of a release; see `write`."""
    without_images = []

    def frames() -> Iterator[dict[str, Any]]:
        for record in scenes:
            without_images.append(_scene(record, release.views))
            frame = _frame(record, release.views)
            yield frame | {"scene_name": str(record["scene_name"])}

    write_examples(files[1], frame_features(resolved, release.views), frames())
    features = scene_features(resolved, release.views)
    write_examples(files[0], features, without_images)


def finish_release(
    release: Release,
    resolved: ResolvedSpec,
    shards: Mapping[str, Sequence[int]],
    out: Path,
) -> None:
    """Writes tfds's metadata of a release; see `finish`."""
    spec = resolved.spec
    lengths = {_split(split): counts for split, counts in shards.items()}
    description = f"{spec.name} {spec.version}, {resolved.hash}: {spec.description}"
    for kind, features in {
        "scenes": scene_features(resolved, release.views),
        "frames": frame_features(resolved, release.views),
    }.items():
        write_info(out, release.builder_of(kind), features, lengths, description)


def frame_features(
    resolved: ResolvedSpec, views: Sequence[int]
) -> tfds.features.FeaturesDict:
    """Returns the features of the frames, as in the official release."""
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
        {"scene_name": tfds.features.Text(), **_frame_features(views, images)}
    )


def scene_features(
    resolved: ResolvedSpec, views: Sequence[int]
) -> tfds.features.FeaturesDict:
    """Returns the features of the scenes, as sunds defines them."""
    corner = tfds.features.Tensor(shape=(3,), dtype=np.float32)
    return tfds.features.FeaturesDict(
        {
            "scene_name": tfds.features.Text(),
            "frames": tfds.features.Sequence(_frame_features(views, {})),
            "scene_box": {"min_corner": corner, "max_corner": corner},
            "nominal_time": tfds.features.Text(),
        }
    )


def _frame_features(views: Sequence[int], images: dict[str, Any]) -> dict[str, Any]:
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
    return {
        "frame_name": tfds.features.Text(),
        "pose": pose,
        "cameras": {f"camera_{view}": camera for view in views},
    }


def _frame(
    record: Mapping[str, Any], views: Sequence[int], images: bool = True
) -> dict[str, Any]:
    height, width = record["color"].shape[1:3]
    cameras = {}
    for view in views:
        intrinsics, extrinsics = record["intrinsics"][view], record["extrinsics"][view]
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
                for name in ("color", "depth", "category")
            }
            camera["instance_image"] = record["instance"][view] + np.uint8(BACKGROUND)
        cameras[f"camera_{view}"] = camera
    return {
        "frame_name": f"{record['scene_name']}_frame_0",
        "pose": {"R": np.eye(3, dtype=np.float32), "t": np.zeros(3, np.float32)},
        "cameras": cameras,
    }


def _scene(record: Mapping[str, Any], views: Sequence[int]) -> dict[str, Any]:
    low, high = _box(record)
    return {
        "scene_name": str(record["scene_name"]),
        "frames": [_frame(record, views, images=False)],
        "scene_box": {"min_corner": low, "max_corner": high},
        "nominal_time": "",
    }


def _box(record: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns two corners [3] of the box around all objects at all steps, metres."""
    points = box_corners(record).reshape(-1, 3)
    return points.min(0).astype(np.float32), points.max(0).astype(np.float32)


def _split(name: str) -> str:
    return "val" if name == "validation" else name
