"""Makes the pictures of docs/gallery.md: `python docs/gallery.py [SECTION ...]`.

The sections are objects, materials, environments, patterns, layers, deformation and
creatures, which also makes docs/images/walk.webp, articulation and robots. The worker
renders everything but the environments, which are shown as they are made, with the
settings of a dataset. Seeds are fixed.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pybullet_data
from PIL import Image, ImageDraw, ImageFont

from dyso import records
from dyso.assets import environments, manifests, resolve
from dyso.assets.converting import convert
from dyso.assets.items import list_urdfs
from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.materials import FAMILIES
from dyso.assets.procedural.model import Model
from dyso.assets.procedural.shapes import ellipsoid
from dyso.assets.starter import AXES, write_archive
from dyso.render import Renderer
from dyso.sampling import sample_scene
from dyso.sampling.poses import pose, viewing
from dyso.sampling.scene import Scene, SceneObject
from dyso.spec import (
    LAYERS,
    REQUIRED_LAYERS,
    Articulate,
    Backgrounds,
    Cameras,
    Deform,
    Dynamics,
    Gait,
    Objects,
    Patterns,
    ProceduralEnvironments,
    Render,
    ResolvedSpec,
    Spec,
)
from dyso.spec.procedural import CATEGORIES
from dyso.srgb import to_display
from dyso.visualization import tracks
from dyso.visualization.pictures import pictures
from dyso.visualization.scenes import tiled
from dyso.visualization.top_view import top_view

OUT = Path(__file__).parent / "images/gallery"
LIGHT = ("park", "plaza", "beach", "courtyard", "rooftop", "street")
"""Kinds of environments around single objects."""
EACH = 10
"""Objects of a category."""
ARTICULATED = {"cabinet": (6, 4.2), "cart": (3, 3.4), "desk_lamp": (5, 3.6)}
"""Categories whose joints move, with the scene that is shown, and metres to it."""
ROBOTS = {
    "franka_panda/panda": (1, 3.4),
    "laikago/laikago_toes_zup": (1, 3.8),
    "kuka_iiwa/model": (0, 3.2),
}
"""Robots of PyBullet's data, likewise."""
STEPS = 5
"""Dynamics steps of an object that deforms."""
CREATURES = {"quadruped": 4, "fish": 2, "snake": 2, "insect": 2, "centipede": 0}
"""The scene of each kind that is shown."""
WALKER = 2
"""The scene of the quadruped that walks."""


def objects() -> None:
    """Writes one row of objects for each category."""
    resolved = resolved_spec()
    with _renderer(resolved) as renderer:
        for category in CATEGORIES:
            rng = np.random.default_rng([1, CATEGORIES.index(category)])
            row = [
                renderer.render(portrait(resolved, asset, rng, side=96)).color[0, 0]
                for asset in chosen(resolved, category, EACH, rng)
            ]
            _write(f"{category}.webp", tiled(np.array([row]), 2, 255))


def materials() -> None:
    """Writes a ball of each family of materials."""
    with tempfile.TemporaryDirectory() as folder:
        resolved = resolved_spec(catalog=str(_balls(Path(folder))))
        balls = []
        with _renderer(resolved) as renderer:
            for number, family in enumerate(FAMILIES):
                rng = np.random.default_rng([2, number])
                scene = portrait(resolved, family, rng, side=150)
                # A ball is smaller than its box.
                ball = renderer.render(scene).color[0, 0, 23:-23, 23:-23]
                balls.append((family.replace("_", " "), ball))
    _write("materials.webp", labelled(balls, 9))


def places() -> None:
    """Writes 40 environments, as panoramas."""
    catalog = ProceduralEnvironments(seed=0, count=382)
    kinds = len(catalog.KINDS)
    shown = []
    for number in range(40):
        # Two or three of each kind, and not the same ones as in the demo.
        made = environments.make(catalog, number + 2 * kinds, height=384)
        small = made.astype(np.float32).reshape(96, 4, 192, 4, 3).mean((1, 3))
        shown.append((catalog.kind(number).replace("_", " "), displayed(small)))
    _write("environments.webp", labelled(shown, 5))


def patterns() -> None:
    """Writes five cameras of each pattern, and where they are, from above."""
    rows = []
    for number, name in enumerate(Patterns().weights()):
        only = Patterns(
            **{
                each: dataclasses.replace(setting, weight=float(each == name))
                for each, setting in vars(Patterns()).items()
            }
        )
        resolved = resolved_spec(cameras=Cameras(count=5, patterns=only))
        scene = sample_scene(resolved, "train", 7 + number)
        scene = dataclasses.replace(scene, resolution=(104, 104))
        record = rendered(resolved, scene)
        rows += [(name, view) for view in record["color"]]
        rows += [("from above", top_view(record, 104))]
    _write("patterns.webp", labelled(rows, 6))


def layers() -> None:
    """Writes all layers of one view."""
    resolved = resolved_spec(render=Render(layers=LAYERS), count=3)
    scene = sample_scene(resolved, "train", 0)  # two of its objects are towers
    scene = dataclasses.replace(scene, resolution=(160, 160))
    record = rendered(resolved, scene)
    shown = pictures(record)
    _write(
        "layers.webp",
        labelled(
            [(name.replace("_", " "), each[0]) for name, each in shown.items()],
            len(shown),
        ),
    )


def deformation() -> None:
    """Writes three objects that change their shapes, with the tracks of points."""
    rows: list[tuple[str, np.ndarray]] = []
    for number, category in enumerate(("creature", "plant", "bottle")):
        resolved = resolved_spec(
            objects=Objects(
                catalog="procedural", categories=(category,), held_out=0, count=(1, 1)
            ),
            render=Render(layers=(*REQUIRED_LAYERS, "surface")),
            cameras=Cameras(count=1, distance=(3, 3)),
            dynamics=Dynamics(
                steps=STEPS,
                motion="smooth",
                spawn_radius=0.2,
                travel=(0.2, 0.4),
                turn=(10, 20),
                deform=Deform(bend=(60, 60), twist=(60, 60), squash=(0.3, 0.3)),
            ),
        )
        scene = sample_scene(resolved, "train", 3 + number)
        scene = dataclasses.replace(scene, resolution=(224, 224))
        record = rendered(resolved, scene)
        views = tracks.drawn(record, range(STEPS), side=224)
        rows += [(f"step {step}", view) for step, view in enumerate(views)]
    _write("deformation.webp", labelled(rows, STEPS))


def articulation() -> None:
    """Writes objects whose joints move, with the tracks of points, and their parts."""
    moved = Articulate(change=(0.8, 1.0))
    rows = [
        picture
        for category, (index, distance) in ARTICULATED.items()
        for picture in jointed("procedural", category, index, distance, moved)
    ]
    _write("articulation.webp", labelled(rows, 5))


def robots() -> None:
    """Writes robots of PyBullet's URDF files, likewise."""
    data = Path(pybullet_data.getDataPath())
    moved = Articulate(change=(0.3, 0.5))
    rows: list[tuple[str, np.ndarray]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ROBOTS:
            # A package of its own, without the other robots that lie beside it.
            source = Path(folder) / "source"
            shutil.copytree(data / name.split("/")[0], source / name.split("/")[0])
        for path in source.rglob("*.urdf"):
            if path.relative_to(source).with_suffix("").as_posix() not in ROBOTS:
                path.unlink()
        listing = list_urdfs(source, license="zlib", author="")
        made = convert(listing, Path(folder) / "out", name="robots", options={})
        for name, (index, distance) in ROBOTS.items():
            category = name.split("/")[0]
            rows += jointed(str(made.manifest), category, index, distance, moved)
    _write("robots.webp", labelled(rows, 5), quality=60)


def jointed(
    catalog: str, category: str, index: int, distance: float, moved: Articulate
) -> list[tuple[str, np.ndarray]]:
    """Returns labelled pictures of an object with joints in four steps, and its parts.

    Args:
      catalog: of objects.
      category: of the object.
      index: of the scene.
      distance: metres, of the camera.
      moved: how the joints move.
    """
    resolved = resolved_spec(
        objects=Objects(
            catalog=catalog, categories=(category,), held_out=0, count=(1, 1)
        ),
        render=Render(layers=(*REQUIRED_LAYERS, "surface")),
        cameras=Cameras(count=1, distance=(distance, distance)),
        dynamics=Dynamics(
            steps=4,
            motion="smooth",
            spawn_radius=0.1,
            travel=(0.0, 0.2),
            turn=(10, 20),
            articulate=moved,
        ),
    )
    scene = sample_scene(resolved, "train", index)
    scene = dataclasses.replace(scene, resolution=(176, 176))
    record = rendered(resolved, scene)
    views = tracks.drawn(record, range(4), side=176)
    return [
        *((f"step {step}", view) for step, view in enumerate(views)),
        ("parts at step 3", pictures(record)["part"][-1]),
    ]


def rendered(resolved: ResolvedSpec, scene: Scene) -> Mapping[str, Any]:
    """Renders a scene and returns its record."""
    with _renderer(resolved) as renderer:
        return records.decode(records.encode(scene, renderer.render(scene)))


def creatures() -> None:
    """Writes five creatures with the tracks of points, and one that walks."""
    rows: list[tuple[str, np.ndarray]] = []
    for kind, index in CREATURES.items():
        record = walked(kind, index, steps=STEPS, travel=1.0, side=160)
        views = tracks.drawn(record, range(STEPS), side=160, points=30)
        rows += [(f"{kind}, step {step}", view) for step, view in enumerate(views)]
    _write("creatures.webp", labelled(rows, STEPS), quality=64)
    walk()


def walk() -> None:
    """Writes a dog that walks, with the tracks of points, as an animation."""
    record = walked("quadruped", WALKER, steps=24, travel=1.6, side=256)
    frames = tracks.drawn(record, range(24), side=320, points=40)
    path = OUT.parent / "walk.webp"
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=100,
        loop=0,
        quality=62,
        method=6,
    )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def walked(
    kind: str, index: int, steps: int, travel: float, side: int
) -> Mapping[str, Any]:
    """Returns the record of a creature that goes by, seen by one still camera."""
    resolved = resolved_spec(
        objects=Objects(
            catalog="procedural", categories=(kind,), held_out=0, count=(1, 1)
        ),
        render=Render(layers=(*REQUIRED_LAYERS, "surface")),
        dynamics=Dynamics(
            steps=steps,
            motion="smooth",
            spawn_radius=0.2,
            travel=(travel, travel),
            turn=(25, 25),
            gait=Gait(amplitude=(1, 1), height=(0.4, 0.4)),
        ),
    )
    scene = sample_scene(resolved, "train", index)
    places = np.array([each.position for each in scene.objects[0].poses])
    w, _, _, z = scene.objects[0].poses[steps // 2].quaternion
    azimuth = 2 * np.arctan2(z, w) - np.radians(65)
    way = np.array([np.cos(azimuth), np.sin(azimuth), 0])
    at = places.mean(0) * (1, 1, 0) + way * (2.6 + travel) + (0, 0, 1.5)
    down = np.arctan2(1.5 - places[:, 2].mean(), 2.6 + travel)
    turned = viewing(np.array(azimuth + np.pi), np.array(-down))
    [camera] = scene.cameras
    camera = dataclasses.replace(camera, pose=pose(at, turned))
    scene = dataclasses.replace(scene, cameras=(camera,), resolution=(side, side))
    return rendered(resolved, scene)


def displayed(light: np.ndarray) -> np.ndarray:
    """Returns a panorama [H, W, 3] as a picture, exposed for its mean brightness."""
    light = light * (0.35 / np.exp(np.log(light.mean(-1) + 1e-3).mean()))
    return _bytes(to_display(light * (1 + light / 9) / (1 + light)))


def chosen(
    resolved: ResolvedSpec, category: str, count: int, rng: np.random.Generator
) -> list[str]:
    """Returns the ids of random objects of a category."""
    pool = resolved.objects.select((category,))
    return [pool[int(i)].id for i in rng.integers(len(pool), size=count)]


def portrait(
    resolved: ResolvedSpec, object_id: str, rng: np.random.Generator, side: int
) -> Scene:
    """Returns a scene of one upright object that nearly fills one view.

    Args:
      resolved: a spec with one dynamics step and one camera; its environments light
        the object.
      object_id: the object.
      rng: draws the heading, the camera and the environment.
      side: of the view, in pixels.
    """
    scene = sample_scene(resolved, "train", int(rng.integers(1000)))
    asset = resolved.objects.assets[resolved.objects.index(object_id)]
    [item], [camera] = scene.objects, scene.cameras
    lower, upper = np.array(asset.bounds)
    sides = (upper - lower) * item.size / (upper - lower).max()
    heading, azimuth = rng.uniform(0, 2 * np.pi, 2)
    elevation = np.radians(rng.uniform(14, 32))
    ahead = np.array([np.cos(azimuth), np.sin(azimuth), 0]) * np.cos(elevation)
    ahead[2] = -np.sin(elevation)
    center = np.array([0, 0, sides[2] / 2])
    away = np.linalg.norm(sides) * camera.focal_length / camera.sensor_width * 1.13
    turn = np.array([np.cos(heading / 2), 0, 0, np.sin(heading / 2)])
    return dataclasses.replace(
        scene,
        resolution=(side, side),
        contact="rest",  # it stands on its lowest point and does not fall
        objects=(
            SceneObject(
                asset_id=asset.id,
                category=asset.category,
                category_id=resolved.objects.category_ids[asset.category],
                size=item.size,
                poses=(pose(center, turn),),
                material=None,
            ),
        ),
        cameras=(
            dataclasses.replace(
                camera,
                pose=pose(
                    center - away * ahead,
                    viewing(np.array(azimuth), np.array(-elevation)),
                ),
            ),
        ),
    )


def labelled(images: Sequence[tuple[str, np.ndarray]], across: int) -> np.ndarray:
    """Returns images of one size in rows, with their names below."""
    font, line, gap = ImageFont.load_default(12), 16, 4
    height, width = images[0][1].shape[:2]
    down = -(-len(images) // across)
    size = across * (width + gap) - gap, down * (height + line + gap)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for number, (name, image) in enumerate(images):
        row, column = divmod(number, across)
        x, y = column * (width + gap), row * (height + line + gap)
        sheet.paste(Image.fromarray(image), (x, y))
        pen.text((x + 2, y + height), name, fill=(90, 90, 90), font=font)
    return np.asarray(sheet)


def _balls(folder: Path) -> Path:
    """Writes a catalog of balls, one of each family; returns its manifest."""
    assets: dict[str, Any] = {}
    for number, family in enumerate(FAMILIES):
        model = Model((1, 1, 1), Draw((3, number)))
        model.add(model.material(family), ellipsoid(0.5, 0.5, 0.5, 48))
        write_archive(folder / f"{family}.tar.gz", model.made().files())
        assets[family] = {
            "asset_type": "FileBasedObject",
            "kwargs": {
                "render_filename": "{asset_dir}/visual_geometry.obj",
                "render_import_kwargs": AXES,
                "bounds": [[-0.5] * 3, [0.5] * 3],
            },
            "metadata": {"category": "ball", "textured": True},
        }
    path = folder / "manifest.json"
    path.write_text(json.dumps({"name": "materials", "assets": assets}))
    return path


def resolved_spec(
    catalog: str = "procedural", count: int = 1, **sections: Any
) -> ResolvedSpec:
    """Returns a spec of single steps in environments with much light."""
    places = ProceduralEnvironments(seed=0, count=100)
    lit = [each.id for each in places.assets if each.id.startswith(LIGHT)]
    spec = Spec(
        name="gallery",
        splits={"train": 1000},
        backgrounds=Backgrounds(catalog="procedural", assets=tuple(lit[:18])),
        **{
            "objects": Objects(catalog=catalog, count=(count, count), held_out=0),
            "dynamics": Dynamics(steps=1, contact="stable"),
            "cameras": Cameras(count=1),
            **sections,
        },
    )
    return resolve(spec, Path())


def _renderer(resolved: ResolvedSpec) -> Renderer:
    shapes, places = manifests(resolved)
    return Renderer(objects=shapes, backgrounds=places)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _write(name: str, picture: np.ndarray, quality: int = 88) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(OUT / name, quality=quality, method=6)
    print(f"{OUT / name}: {(OUT / name).stat().st_size / 1e3:.0f} kB")


SECTIONS = {
    "objects": objects,
    "materials": materials,
    "environments": places,
    "patterns": patterns,
    "layers": layers,
    "deformation": deformation,
    "articulation": articulation,
    "robots": robots,
    "creatures": creatures,
}

if __name__ == "__main__":
    for section in sys.argv[1:] or SECTIONS:
        SECTIONS[section]()
