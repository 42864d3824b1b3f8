"""`dyso render`: renders one scene, from a spec, a dataset or a scene.json."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal, get_args

import tyro

from dyso import assets, terminal
from dyso.assets import starter
from dyso.assets.manifest import read_catalog
from dyso.cli.arguments import Overrides
from dyso.cli.bar import Bar
from dyso.reading import Dataset
from dyso.render import Device, Renderer, RenderError, Views
from dyso.render.resources import require_system_libraries
from dyso.sampling import UnseenScene, sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import Catalog, ResolvedSpec, UserError
from dyso.spec.schema import Layer
from dyso.visualization.files import write_scene

SIDES = (8, 8192)


def main(
    source: tyro.conf.Positional[Path],
    /,
    *,
    out: Path,
    set: Overrides = (),
    split: str | None = None,
    index: int = 0,
    scene: Path | None = None,
    attempt: int = 0,
    resolution: int | None = None,
    samples: int | None = None,
    format: Literal["png", "exr", "npz"] = "png",
    timeout: float | None = None,
    device: Device = "cpu",
) -> int:
    """Render all layers of one scene to PNG, EXR or npz, beside its scene.json.

    Args:
      source: a spec (a YAML file), or a dataset's folder, to render the scene of a
        record again.
      out: the folder to write, which must be new or empty.
      set: for a spec: a key and the YAML value to use instead of the file's, such as
        splits.train=100. Relative paths start at the spec's folder.
      split: the split; default: the first.
      index: the scene's number in the split; for a dataset, the record's position.
      scene: render this scene.json instead, with the assets of `source`.
      attempt: for a spec: the number of the first attempt. A job renders attempt n if
        the n attempts before it cannot be rendered.
      resolution: height in pixels; the width keeps the aspect ratio.
      samples: paths per pixel.
      format: png writes a folder per layer, with depth in millimetres; exr writes a
        file per view, in float; npz writes one file.
      timeout: the most seconds for rendering; default: 600, or 3 per view plus 2 per
        million samples, if that is more.
      device: what Cycles renders with. Pixels from a GPU differ slightly from those of
        a CPU.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists already; choose a new folder")
    if source.is_dir():
        if set:
            raise UserError(
                f"--set {set[0]}: {source} is a dataset, whose spec is fixed; give its "
                "spec's YAML file"
            )
        dataset = Dataset(source)
        split = split or next(iter(dataset.splits))
        resolved = _located(dataset.resolved)
        sampled = None if scene else _of_record(dataset, split, index)
    elif not source.exists():
        raise UserError(f"{source}: does not exist; expected a spec or a dataset")
    else:
        resolved = assets.load(source, set)
        split = split or next(iter(resolved.spec.splits))
        sampled = None if scene else _of_spec(resolved, split, index, attempt)
    subject = _changed(sampled or _of_file(scene), resolution, samples)
    require_system_libraries()
    count = subject.layout.views
    print(
        f"rendering {count} views of {terminal.size(*subject.resolution)} ...",
        file=sys.stderr,
    )
    start = time.monotonic()
    views = _render(subject, resolved, timeout, device)
    written = _write(out, subject, views, format)
    print(f"{out}: {len(written)} files, {time.monotonic() - start:.0f} s")
    for path in (written[0], out / "scene.json", out / "poses.json"):
        print(f"  {path}")
    return 0


def _located(resolved: ResolvedSpec) -> ResolvedSpec:
    """Returns a dataset's spec with catalogs whose manifests this machine can read.

    Raises:
      UserError: a manifest is missing, or its assets have changed.
    """
    spec, objects, backgrounds = resolved.spec, resolved.objects, resolved.backgrounds
    if not isinstance(objects, Catalog) or not isinstance(backgrounds, Catalog):
        assets.manifests(resolved)  # Raises if this version makes other assets.
    if isinstance(objects, Catalog):
        objects = _catalog(objects, spec.objects.catalog, "FileBasedObject")
    if isinstance(backgrounds, Catalog):
        backgrounds = _catalog(backgrounds, spec.backgrounds.catalog, "Texture")
    return dataclasses.replace(resolved, objects=objects, backgrounds=backgrounds)


def _catalog(kept: Catalog, name: str, asset_type: str) -> Catalog:
    manifest = str(starter.build()[asset_type]) if name == "starter" else kept.manifest
    catalog = read_catalog(manifest, asset_type)
    if catalog.assets != kept.assets:
        raise UserError(
            f"{manifest}: its assets differ from those that the dataset was made from, "
            "so the scene would look different"
        )
    return catalog


def _of_record(dataset: Dataset, split: str, index: int) -> Scene:
    try:
        return dataset[split].scene(index)
    except IndexError as error:
        raise UserError(f"{dataset.folder}: {error}") from error


def _of_spec(resolved: ResolvedSpec, split: str, index: int, attempt: int) -> Scene:
    splits = resolved.spec.splits
    if split not in splits:
        raise UserError(f"no split {split!r}; the splits are {', '.join(splits)}")
    if not 0 <= index < splits[split]:
        raise UserError(
            f"no scene {index} in split {split!r}, which has {splits[split]}"
        )
    try:
        return sample_scene(resolved, split, index, attempt)
    except UnseenScene as error:
        raise UserError(str(error)) from error


def _of_file(path: Path | None) -> Scene:
    assert path is not None
    try:
        return Scene.from_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a scene.json") from error


def _changed(scene: Scene, resolution: int | None, samples: int | None) -> Scene:
    """Returns the scene with all layers and the requested size and samples."""
    settings = dataclasses.replace(scene.render, layers=get_args(Layer))
    if samples is not None:
        if samples < 1:
            raise UserError(f"samples: must be at least 1, got {samples}")
        settings = dataclasses.replace(settings, samples=samples)
    height, width = scene.resolution
    if resolution is not None:
        height, width = resolution, round(width * resolution / height)
    low, high = SIDES
    if not (low <= height <= high and low <= width <= high):
        raise UserError(
            f"resolution: must be {low} to {high} pixels per side, got "
            f"{terminal.size(height, width)}"
        )
    return dataclasses.replace(scene, render=settings, resolution=(height, width))


def _render(
    scene: Scene, resolved: ResolvedSpec, timeout: float | None, device: Device
) -> Views:
    count = scene.layout.views
    with (
        Renderer(
            objects=resolved.objects.manifest,
            backgrounds=resolved.backgrounds.manifest,
            timeout=timeout,
            device=device,
        ) as renderer,
        Bar("views", waiting="starting Blender") as bar,
    ):
        bar.show(0, count)
        try:
            views = renderer.render(scene, lambda done: bar.show(done, count))
            bar.show(count, count)
            return views
        except RenderError as error:
            if error.final:
                raise UserError(str(error)) from error
            raise UserError(
                f"{scene.split} {scene.name}, attempt {scene.attempt}: cannot be "
                f"rendered: {error}"
            ) from error


def _write(out: Path, scene: Scene, views: Views, form: str) -> list[Path]:
    """Writes to a folder beside `out`, and renames it when it is complete."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            written = write_scene(temporary, scene, views, form)
            temporary.chmod(0o755)
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from error
    return [out / path.relative_to(temporary) for path in written]
