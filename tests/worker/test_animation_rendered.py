"""Objects that play clips of their files, from real renders."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dyso import geometry, records
from dyso.assets import resolve
from dyso.assets.converting import convert
from dyso.assets.items import list_meshes
from dyso.reading import motion_masks, views_of, world_vertices
from dyso.render import Renderer, Views
from dyso.sampling import Scene, sample_scene
from dyso.sampling.scene import Animation
from dyso.spec import Animate, Dynamics, Objects, ResolvedSpec
from dyso.validation import agreement
from dyso.validation.meshes import mesh_faults

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def animated(
    starter: ResolvedSpec, animated_files: Path, tmp_path_factory
) -> ResolvedSpec:
    out = tmp_path_factory.mktemp("catalog")
    listing = list_meshes(
        animated_files, up="Y", categories=None, license="", author=""
    )
    made = convert(listing, out, name="animated", options={}, workers=1)
    spec = dataclasses.replace(
        starter.spec,
        resolution=(64, 64),
        objects=Objects(catalog=str(made.manifest), held_out=0.0),
        dynamics=Dynamics(
            steps=3,
            motion="smooth",
            travel=(0.2, 0.2),
            turn=(20.0, 20.0),
            animate=Animate(clips=("*",)),
        ),
    )
    return resolve(spec, Path())


@pytest.fixture(scope="module", params=["arm", "nodes", "all"])
def scene(animated: ResolvedSpec, request: pytest.FixtureRequest) -> Scene:
    scenes = (sample_scene(animated, "train", index) for index in range(100))
    scene = next(s for s in scenes if s.objects[0].asset_id == request.param)
    [item] = scene.objects
    # At moments at which Blender has told what it shows.
    clip = {"arm": "bow"}.get(request.param, "Scene")
    moments = Animation(clip=clip, times=(0.0, 8 / 24, 17 / 24))
    item = dataclasses.replace(item, animation=moments)
    return dataclasses.replace(scene, objects=(item,))


@pytest.fixture(scope="module")
def worker(animated: ResolvedSpec) -> Iterator[Renderer]:
    with Renderer(
        objects=animated.objects.manifest,
        backgrounds=animated.backgrounds.manifest,
        timeout=120,
    ) as started:
        yield started


@pytest.fixture(scope="module")
def views(worker: Renderer, scene: Scene) -> Views:
    return worker.render(scene)


@pytest.fixture(scope="module")
def record(scene: Scene, views: Views) -> dict:
    return records.decode(records.encode(scene, views))


def test_the_mesh_is_what_blender_shows_of_the_file(
    animated: ResolvedSpec, animated_files: Path, scene: Scene, views: Views
) -> None:
    [item] = scene.objects
    expected = np.load(animated_files / f"{item.asset_id}.npz")
    shown = expected[item.animation.clip][[0, 2, 4]]
    [asset] = [a for a in animated.objects.assets if a.id == item.asset_id]
    low, high = np.array(asset.rest)
    shown = (shown - (low + high) / 2) * item.size / (high - low).max()
    for actual, points in zip(views.mesh_vertices, shown, strict=True):
        gaps = np.linalg.norm(actual[:, None] - points, axis=-1)
        assert gaps.min(1).max() < 2e-5  # every vertex is one of Blender's,
        assert gaps.min(0).max() < 2e-5  # and every one of Blender's is there
    # A step's vertices are those of the same points in the other steps.
    first = np.linalg.norm(views.mesh_vertices[0][:, None] - shown[0], axis=-1)
    for actual, points in zip(views.mesh_vertices, shown, strict=True):
        assert abs(actual - points[first.argmin(1)]).max() < 2e-5


def test_the_clip_keeps_its_heights_above_the_floor(
    animated: ResolvedSpec, scene: Scene, record: dict
) -> None:
    heights = record["objects/positions"][0, :, 2]
    assert np.ptp(heights) < 1e-6
    lowest = world_vertices(record)[..., 2].min()
    assert lowest == pytest.approx(0, abs=1e-4 * scene.objects[0].size)
    assert list(mesh_faults(record, scene, animated.objects)) == []


def test_records_name_the_clip_and_its_times(scene: Scene, record: dict) -> None:
    [item] = scene.objects
    assert record["objects/clip"].tolist() == [item.animation.clip]
    assert record["objects/clip_times"][0] == pytest.approx(item.animation.times)


def test_depth_surface_and_flow_of_all_views_agree(record: dict) -> None:
    proof = agreement(record)
    assert not len(proof.failed())
    assert proof.share() > 0.99
    assert motion_masks(record).any((1, 2)).all()
    seen = views_of(record)
    view = seen.at(0)
    rows, columns = np.nonzero(view.instance)
    _, moved = geometry.follow(view, (rows, columns), seen)
    assert abs(moved - moved[0]).max() > 0.1


def test_colors_are_of_the_moved_mesh(record: dict) -> None:
    """Cycles paints the objects red, blue and yellow, which casts know nothing of."""
    color = record["color"].astype(int)
    vivid = np.ptp(color, axis=-1) > 60
    shown = record["instance"][..., 0] > 0
    for step in range(3):
        views = slice(2 * step, 2 * step + 2)
        inside = vivid[views][shown[views]].mean()
        outside = vivid[views][~shown[views]].mean()
        assert inside > 0.6 and outside < 0.3 * inside


def test_validation_tells_another_clip_or_time(
    animated: ResolvedSpec, scene: Scene, record: dict
) -> None:
    [item] = scene.objects

    def faults(**change) -> list[str]:
        other = dataclasses.replace(item.animation, **change)
        objects = (dataclasses.replace(item, animation=other),)
        altered = dataclasses.replace(scene, objects=objects)
        return list(mesh_faults(record, altered, animated.objects))

    assert faults(clip="none") == [
        "scene: object 0 plays a clip that its catalog does not have"
    ]
    assert faults(times=(0.0, 0.5, 1.5)) == [
        "scene: object 0 is at a time beyond its clip"
    ]
    moved = dict(record)
    moved["mesh/vertices"] = record["mesh/vertices"] + np.float32([3 * item.size, 0, 0])
    wrong = list(mesh_faults(moved, scene, animated.objects))
    assert len(wrong) == 3 and "does not have the shape of its scene" in wrong[0]
