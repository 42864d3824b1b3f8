"""BOP: scenes with object poses, for pose estimators and the bop_toolkit.

    000012/scene_camera.json          cam_K, cam_R_w2c, cam_t_w2c, depth_scale by image
    000012/scene_gt.json              obj_id, cam_R_m2c, cam_t_m2c by image and object
    000012/scene_gt_info.json         boxes, pixels and visible fractions likewise
    000012/models_info.json           boxes of the scene's objects, by obj_id
    000012/rgb/000003.png
    000012/depth/000003.png           16 bit, mm along the optical axis / depth_scale
    000012/mask/000003_000001.png     255 on the whole object, hidden parts included
    000012/mask_visib/000003_000001.png   255 on its visible part

This is the scenewise layout of `docs/bop_datasets_format.md` in the bop_toolkit. The
folder's number is the scene's, an image's is the view, an object's its index in the
record; all objects of the scene are listed in all images. `obj_id` is the object's
place in the catalog, from 1. Lengths are in mm; the origin of a model is the middle of
its box. BOP's pixels have their centres at integers, so `cam_K` has a principal point
half a pixel less than the records'.

Whole silhouettes, and what follows from them (`mask`, `px_count_all`,
`px_count_valid`, `visib_fract`, `bbox_obj`), are those of `dyso.reading.silhouettes`,
which are not exact. Meshes are not exported: the diameter in `models_info.json` is that
of the box.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, UInt16

from dyso import geometry
from dyso.export.cameras import by_step, require_rigid, square, z_depth
from dyso.export.images import png
from dyso.reading import OBJECT_FIELDS, Split, silhouettes, surfaces
from dyso.reading.objects import merged_surfaces, spacings
from dyso.spec import ResolvedSpec, Spec

ABOUT = "BOP: object poses, scene_gt.json, depth, masks of whole and visible objects"
CATALOG = True

MILLIMETRES = 1000
FINEST = 0.1
"""mm; the depth's unit is the smallest multiple of this that reaches far enough."""
NO_BOX = [-1, -1, -1, -1]


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: objects change their shapes.
    """
    require_rigid(spec, "bop")


def folder_of(split: str, index: int) -> str:
    """Returns the folder of a scene, relative to the export's folder."""
    return f"{split}/{index:06d}"


def write(split: Split, index: int, folder: Path, resolved: ResolvedSpec) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    for kind in ("rgb", "depth", "mask", "mask_visib"):
        (folder / kind).mkdir()
    about = split.read(
        index,
        fields=(
            *("intrinsics", "extrinsics", "objects/sizes", "objects/positions"),
            *("objects/quaternions", "objects/asset_id"),
        ),
    )
    names = about["objects/asset_id"].tolist()
    ids = [resolved.objects.index(name) + 1 for name in names]
    models = {
        number: _model(name, size)
        for number, name, size in zip(ids, names, about["objects/sizes"], strict=True)
    }
    spacing = spacings(about)
    surface = None
    for step, record in enumerate(by_step(split, index, OBJECT_FIELDS)):
        part = surfaces(record, [step] * len(record["depth"]), spacing)
        surface = part if surface is None else merged_surfaces(surface, part, spacing)
    cameras: dict[str, Any] = {}
    truth: dict[str, Any] = {}
    infos: dict[str, Any] = {}
    margin = max(split.spec.resolution)
    for step, record in enumerate(by_step(split, index, (*OBJECT_FIELDS, "color"))):
        steps = [step] * len(record["depth"])
        poses = geometry.pose_matrix(
            record["objects/positions"][:, step].astype(np.float64),
            record["objects/quaternions"][:, step].astype(np.float64),
        )
        whole = silhouettes(record, steps, surface, margin)
        for view, masks in enumerate(whole):
            image = len(cameras)
            depth, scale = depth_image(record, view)
            (folder / "rgb" / f"{image:06}.png").write_bytes(png(record["color"][view]))
            (folder / "depth" / f"{image:06}.png").write_bytes(png(depth[..., None]))
            extrinsics = square(record["extrinsics"][view])
            cameras[str(image)] = _camera(record["intrinsics"][view], extrinsics, scale)
            truth[str(image)] = [
                {"obj_id": number, **_pose("m2c", (extrinsics @ square(pose))[:3])}
                for number, pose in zip(ids, poses, strict=True)
            ]
            infos[str(image)] = []
            for number, mask in enumerate(masks):
                inner = mask[margin:-margin, margin:-margin]
                visible = record["instance"][view, ..., 0] == number + 1
                infos[str(image)].append(_info(mask, visible, depth, margin))
                name = f"{image:06}_{number:06}.png"
                for kind, shown in (("mask", inner), ("mask_visib", visible)):
                    pixels = shown[..., None].astype(np.uint8) * 255
                    (folder / kind / name).write_bytes(png(pixels))
    for name, content in {
        "scene_camera": cameras,
        "scene_gt": truth,
        "scene_gt_info": infos,
        "models_info": models,
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def depth_image(
    record: Mapping[str, Any], view: int
) -> tuple[UInt16[np.ndarray, "H W"], float]:
    """Returns z over the scale, 0 where nothing is hit; and the scale in mm."""
    z = z_depth(record["depth"][view, ..., 0], record["intrinsics"][view]) * MILLIMETRES
    finite = np.isfinite(z)
    farthest = z[finite].max(initial=0)
    scale = FINEST * max(1, np.ceil(farthest / 65535 / FINEST))
    return np.rint(np.where(finite, z, 0) / scale).astype(np.uint16), round(scale, 6)


def _camera(
    intrinsics: Float64[np.ndarray, "3 3"] | Any,
    extrinsics: Float64[np.ndarray, "4 4"],
    scale: float,
) -> dict[str, Any]:
    matrix = intrinsics.astype(np.float64)
    matrix[:2, 2] -= 0.5
    return {
        "cam_K": matrix.ravel().tolist(),
        **_pose("w2c", extrinsics[:3]),
        "depth_scale": scale,
    }


def _pose(name: str, matrix: Float64[np.ndarray, "3 4"]) -> dict[str, list[float]]:
    return {
        f"cam_R_{name}": matrix[:, :3].ravel().tolist(),
        f"cam_t_{name}": (matrix[:, 3] * MILLIMETRES).tolist(),
    }


def _info(
    whole: Bool[np.ndarray, "rows columns"],
    visible: Bool[np.ndarray, "H W"],
    depth: UInt16[np.ndarray, "H W"],
    margin: int,
) -> dict[str, Any]:
    inner = whole[margin:-margin, margin:-margin]
    pixels, seen = int(whole.sum()), int(visible.sum())
    return {
        "px_count_all": pixels,
        "px_count_valid": int((inner & (depth > 0)).sum()),
        "px_count_visib": seen,
        "visib_fract": seen / pixels if pixels else 0.0,
        # Of visible objects alone, as in the bop_toolkit.
        "bbox_obj": _box(whole, margin) if seen else NO_BOX,
        "bbox_visib": _box(visible, 0) if seen else NO_BOX,
    }


def _box(mask: Bool[np.ndarray, "rows columns"], margin: int) -> list[int]:
    """Returns x, y and the distances of the last pixels from the first, as BOP does."""
    rows, columns = (np.flatnonzero(mask.any(axis)) - margin for axis in (1, 0))
    ends = columns[0], rows[0], columns[-1] - columns[0], rows[-1] - rows[0]
    return [int(end) for end in ends]


def _model(asset: str, size: np.ndarray) -> dict[str, Any]:
    sides = size.astype(np.float64) * MILLIMETRES
    return {
        "asset_id": asset,
        **{
            f"min_{axis}": float(-side / 2)
            for axis, side in zip("xyz", sides, strict=True)
        },
        **{
            f"size_{axis}": float(side) for axis, side in zip("xyz", sides, strict=True)
        },
        "diameter": float(np.linalg.norm(sides)),
    }
