import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dyso.geometry import (
    intrinsics,
    invert,
    pose_matrix,
    project,
    quaternion_to_matrix,
)
from dyso.sampling import Scene, UnseenScene, sample_scene
from dyso.sampling.rng import Streams
from dyso.spec import (
    Backgrounds,
    Cameras,
    Dynamics,
    Objects,
    Patterns,
    ResolvedSpec,
    Visibility,
    load_spec,
)

SPECS = Path(__file__).parents[2] / "specs"

# A spec of which about four attempts in ten can be shown.
PICKY = {
    "visibility": Visibility(share=0.9, share_of_views=0.9),
    "dynamics": Dynamics(spawn_radius=3.0),
    "cameras": Cameras(distance=(5.0, 8.0)),
}


def test_the_same_call_gives_the_same_scene_whatever_came_before(resolved):
    scenes = {i: sample_scene(resolved, "train", i) for i in range(20)}
    for i in reversed(range(20)):
        assert sample_scene(resolved, "train", i) == scenes[i]
    assert len({scene.to_json() for scene in scenes.values()}) == 20


def test_a_fresh_process_gives_the_same_scenes(tmp_path, make_resolved):
    resolved = make_resolved(**PICKY)
    path = tmp_path / "resolved.pickle"
    path.write_bytes(pickle.dumps(resolved))
    script = (
        "import pickle, sys; from dyso.sampling import sample_scene\n"
        "resolved = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for i in range(5): print(sample_scene(resolved, 'test', i).to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    here = [sample_scene(resolved, "test", i).to_json() for i in range(5)]
    assert done.stdout.splitlines() == here


def test_scenes_differ_by_seed_split_index_and_attempt(make_resolved):
    resolved = make_resolved()
    other = make_resolved(seed=1)
    scenes = [
        sample_scene(resolved, "train", 3),
        sample_scene(resolved, "train", 4),
        sample_scene(resolved, "test", 3),
        sample_scene(resolved, "validation", 3),
        sample_scene(resolved, "train", 3, attempt=5),
        sample_scene(other, "train", 3),
    ]
    assert len({scene.cameras for scene in scenes}) == len(scenes)
    assert len({scene.render_seed for scene in scenes}) == len(scenes)


def test_streams_differ_by_each_part_of_their_names():
    parts = {"seed": 0, "split": "a", "index": 1, "attempt": 0}
    draws = [
        Streams(**{**parts, **change}).named(name).integers(2**62)
        for change in ({}, {"seed": 1}, {"split": "b"}, {"index": 2}, {"attempt": 1})
        for name in ("one", "two")
    ]
    assert len(set(draws)) == 10
    assert Streams(**parts).named("one").integers(2**62) == draws[0]


def test_streams_are_those_of_earlier_releases():
    # If this fails, no dataset made before can be continued.
    stream = Streams(seed=0, split="train", index=0, attempt=0).named("object")
    assert stream.bit_generator.random_raw() == 494801617899394772


def test_scenes_are_those_of_earlier_datasets(resolved):
    # If this fails, no dataset made before can be continued.
    digest = hashlib.sha256()
    for index in range(50):
        digest.update(sample_scene(resolved, "train", index).to_json().encode())
    assert digest.hexdigest()[:16] == "a8392228e9bd1b06"


def test_a_scene_that_physics_moves_says_how_it_starts(make_resolved):
    def falling(steps):
        dynamics = Dynamics(
            steps=steps,
            motion="physics",
            contact="free",
            spawn_radius=1.5,
            speed=(1.0, 2.0),
        )
        objects = Objects(count=(3, 3), size=0.5)
        resolved = make_resolved(dynamics=dynamics, objects=objects)
        return [sample_scene(resolved, "train", index) for index in range(5)]

    for short, long in zip(falling(2), falling(9), strict=True):
        assert Scene.from_json(long.to_json()) == long
        assert (short.steps, long.steps) == (2, 9)
        # Only how long one looks differs, not what happens.
        assert long.physics == short.physics
        assert long.physics is not None and long.physics.frame_rate == 30
        assert len(long.physics.velocities) == len(long.physics.spins) == 3
        for one, other in zip(short.objects, long.objects, strict=True):
            assert one.poses[0] == other.poses[0]
            assert set(other.poses) == {other.poses[0]}


def test_scenes_from_before_physics_can_be_read(resolved):
    scene = sample_scene(resolved, "train", 0)
    assert "physics" not in scene.to_json()
    assert Scene.from_json(scene.to_json()).physics is None


def test_a_video_has_one_camera_on_one_path(videos):
    for index in range(20):
        scene = sample_scene(videos, "train", index)
        assert (scene.pattern, scene.layout.shape) == ("handheld", (7, 1))
        assert Scene.from_json(scene.to_json()) == scene
        for poses in (scene.objects[0].poses, [c.pose for c in scene.cameras]):
            places = np.array([pose.position for pose in poses])
            steps = np.linalg.norm(np.diff(places, axis=0), axis=-1)
            # A path, not leaps to and fro: it is longer than its steps.
            reach = np.linalg.norm(places[:, None] - places, axis=-1).max()
            assert steps.max() < 0.8 * reach


def test_held_out_cameras_stand_beside_the_path_of_a_video(videos):
    cameras = replace(videos.spec.cameras, count=9, held_out=2)
    beside = replace(videos, spec=replace(videos.spec, cameras=cameras))
    low, high = cameras.patterns.handheld.beside
    for index in range(10):
        scene = sample_scene(beside, "train", index)
        assert scene.layout.shape == (7, 3)
        assert Scene.from_json(scene.to_json()) == scene
        places = np.array([camera.pose.position for camera in scene.cameras])
        path, held_out = places[:7], places[7:]
        # They are opposite each other, about the middle of the slow path.
        middle = held_out.mean(axis=0)
        assert np.linalg.norm(middle - path.mean(axis=0)) < 1.5
        radius = np.linalg.norm(held_out - middle, axis=-1)
        assert radius[0] == pytest.approx(radius[1], rel=1e-4)
        ahead = [
            quaternion_to_matrix(np.array(camera.pose.quaternion))[:, 2]
            for camera in scene.cameras[7:]
        ]
        # Their lines of sight meet at the target, which is as far as the radius says.
        distance = 100 * radius[0] / np.array([high, low])
        cosine = ahead[0] @ ahead[1]
        angle = 2 * np.arctan(radius[0] / distance)
        assert angle[0] >= np.arccos(cosine) - 1e-4 >= angle[1] - 2e-4


def test_visibility_in_a_video_counts_only_each_cameras_own_step(videos):
    visibility = Visibility(share=0.9, share_of_views=1.0)
    videos = replace(videos, spec=replace(videos.spec, visibility=visibility))
    for index in range(10):
        scene = sample_scene(videos, "train", index)
        shares = np.diagonal(seen(scene, videos))
        assert (shares >= 0.9 - 0.1).all()


def test_paired_cameras_need_as_many_steps(videos):
    scene = sample_scene(videos, "train", 0)
    with pytest.raises(ValueError, match="as many as the dynamics steps"):
        replace(scene, cameras=scene.cameras[:-1])
    unpaired = replace(scene, paired=False, cameras=scene.cameras[:-1]).to_json()
    with pytest.raises(ValueError, match="as many as the dynamics steps"):
        Scene.from_json(unpaired[:-1] + ',"paired":true}')


def test_one_factor_leaves_the_others_alone(make_resolved):
    seen = Visibility(share=0.0)
    one = sample_scene(make_resolved(visibility=seen), "train", 0)
    more = sample_scene(
        make_resolved(visibility=seen, dynamics=Dynamics(steps=9)), "train", 0
    )
    assert more.cameras == one.cameras
    assert more.background == one.background
    assert more.objects[0].asset_id == one.objects[0].asset_id
    assert more.objects[0].poses[0] == one.objects[0].poses[0]
    cameras = Cameras(count=3, position_noise=0.0)
    fewer = sample_scene(make_resolved(visibility=seen, cameras=cameras), "train", 0)
    assert fewer.objects == one.objects


def test_the_last_scene_of_a_large_dataset_can_be_sampled_at_once(make_resolved):
    resolved = make_resolved(splits={"train": 2**40, "test": 1})
    scene = sample_scene(resolved, "train", 2**40 - 1)
    assert scene.index == 2**40 - 1
    assert scene.name == "scene_1099511627775"


@pytest.mark.parametrize("contact", ["rest", "settle", "stable", "free"])
def test_a_scene_reads_back_exactly_from_one_line_of_json(contact, make_resolved):
    resolved = make_resolved(
        objects=Objects(count=(2, 4)),
        dynamics=Dynamics(contact=contact, spawn_radius=4.0),
        visibility=Visibility(share=0.3),
    )
    for index in range(20):
        scene = sample_scene(resolved, "train", index)
        text = scene.to_json()
        assert "\n" not in text
        assert Scene.from_json(text) == scene
        assert Scene.from_json(text.encode()).to_json() == text


@pytest.mark.parametrize("text", ["", "{}", "null", '{"index": 0}', b"\xff"])
def test_invalid_scenes_are_refused(text):
    with pytest.raises(ValueError, match="for Scene"):
        Scene.from_json(text)


def test_a_scene_follows_its_spec(make_resolved):
    resolved = make_resolved(
        resolution=(64, 96),
        objects=Objects(count=(2, 4), size=1.5),
        dynamics=Dynamics(steps=3, spawn_radius=4.0, settle_time=2.0),
        cameras=Cameras(count=7, focal_length=50.0, sensor_width=36.0),
        backgrounds=Backgrounds(dome_radius=30.0, dome_height=2.0),
        visibility=Visibility(share=0.2),
    )
    scenes = [sample_scene(resolved, "train", i) for i in range(60)]
    assert {len(scene.objects) for scene in scenes} == {2, 3, 4}
    assert {scene.pattern for scene in scenes} == {"shift", "pan", "zoom", "random"}
    for scene in scenes:
        assert (scene.dataset, scene.split) == ("test", "train")
        assert scene.spec_hash == resolved.hash
        assert scene.resolution == (64, 96)
        assert scene.render == resolved.spec.render
        assert scene.settle_time == 2.0
        assert scene.steps == 3
        assert len(scene.cameras) == 7
        assert {c.sensor_width for c in scene.cameras} == {0.036}
        assert {c.focal_length for c in scene.cameras} == {0.05}
        assert 0 <= scene.render_seed < 2**31
        assert (scene.background.dome_radius, scene.background.dome_height) == (30, 2)
        assert 0 <= scene.background.rotation < 2 * np.pi
        for shown in scene.objects:
            assert len(shown.poses) == 3
            assert shown.size == 1.5


def test_categories_are_numbered_over_the_whole_catalog(make_resolved):
    resolved = make_resolved(objects=Objects(categories=("category_3", "category_5")))
    shown = [sample_scene(resolved, "train", i).objects[0] for i in range(20)]
    assert {(o.category, o.category_id) for o in shown} == {
        ("category_3", 4),
        ("category_5", 6),
    }


def test_backgrounds_turn_within_the_specs_range(make_resolved):
    backgrounds = Backgrounds(rotation=(90.0, 100.0))
    resolved = make_resolved(backgrounds=backgrounds)
    turns = [sample_scene(resolved, "train", i).background.rotation for i in range(6)]
    assert np.degrees(turns).min() >= 90
    assert np.degrees(turns).max() <= 100
    assert len(set(turns)) == 6


def test_splits_show_other_objects_and_backgrounds(make_resolved):
    resolved = make_resolved(
        objects=Objects(held_out=0.3), backgrounds=Backgrounds(held_out=0.3)
    )
    objects, hdris = {}, {}
    for split in ("train", "validation", "test"):
        scenes = [sample_scene(resolved, split, i) for i in range(150)]
        objects[split] = {o.asset_id for scene in scenes for o in scene.objects}
        hdris[split] = {scene.background.asset_id for scene in scenes}
    assert len(objects["train"]) == 28
    assert len(hdris["train"]) == 4
    assert objects["test"] == objects["validation"]
    assert hdris["test"] == hdris["validation"]
    assert not objects["train"] & objects["test"]
    assert not hdris["train"] & hdris["test"]


def test_objects_without_materials_get_varied_ones_that_are_not_white(resolved):
    textured = {asset.id: asset.textured for asset in resolved.objects.assets}
    materials = []
    for index in range(200):
        for shown in sample_scene(resolved, "train", index).objects:
            assert (shown.material is None) == textured[shown.asset_id]
            materials += [shown.material] if shown.material else []
    for material in materials:
        for color in material.colors:
            assert 0 <= min(color) <= max(color) <= 1
            # Saturation; in scene-linear light it is higher still than on display.
            assert min(color) <= 0.5 * max(color)
        for share in (material.roughness, material.metallic, material.bump):
            assert 0 <= share <= 1
    assert len({material.texture for material in materials}) == 6
    assert {material.metallic > 0 for material in materials} == {True, False}
    hues = [int(np.argmax(material.colors[0])) for material in materials]
    assert min(map(hues.count, range(3))) > len(hues) / 6


def seen(scene: Scene, resolved: ResolvedSpec, per_side: int = 9) -> np.ndarray:
    """Returns the share [T, C] of points in the objects' boxes that are in frame."""
    height, width = scene.resolution
    bounds = {asset.id: np.array(asset.bounds) for asset in resolved.objects.assets}
    steps = (np.arange(per_side) + 0.5) / per_side - 0.5
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    shares = np.zeros((len(scene.objects), scene.steps, len(scene.cameras)))
    for n, shown in enumerate(scene.objects):
        lower, upper = bounds[shown.asset_id]
        points = grid * (upper - lower) * shown.size / (upper - lower).max()
        for t, pose in enumerate(shown.poses):
            world = points @ quaternion_to_matrix(np.array(pose.quaternion)).T
            world = world + pose.position
            for c, camera in enumerate(scene.cameras):
                k = intrinsics(camera.focal_length, camera.sensor_width, height, width)
                extrinsics = invert(
                    pose_matrix(
                        np.array(camera.pose.position),
                        np.array(camera.pose.quaternion),
                    )
                )
                pixels, _, z = project(world, k, extrinsics)
                inside = (pixels >= 0) & (pixels <= [width, height])
                shares[n, t, c] = (inside.all(-1) & (z > 0)).mean()
    return shares.mean(0)


@pytest.mark.parametrize("resolution", [(128, 128), (64, 160)])
@pytest.mark.parametrize("count", [1, 3])
def test_objects_are_seen(resolution, count, make_resolved):
    fields = {**PICKY, "dynamics": Dynamics(spawn_radius=4.0)} if count > 1 else PICKY
    visibility = Visibility(share=0.7, share_of_views=0.9, attempts=1000)
    resolved = make_resolved(
        resolution=resolution,
        objects=Objects(count=(count, count), size=1.2),
        **{**fields, "visibility": visibility},
    )
    attempts = []
    for index in range(25):
        scene = sample_scene(resolved, "train", index)
        attempts.append(scene.attempt)
        # A finer grid of points than the sampler's, so not to the last percent.
        assert (seen(scene, resolved) >= 0.7 - 0.1).mean() >= 0.9
    assert max(attempts) > 0


def test_cameras_keep_off_the_floor_the_dome_and_the_objects(make_resolved):
    resolved = make_resolved(
        cameras=Cameras(
            distance=(2.0, 9.0),
            elevation=(-5.0, 45.0),
            min_height=0.5,
            target_noise=0.5,
        ),
        backgrounds=Backgrounds(dome_radius=9.0),
        visibility=Visibility(share=0.1, attempts=1000),
    )
    attempts = []
    for index in range(60):
        scene = sample_scene(resolved, "train", index)
        attempts.append(scene.attempt)
        cameras = np.array([camera.pose.position for camera in scene.cameras])
        objects = np.array([pose.position for pose in scene.objects[0].poses])
        assert cameras[:, 2].min() >= 0.5
        assert np.linalg.norm(cameras, axis=-1).max() < 9.0
        gaps = np.linalg.norm(cameras[:, None] - objects, axis=-1)
        # The longest side is 2, so no box reaches nearer than 1 from its centre.
        assert gaps.min() > 1.1
    assert max(attempts) > 0


def test_without_a_dome_cameras_may_be_far(make_resolved):
    far = {"cameras": Cameras(distance=(40.0, 50.0))}
    bare = make_resolved(**far, backgrounds=Backgrounds(backdrop="environment"))
    assert sample_scene(bare, "train", 0).attempt == 0
    with pytest.raises(UnseenScene, match="outside the dome"):
        sample_scene(make_resolved(**far), "train", 0)


def test_a_scene_is_reached_from_every_attempt_up_to_its_own(make_resolved):
    resolved = make_resolved(**PICKY)
    late = [sample_scene(resolved, "train", i) for i in range(40)]
    late = [scene for scene in late if scene.attempt >= 2]
    assert late
    for scene in late:
        for attempt in range(scene.attempt + 1):
            assert sample_scene(resolved, "train", scene.index, attempt) == scene
        beyond = sample_scene(resolved, "train", scene.index, scene.attempt + 1)
        assert beyond.attempt > scene.attempt


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"cameras": Cameras(min_height=20.0)}, "a camera is below cameras.min_height"),
        (
            {"cameras": Cameras(distance=(0.5, 0.5), min_height=0.01)},
            "a camera is inside an object's bounding sphere",
        ),
        ({"objects": Objects(count=(9, 9))}, "no room for the objects"),
        ({"cameras": Cameras(focal_length=900.0)}, "too little of the objects"),
        ({"backgrounds": Backgrounds(dome_radius=3.0)}, "outside the dome"),
    ],
)
def test_a_spec_that_never_shows_its_objects_ends_with_the_reason(
    fields, reason, make_resolved
):
    visibility = Visibility(share=1.0, share_of_views=1.0, attempts=20)
    resolved = make_resolved(**fields, visibility=visibility)
    with pytest.raises(UnseenScene, match=reason) as caught:
        sample_scene(resolved, "test", 7)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.split, error.index, error.attempts) == ("test", 7, 20)
    assert str(error) == str(caught.value)
    assert "split 'test', scene 7: none of 20 attempts" in str(error)


def test_attempts_past_the_bound_are_refused(make_resolved):
    resolved = make_resolved(visibility=Visibility(attempts=3))
    for attempt in (3, 10**9):
        with pytest.raises(UnseenScene, match="no attempt is left"):
            sample_scene(resolved, "train", 0, attempt)


def test_many_objects_on_a_shell(make_resolved):
    weights = dict.fromkeys(Patterns().weights(), 0.0) | {"shell": 1.0}
    patterns = Patterns(
        **{k: replace(getattr(Patterns(), k), weight=w) for k, w in weights.items()}
    )
    resolved = make_resolved(
        objects=Objects(count=(16, 32)),
        dynamics=Dynamics(steps=1, spawn_radius=5.0, contact="settle"),
        cameras=Cameras(count=10, distance=(8.0, 12.0), patterns=patterns),
        visibility=Visibility(share=0.5),
    )
    for index in range(10):
        scene = sample_scene(resolved, "train", index)
        assert 16 <= len(scene.objects) <= 32
        assert (scene.pattern, scene.steps) == ("shell", 1)


def test_numbers_are_rounded_so_that_processors_agree(resolved):
    scene = json.loads(sample_scene(resolved, "train", 0).to_json())

    def floats(value):
        if isinstance(value, float):
            yield value
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from floats(inner)

    assert all(number == round(number, 9) for number in floats(scene))


@pytest.mark.parametrize("name", ["starter", "dyso", "msn"])
def test_most_first_attempts_of_the_projects_specs_can_be_shown(name, make_resolved):
    resolved = replace(make_resolved(), spec=load_spec(SPECS / f"{name}.yaml"))
    attempts = [sample_scene(resolved, "train", i).attempt for i in range(40)]
    assert attempts.count(0) > 0.8 * len(attempts)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_scene_has_no_number_that_is_not_finite(wrong, resolved):
    scene = sample_scene(resolved, "train", 0)
    [first, *others] = scene.cameras
    pose = replace(first.pose, position=(0.0, wrong, 0.0))
    cameras = (replace(first, pose=pose), *others)
    with pytest.raises(ValueError, match="finite"):
        replace(scene, cameras=cameras)
    text = scene.to_json().replace(f'"size":{scene.objects[0].size}', '"size":NaN')
    with pytest.raises(ValueError, match="finite"):
        Scene.from_json(text)
