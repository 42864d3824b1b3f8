"""LVSM: a JSON file of each example, for LVSM and trainers that share its loader.

    full_list.txt                       absolute paths of the files in metadata/
    metadata/scene_0_step_000.json      the example, with absolute paths of its images
    scene_0/step_000.json               the same, with paths relative to the split's
    scene_0/step_000/00000.png          the images, by camera

All of this stands in the split's folder. An example holds `scene_name` and `frames`,
each with `image_path`, `fxfycxcy` in pixels, and `w2c` [4, 4], world to camera with
OpenCV's axes, in metres. The first pixel's centre is (0.5, 0.5), as in LVSM. Each
dynamics step is an example; the video of one moving camera is a single one, `video`.

LVSM opens `image_path` as it is. If the export is moved, run the command again in the
new place: it writes the paths anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dyso.export.cameras import lens_of, require_several_poses, square
from dyso.export.images import png
from dyso.export.soundness import check_record
from dyso.export.view_synthesis import examples_of
from dyso.files import replacing
from dyso.reading import Split
from dyso.spec import ResolvedSpec, Spec

ABOUT = "LVSM's JSON of each example, for LVSM and trainers that share its loader"

FEWEST = 27
"""Views of an example that LVSM's settings need: `min_frame_dist` is 25."""


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: the scene is seen from one place only.
    """
    require_several_poses(spec, "lvsm")


def notes(spec: Spec) -> list[str]:
    """Returns what users of the export must know; see `dyso.export.formats`."""
    views = max(len(views) for _, views in examples_of(spec))
    if views >= FEWEST:
        return []
    return [
        f"LVSM's settings need {FEWEST} views per example; this dataset has {views}: "
        f"set training.view_selector.min_frame_dist below {views - 1}, and "
        f"training.num_views to at most {views}"
    ]


def write(split: Split, index: int, folder: Path) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    fields = ("color", "intrinsics", "extrinsics")
    for name, views in examples_of(split.spec):
        record = split.read(index, fields=fields, views=views)
        check_record(record, split.spec, len(views))
        (folder / name).mkdir()
        frames: list[dict[str, Any]] = []
        for number, (color, k, pose) in enumerate(
            zip(*(record[field] for field in fields), strict=True)
        ):
            image = f"{name}/{number:05}.png"
            (folder / image).write_bytes(png(color))
            frames.append(
                {
                    "image_path": f"scene_{index}/{image}",
                    "fxfycxcy": lens_of(k).tolist(),
                    "w2c": square(pose).tolist(),
                }
            )
        example = {"scene_name": f"scene_{index}_{name}", "frames": frames}
        (folder / f"{name}.json").write_text(json.dumps(example, indent=1) + "\n")


def finish(
    resolved: ResolvedSpec, splits: Mapping[str, Sequence[int]], out: Path
) -> None:
    """Writes the examples with absolute paths, and the lists of them."""
    for split in splits:
        folder = (out / split).absolute()
        (folder / "metadata").mkdir(exist_ok=True)
        paths = []
        for path in folder.glob("scene_*/*.json"):
            example = json.loads(path.read_text())
            for frame in example["frames"]:
                frame["image_path"] = str(folder / frame["image_path"])
            paths.append(folder / "metadata" / f"{example['scene_name']}.json")
            with replacing(paths[-1]) as temporary:
                temporary.write_text(json.dumps(example, indent=1) + "\n")
        with replacing(folder / "full_list.txt") as temporary:
            temporary.write_text("".join(f"{path}\n" for path in sorted(paths)))
