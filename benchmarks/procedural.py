"""Measures procedural assets: their cost, and their diversity beside the starter set's.

`python benchmarks/procedural.py` takes several minutes of one core. Times are CPU
seconds. The starter's and as many random procedural assets are compared in

- colour: standard deviations in Oklab, whose lightness is 0 for black and 1 for white,
  of the objects' mean colours, and of the colours within an object;
- shape: the total variation (0 the same, 1 disjoint) between the D2 histograms of two
  objects, and of an object and the most similar other one. D2 is the distance between
  two random points of the surface, here as a multiple of its mean;
- light from above the horizon: the elevation of its mean direction, and the length of
  that direction: 1 if all light comes from one point, 0.5 from an even sky.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from dyso.assets import procedural, starter
from dyso.assets.environments import HEIGHT, make
from dyso.assets.manifest import read_manifest
from dyso.assets.procedural.colors import oklab
from dyso.assets.procedural.materials import FAMILIES
from dyso.sampling.materials import sample_material
from dyso.spec import ProceduralCatalog, ProceduralEnvironments
from dyso.srgb import to_display

POINTS = 4096
BINS = np.linspace(0, 3, 33)
OBJECTS = ProceduralCatalog(seed=0, count=10**6)
ENVIRONMENTS = ProceduralEnvironments(seed=0, count=382)


@dataclass(frozen=True, kw_only=True, eq=False)
class Object:
    """What is compared of an object.

    Attributes:
      d2: histogram [32] of the distances between points of its surface; its sum is 1.
      colors: [n, 3], Oklab, of points of its surface.
    """

    d2: np.ndarray
    colors: np.ndarray


def main(*, objects: int = 340, environments: int = 36, compared: int = 118) -> None:
    """Print costs and diversity.

    Args:
      objects: how many objects are made to measure their cost.
      environments: how many environments, likewise.
      compared: how many objects of each catalog are compared.
    """
    numbers = np.random.default_rng(0).integers(OBJECTS.count, size=objects)
    seconds = [_seconds(_files, int(n)) for n in numbers]
    median, worst = np.percentile(seconds, [50, 99]) * 1e3
    print(f"object ({objects}): median {median:.0f} ms, 99th percentile {worst:.0f} ms")
    seconds = [_seconds(_panorama, n) for n in range(environments)]
    median, worst = np.median(seconds), max(seconds)
    print(f"environment ({environments}): median {median:.1f} s, worst {worst:.1f} s")
    print()
    ours = [_procedural(int(n)) for n in numbers[:compared]]
    light = [_light(_panorama(n, 256)) for n in range(108)]
    print(f"{'':12}{'':>9}{'mean colour':>13}{'within':>9}{'D2':>7}{'nearest':>9}")
    for name, made in (("starter", list(_starter(compared))), ("procedural", ours)):
        print(f"{name:12}{len(made):>5} objects" + _difference(made))
    for name, seen in (("starter", list(_starter_light())), ("procedural", light)):
        up, length = np.array(seen).T
        print(
            f"{name:12}{len(seen):>5} environments: light from {up.mean():.0f} "
            f"± {up.std():.0f} degrees, length {length.mean():.2f} ± {length.std():.2f}"
        )


def _seconds(made: Callable[[int], Any], number: int) -> float:
    start = time.process_time()
    made(number)
    return time.process_time() - start


def _files(number: int) -> dict[str, bytes]:
    return procedural.make(OBJECTS, number).files()


def _panorama(number: int, height: int = HEIGHT) -> np.ndarray:
    return make(ENVIRONMENTS, number, height)


def _difference(made: Sequence[Object]) -> str:
    means = np.array([each.colors.mean(0) for each in made])
    between = np.sqrt(means.var(0).sum())
    within = np.mean([np.sqrt(each.colors.var(0).sum()) for each in made])
    d2 = np.array([each.d2 for each in made])
    far = np.abs(d2[:, None] - d2).sum(-1) / 2
    others = ~np.eye(len(far), dtype=bool)
    nearest = np.where(others, far, np.inf).min(1).mean()
    return f"{between:>10.3f}{within:>9.3f}{far[others].mean():>7.3f}{nearest:>9.3f}"


def _object(
    vertices: np.ndarray,
    faces: np.ndarray,
    pictures: Sequence[np.ndarray],
    materials: np.ndarray,
) -> Object:
    """Measures a mesh.

    Args:
      vertices: [n, 3].
      faces: [m, 3].
      pictures: [H, W, 3], the sRGB texture of each material, in [0, 1].
      materials: [m], indices; a point of a face has any colour of its texture.
    """
    rng = np.random.default_rng(len(faces))
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.sqrt((np.cross(b - a, c - a) ** 2).sum(1))
    chosen = rng.choice(len(faces), POINTS, p=area / area.sum())
    s, t = rng.random((2, POINTS, 1))
    s, t = np.where(s + t > 1, 1 - s, s), np.where(s + t > 1, 1 - t, t)
    points = a[chosen] + s * (b - a)[chosen] + t * (c - a)[chosen]
    far = np.sqrt(((points[::2] - points[1::2]) ** 2).sum(1))
    counts, _ = np.histogram(np.minimum(far / far.mean(), BINS[-1]), BINS)
    texels = [picture.reshape(-1, 3) for picture in pictures]
    colors = [rng.choice(texels[i], axis=0) for i in materials[chosen]]
    return Object(d2=counts / counts.sum(), colors=oklab(np.array(colors).T).T)


def _procedural(number: int) -> Object:
    made = procedural.make(OBJECTS, number)
    described = zip(made.families, made.draws, strict=True)
    pictures = [FAMILIES[family](draw).picture for family, draw in described]
    return _object(made.vertices, made.faces, pictures, made.materials)


def _starter(most: int) -> Iterator[Object]:
    """Yields the starter's objects; those without a texture get a sampled material."""
    import trimesh

    manifest = starter.build()["FileBasedObject"]
    for number, name in enumerate(list(read_manifest(str(manifest))["assets"])[:most]):
        files = _unpacked(manifest.parent / f"{name}.tar.gz")
        mesh: Any = trimesh.load(
            io.BytesIO(files["visual_geometry.obj"]), file_type="obj", process=False
        )
        textures = [data for file, data in files.items() if file.startswith("texture")]
        if textures:
            with Image.open(io.BytesIO(textures[0])) as image:
                picture = np.asarray(image.convert("RGB")) / 255
        else:
            colors = sample_material(np.random.default_rng(number)).colors
            picture = to_display(np.array([colors]))
        first = np.zeros(len(mesh.faces), int)
        yield _object(np.asarray(mesh.vertices), mesh.faces, [picture], first)


def _unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = ((each.name, archive.extractfile(each)) for each in archive)
        return {name: file.read() for name, file in files if file is not None}


def _starter_light() -> Iterator[tuple[float, float]]:
    import OpenEXR

    manifest = starter.build()["Texture"]
    for name in read_manifest(str(manifest))["assets"]:
        files = _unpacked(manifest.parent / f"{name}.tar.gz")
        with tempfile.NamedTemporaryFile(suffix=".exr") as file:
            file.write(files[f"{name}.exr"])
            file.flush()
            with OpenEXR.File(file.name) as image:
                channels = image.channels()
                pixels = channels.get("RGB", channels.get("RGBA")).pixels
        yield _light(pixels[..., :3])


def _light(panorama: np.ndarray) -> tuple[float, float]:
    """Returns the elevation [degrees] of the mean light's direction, and its length."""
    height, width = panorama.shape[:2]
    up = np.pi * (0.5 - (np.arange(height // 2)[:, None] + 0.5) / height)
    around = 2 * np.pi * (np.arange(width)[None] + 0.5) / width
    light = panorama[: height // 2].astype(np.float64) @ (0.2126, 0.7152, 0.0722)
    weight = light * np.cos(up) / (light * np.cos(up)).sum()
    x, y, z = (
        float((weight * axis).sum())
        for axis in (
            np.cos(up) * np.cos(around),
            np.cos(up) * np.sin(around),
            np.sin(up),
        )
    )
    flat = np.hypot(x, y)
    return float(np.degrees(np.arctan2(z, flat))), float(np.hypot(flat, z))


if __name__ == "__main__":
    tyro.cli(main)
