"""Reads and checks the files of predictions, laid out as in docs/scoring.md."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from dyso.images import DAMAGED, open_image
from dyso.scoring.view_sets import Inputs
from dyso.spec import ResolvedSpec, UserError

MANIFEST = "predictions.json"
_KEYS = ("method", "dataset", "split", "inputs", "query_cameras")
_FORMS = "method, dataset, split and, if you like, inputs and query_cameras"


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One method's predictions for a split.

    Attributes:
      folder: where they lie.
      method: the method's name.
      split: the split's name.
      inputs: the views that the method has seen.
      query_cameras: the cameras in which the method tracks points; None for those
        that are drawn, see `queries_of`.
      scenes: the numbers of the scenes, in order.
    """

    folder: Path
    method: str
    split: str
    inputs: Inputs
    query_cameras: tuple[int, ...] | None
    scenes: tuple[int, ...]

    @classmethod
    def open(cls, folder: Path, resolved: ResolvedSpec) -> Predictions:
        """Reads the manifest and finds the scenes.

        Args:
          folder: the predictions.
          resolved: the dataset that they should be of.

        Raises:
          UserError: the folder holds no predictions of this dataset.
        """
        path = folder / MANIFEST
        manifest = _read_manifest(path)
        if manifest["dataset"] != resolved.hash:
            raise UserError(
                f"{path}: is of another dataset: {manifest['dataset']!r}, not "
                f"{resolved.hash!r} ({resolved.spec.name})"
            )
        inputs = _inputs(path, manifest.get("inputs", {}))
        try:
            inputs.views(resolved.spec)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        cameras = None
        if "query_cameras" in manifest:
            cameras = _numbers(path, "query_cameras", manifest["query_cameras"])
        names = [re.fullmatch(r"scene_(\d+)", each.name) for each in folder.iterdir()]
        scenes = tuple(sorted({int(name[1]) for name in names if name}))
        if not scenes:
            raise UserError(f"{folder}: holds no folder scene_<number>")
        return cls(
            folder=folder,
            method=manifest["method"],
            split=manifest["split"],
            inputs=inputs,
            query_cameras=cameras,
            scenes=scenes,
        )

    def scene(self, index: int, resolution: tuple[int, int]) -> ScenePredictions:
        """Returns the predictions for one scene."""
        return ScenePredictions(
            folder=self.folder / f"scene_{index}", resolution=resolution
        )


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise UserError(f"{path}: expected an object with {_FORMS}")
    for key in ("method", "dataset", "split"):
        if not isinstance(manifest.get(key), str) or not manifest[key]:
            raise UserError(f"{path}: {key}: expected a text; the keys are {_FORMS}")
    unknown = sorted(set(manifest) - set(_KEYS))
    if unknown:
        raise UserError(f"{path}: no key {unknown[0]!r}; the keys are {_FORMS}")
    return manifest


def _inputs(path: Path, values: Any) -> Inputs:
    if not isinstance(values, dict) or not set(values) <= {"cameras", "steps"}:
        raise UserError(f"{path}: inputs: expected an object of cameras and steps")
    return Inputs(
        **{k: _numbers(path, f"inputs: {k}", each) for k, each in values.items()}
    )


def _numbers(path: Path, key: str, values: Any) -> tuple[int, ...]:
    whole = isinstance(values, list) and all(type(each) is int for each in values)
    if not whole or not values:
        raise UserError(f"{path}: {key}: expected a list of whole numbers")
    return tuple(values)


@dataclass(frozen=True, kw_only=True)
class ScenePredictions:
    """One method's predictions for a scene; what a method leaves out is not there.

    Attributes:
      folder: the scene's folder.
      resolution: height and width of the dataset's images.
    """

    folder: Path
    resolution: tuple[int, int]

    def has(self, name: str) -> bool:
        """Says whether a file or folder of the layout exists."""
        return (self.folder / name).exists()

    def require(self, kind: str, views: Iterable[int]) -> None:
        """Checks that `color` or `depth` has a file for every view.

        Raises:
          UserError: one is missing.
        """
        for view in views:
            if view not in self._files[kind]:
                suffix = "png" if kind == "color" else "npz"
                raise UserError(
                    f"{self.folder / kind}: lacks view {view}, such as "
                    f"{view:05}.{suffix}"
                )

    def views(self, kind: str) -> set[int]:
        """Returns the views that `color` or `depth` has."""
        return set(self._files[kind])

    def color(self, view: int) -> UInt8[np.ndarray, "H W 3"]:
        """Reads a view's colour.

        Raises:
          UserError: it is not an 8-bit RGB image of the dataset's resolution.
        """
        path = self._files["color"][view]
        height, width = self.resolution
        try:
            with open_image(path, ["PNG"]) as image:
                if image.size != (width, height):
                    raise UserError(
                        f"{path}: expected {height} x {width} pixels (height x width), "
                        f"got {image.height} x {image.width}"
                    )
                if image.mode != "RGB":
                    raise UserError(
                        f"{path}: expected 8-bit RGB, got Pillow's mode {image.mode}"
                    )
                return np.asarray(image)
        except DAMAGED as error:
            raise UserError(f"{path}: is not a PNG image: {error}") from error

    def depth(
        self, view: int, cosine: Float64[np.ndarray, "H W"]
    ) -> Float64[np.ndarray, "H W"]:
        """Reads a view's depth as the Euclidean distance in metres.

        Args:
          view: the view's number.
          cosine: of the angle between each pixel's ray and the optical axis.

        Raises:
          UserError: it is not finite, negative, or of another resolution.
        """
        path = self._files["depth"][view]
        arrays = _load(path)
        if len({"depth", "z"} & set(arrays)) != 1:
            raise UserError(f"{path}: expected one array, `depth` or `z`")
        name = "depth" if "depth" in arrays else "z"
        values = _floats(path, arrays, name, self.resolution)
        if (values < 0).any():
            raise UserError(f"{path}: {name}: has negative values")
        return values / cosine if name == "z" else values

    def tracks_3d(self, shape: tuple[int, int]) -> Float64[np.ndarray, "T Q 3"]:
        """Reads the 3D tracks.

        Args:
          shape: the number of dynamics steps and of queries.

        Raises:
          UserError: they are not finite or have another shape.
        """
        path = self.folder / "tracks_3d.npz"
        return _floats(path, _load(path), "points", (*shape, 3))

    def tracks_2d(
        self, shape: tuple[int, int]
    ) -> tuple[Float64[np.ndarray, "T Q 2"], Bool[np.ndarray, "T Q"]]:
        """Reads the 2D tracks and their visibility.

        Raises:
          UserError: they are not finite or have another shape.
        """
        path = self.folder / "tracks_2d.npz"
        arrays = _load(path)
        pixels = _floats(path, arrays, "pixels", (*shape, 2))
        visible = _array(path, arrays, "visible", shape)
        if visible.dtype != bool:
            raise UserError(f"{path}: visible: expected bool, got {visible.dtype}")
        return pixels, visible

    def cameras(self, views: list[int]) -> Float64[np.ndarray, "K 3 4"]:
        """Reads the extrinsics of views.

        Raises:
          UserError: a view is missing, or an array is not finite, has another shape or
            holds no rotation.
        """
        path = self.folder / "cameras.npz"
        arrays = _load(path)
        if "views" not in arrays or arrays["views"].ndim != 1:
            raise UserError(f"{path}: views: expected the numbers of the views [K]")
        if arrays["views"].dtype.kind not in "iu":
            raise UserError(f"{path}: views: expected whole numbers")
        shape = (len(arrays["views"]), 3, 4)
        extrinsics = _floats(path, arrays, "extrinsics", shape)
        place = {int(view): i for i, view in enumerate(arrays["views"])}
        for view in views:
            if view not in place:
                raise UserError(f"{path}: lacks view {view}, an input")
        chosen = extrinsics[[place[view] for view in views]]
        rotations = chosen[..., :3]
        off = abs(rotations @ rotations.swapaxes(-1, -2) - np.eye(3)).max((1, 2))
        for view, error, sign in zip(views, off, np.linalg.det(rotations), strict=True):
            if error > _ORTHOGONAL or sign < 0:
                raise UserError(
                    f"{path}: extrinsics: the first three columns of view {view} are "
                    "not a rotation"
                )
        return chosen

    @cached_property
    def _files(self) -> dict[str, dict[int, Path]]:
        return {
            "color": self._numbered("color", ".png"),
            "depth": self._numbered("depth", ".npz"),
        }

    def _numbered(self, kind: str, suffix: str) -> dict[int, Path]:
        """Returns the files of a folder by the view in their name."""
        folder = self.folder / kind
        if not folder.is_dir():
            return {}
        files = [
            path
            for path in folder.iterdir()
            if path.suffix == suffix and re.fullmatch(r"[0-9]+", path.stem)
        ]
        return {int(path.stem): path for path in sorted(files)}


_ORTHOGONAL = 1e-3
"""The most that a product of a rotation with its transpose may be off the identity."""


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is not an .npz of plain arrays") from error


def _array(
    path: Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]
) -> np.ndarray:
    if name not in arrays:
        raise UserError(f"{path}: lacks the array `{name}`")
    if arrays[name].shape != shape:
        raise UserError(
            f"{path}: {name}: expected shape {shape}, got {arrays[name].shape}"
        )
    return arrays[name]


def _floats(
    path: Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]
) -> Float64[np.ndarray, ...]:
    values = _array(path, arrays, name, shape)
    if values.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name}: expected numbers, got {values.dtype}")
    bad = ~np.isfinite(values)
    if bad.any():
        raise UserError(
            f"{path}: {name}: contains {values[bad][0]}, first at "
            f"{np.argwhere(bad)[0].tolist()}"
        )
    return values.astype(np.float64)
