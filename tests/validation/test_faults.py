"""Validation finds and names the faults of a dataset."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from tensorflow_datasets.proto import tf_example_pb2

from dyso import records
from dyso.records import feature_faults
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Dynamics, UserError
from dyso.validation import Validation, chosen
from helpers.dataset_writer import write_dataset

SHARD = "test-train.array_record-00000-of-00001"


@pytest.fixture(scope="module")
def resolved(make_resolved):
    return make_resolved(
        resolution=(32, 32),
        splits={"train": 3, "test": 2},
        dynamics=Dynamics(steps=3),
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory, resolved):
    folder = tmp_path_factory.mktemp("sound") / "data"
    return write_dataset(folder, resolved, synthetic_views)


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "data")


def problems(folder, scenes=None):
    subject = Validation(folder)
    found = list(subject.check_folder())
    for shard, own in zip(subject.shards, chosen(subject, scenes), strict=True):
        found += subject.check_shard(shard)
        found += subject.check_records(shard, own, lambda: None)
    return [str(problem) for problem in found]


def test_a_sound_dataset_has_no_problems(sound):
    assert problems(sound) == []


def test_a_dataset_without_recorded_checksums_is_accepted(copy):
    (copy / "metadata.json").write_text("{}")
    (copy / "COMPLETED").unlink()
    assert problems(copy) == []


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_a_flipped_byte_is_named_with_its_record(copy):
    # Within one of the records, of some 47 KB each.
    flipped(copy / SHARD, 100_000)
    found = problems(copy)
    assert found[0] == f"{SHARD}: its checksum is not the one in metadata.json"
    assert len(found) == 2
    assert found[1].startswith(f"{SHARD}: record ")
    assert "damaged" in found[1]


def test_a_truncated_shard_is_named(copy):
    path = copy / SHARD
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2)
    found = problems(copy)
    assert found[0] == (f"{SHARD}: has {size // 2} bytes, metadata.json says {size}")
    assert len(found) == 2
    assert "not a whole shard" in found[1]


def test_a_missing_shard_is_named_and_the_others_are_checked(copy):
    (copy / SHARD).unlink()
    flipped(copy / SHARD.replace("train", "test"), 70_000)
    found = problems(copy)
    assert found[0].startswith(f"{SHARD}: is missing")
    assert len(found) == 3


def test_a_shard_of_another_dataset_is_named(copy):
    shutil.copy(copy / SHARD, copy / SHARD.replace("train", "validation"))
    assert problems(copy) == [
        f"{SHARD.replace('train', 'validation')}: is not a shard of this dataset"
    ]


def test_scenes_that_are_not_accounted_for_are_named(copy):
    # As if a job had forgotten one scene, and nobody had noticed.
    metadata = json.loads((copy / "metadata.json").read_text())
    metadata["failures"] = [{"split": "train", "index": 7}]
    (copy / "metadata.json").write_text(json.dumps(metadata))
    assert problems(copy) == [
        "dataset_info.json: split 'train': 3 scenes and 1 failures do not add "
        "up to the 3 planned scenes"
    ]


def test_a_shard_with_a_record_too_few_is_named(copy):
    data = list(records.read_shard(copy / SHARD))
    records.write_shard(copy / SHARD, data[:2])
    found = problems(copy)
    assert f"{SHARD}: holds 2 records, dataset_info.json says 3" in found


def changed(tmp_path, resolved, change):
    """Writes a dataset whose train records are changed, with checksums to match."""
    return write_dataset(
        tmp_path / "data",
        resolved,
        synthetic_views,
        lambda split, own: change(own) if split == "train" else own,
    )


def test_swapped_records_are_named(tmp_path, resolved):
    folder = changed(tmp_path, resolved, lambda own: [own[0], own[2], own[1]])
    assert problems(folder) == [f"{SHARD}: record 2: is out of order: its scene is 1"]


def test_a_record_of_another_split_is_named(tmp_path, resolved):
    scene = sample_scene(resolved, "test", 0)
    foreign = records.encode(scene, synthetic_views(scene))
    folder = changed(tmp_path, resolved, lambda own: [foreign, *own[1:]])
    assert problems(folder) == [
        f"{SHARD}: record 0: belongs to split 'test', not 'train'"
    ]


def test_a_record_of_another_dataset_is_named(tmp_path, resolved, make_resolved):
    other = make_resolved(resolution=(32, 32), dynamics=Dynamics(steps=3), seed=1)
    scene = sample_scene(other, "train", 1)
    foreign = records.encode(scene, synthetic_views(scene))
    folder = changed(tmp_path, resolved, lambda own: [own[0], foreign, own[2]])
    assert problems(folder) == [
        f"{SHARD}: record 1: belongs to another dataset: its spec hash is "
        f"{other.hash}, that of this dataset is {resolved.hash}"
    ]


def test_bytes_that_are_not_a_record_are_named(tmp_path, resolved):
    folder = changed(tmp_path, resolved, lambda own: [own[0], b"\x07 no", own[2]])
    [found] = problems(folder)
    assert found.startswith(f"{SHARD}: record 1: does not decode: ")


def test_a_scene_of_other_views_is_named(tmp_path, resolved):
    def paired(own):
        example = tf_example_pb2.Example.FromString(own[0])
        scene = dataclasses.replace(records.scene_of(own[0]), paired=True)
        text = example.features.feature["scene"].bytes_list
        text.value[0] = scene.to_json().encode()
        return [example.SerializeToString(deterministic=True), *own[1:]]

    folder = changed(tmp_path, resolved, paired)
    assert problems(folder) == [
        f"{SHARD}: record 0: does not decode: damaged field 'scene': cameras paired: "
        "expected 0, got 1"
    ]


def test_the_frames_of_a_sound_video_agree(tmp_path, videos):
    spec = dataclasses.replace(videos.spec, resolution=(48, 48))
    videos = dataclasses.replace(videos, spec=spec)
    folder = write_dataset(tmp_path / "data", videos, synthetic_views)
    assert problems(folder) == []


def reencoded(resolved, **changes):
    """Returns a change of record 0, whose views are replaced after rendering."""
    scene = sample_scene(resolved, "train", 0)
    views = synthetic_views(scene)
    arrays = {name: change(vars(views)[name]) for name, change in changes.items()}
    data = records.encode(scene, dataclasses.replace(views, **arrays))
    return lambda own: [data, *own[1:]]


def moved(positions):
    positions = positions.copy()
    positions[0, 2, 0] += 0.2
    return positions


def test_a_wrong_pose_is_named_with_its_step(tmp_path, resolved):
    folder = changed(tmp_path, resolved, reencoded(resolved, positions=moved))
    assert problems(folder) == [
        f"{SHARD}: record 0: objects: pose of object 0 at dynamics step 2: "
        "differs from scene"
    ]


def lifted(positions):
    # The height is the mesh's to decide, so that only the pixels tell.
    positions = positions.copy()
    positions[0, 2, 2] += 0.4
    return positions


def test_a_wrong_height_is_named_by_the_geometry(tmp_path, resolved):
    folder = changed(tmp_path, resolved, reencoded(resolved, positions=lifted))
    [found] = problems(folder)
    assert found.startswith(f"{SHARD}: record 0: geometry: ")
    assert "object 0 agree between views; most are wrong in view 1" in found


def test_a_quaternion_of_another_norm_is_named(tmp_path, resolved):
    change = reencoded(resolved, quaternions=lambda values: values * 1.01)
    assert problems(changed(tmp_path, resolved, change)) == [
        f"{SHARD}: record 0: objects: invalid pose of object 0 at dynamics step 0"
    ]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0, 0.0])
@pytest.mark.parametrize("name", ["sizes", "positions"])
def test_sizes_and_places_that_cannot_be_are_named(tmp_path, resolved, wrong, name):
    if name == "positions" and np.isfinite(wrong):
        wrong = -np.inf

    def change(values):
        return np.full_like(values, wrong)

    folder = changed(tmp_path, resolved, reencoded(resolved, **{name: change}))
    found = problems(folder)
    assert found[0].startswith(f"{SHARD}: record 0: objects/{name}: ")
    assert np.isfinite(wrong) or found[0].endswith("not finite")


def rewritten(resolved, change):
    """Returns a change of record 0, rendered from a scene that the spec excludes."""
    scene = change(sample_scene(resolved, "train", 0))
    data = records.encode(scene, synthetic_views(scene))
    return lambda own: [data, *own[1:]]


def grown(scene):
    [item] = scene.objects
    return dataclasses.replace(scene, objects=(dataclasses.replace(item, size=3.0),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: dataclasses.replace(s, objects=s.objects * 20),
            "does not decode: damaged field 'scene': objects: expected 1, got 20",
        ),
        (
            lambda s: dataclasses.replace(s, cameras=s.cameras[:4]),
            "does not decode: damaged field 'scene': cameras: expected 5, got 4",
        ),
        (
            lambda s: dataclasses.replace(s, resolution=(16, 16)),
            "does not decode: damaged field 'scene': height: expected 32, got 16",
        ),
        (
            lambda s: dataclasses.replace(s, attempt=10**9),
            "scene: attempt 1000000000 is not below the spec's 100",
        ),
        (
            lambda s: dataclasses.replace(s, contact="free"),
            "scene: contact: is 'free', but the spec has 'rest'",
        ),
        (
            lambda s: dataclasses.replace(s, pattern="rig"),
            "scene: pattern 'rig' is not a pattern of the spec",
        ),
        (
            lambda s: dataclasses.replace(
                s, render=dataclasses.replace(s.render, samples=1)
            ),
            "scene: render: is Render(samples=1, ",
        ),
        (grown, "scene: an object's size is not the spec's 2 m"),
    ],
)
def test_a_scene_that_is_not_the_specs_is_named(tmp_path, resolved, change, message):
    found = problems(changed(tmp_path, resolved, rewritten(resolved, change)))
    assert found and found[0].startswith(f"{SHARD}: record 0: {message}")


def test_features_that_tfds_would_not_read_are_named(copy):
    path = copy / "features.json"
    document = json.loads(path.read_text())
    features = document["featuresDict"]["features"]
    features["depth"]["sequence"]["feature"]["pythonClassName"] = "antigravity.Fly"
    del features["color"]
    path.write_text(json.dumps(document))
    found = problems(copy)
    assert found[0].startswith("features.json: color: expected ") and found[0].endswith(
        "got no such feature"
    )
    lines = [line for line in found if line.startswith("features.json: depth[]: ")]
    assert lines and all(line.endswith("got antigravity.Fly") for line in lines)
    spec = Validation(copy).resolved.spec
    for text in ("[]", "7", "{", "[" * 100_000):
        path.write_text(text)
        assert list(feature_faults(copy, spec)) == ["is not what tfds reads"]
    path.unlink()
    said = "cannot be read: No such file or directory"
    assert problems(copy) == [f"features.json: {said}"]
    os.mkfifo(path)
    assert list(feature_faults(copy, spec)) == ["cannot be read: is not a file"]


def test_splits_that_the_spec_does_not_have_are_named(copy):
    path = copy / "dataset_info.json"
    path.write_text(path.read_text().replace('"train"', '"other"'))
    assert "dataset_info.json: split 'other': is not a split of the spec" in problems(
        copy
    )


def test_a_wrong_category_image_is_named_with_its_views(tmp_path, resolved):
    def change(category):
        category = category.copy()
        category[1, 2] = category[1, 2].max() + 1
        return category

    folder = changed(tmp_path, resolved, reencoded(resolved, category=change))
    assert problems(folder) == [
        f"{SHARD}: record 0: category: disagrees with instance in view 7"
    ]


def test_an_instance_without_an_object_is_named(tmp_path, resolved):
    change = reencoded(resolved, instance=lambda values: np.maximum(values * 2, 0))
    assert problems(changed(tmp_path, resolved, change)) == [
        f"{SHARD}: record 0: instance: contains id 2, but there are 1 objects"
    ]


def test_depth_of_nothing_in_a_dome_is_named(tmp_path, resolved):
    def change(depth):
        depth = depth.copy()
        depth[0, 1, 5, 5] = np.inf
        return depth

    folder = changed(tmp_path, resolved, reencoded(resolved, depth=change))
    assert problems(folder) == [
        f"{SHARD}: record 0: depth: is not positive and finite in view 1"
    ]


@pytest.mark.parametrize(("scenes", "expected"), [(None, 5), (3, 3), (0, 0), (99, 5)])
def test_scenes_are_chosen_evenly_and_once(sound, scenes, expected):
    positions = chosen(Validation(sound), scenes)
    assert sum(map(len, positions)) == expected
    assert all(list(own) == sorted(set(own)) for own in positions)
    if scenes == 3:
        assert all(positions)


def test_a_folder_that_is_not_a_dataset_is_named(tmp_path):
    with pytest.raises(UserError) as error:
        Validation(tmp_path)
    assert len(str(error.value).splitlines()) == 1
