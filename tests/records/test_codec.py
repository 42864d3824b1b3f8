"""A record gives back what was rendered, and refuses what is not a record."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dyso
from dyso import geometry, records
from dyso.records.document import document
from dyso.records.synthetic import synthetic_views
from dyso.sampling import sample_scene
from dyso.spec import Objects, UserError


def by_view(array):
    return array.reshape(-1, *array.shape[2:])


def test_images_come_back_exactly_or_within_their_stated_error(whole, data):
    _, views = whole
    decoded = records.decode(data)
    for name in ("instance", "category"):
        assert np.array_equal(decoded[name][..., 0], by_view(getattr(views, name)))
    assert np.array_equal(decoded["color"], by_view(views.color))
    depth = decoded["depth"][..., 0] / by_view(views.depth)
    assert abs(depth - 1).max() <= records.DEPTH_ERROR
    normal = (decoded["normal"].astype(float) - 128) / 127
    assert abs(normal - by_view(views.normal)).max() <= 0.004
    coordinates = decoded["object_coordinates"] / 255
    assert abs(coordinates - by_view(views.object_coordinates)).max() <= 0.002
    assert not decoded["object_coordinates"][decoded["instance"][..., 0] == 0].any()


def test_nothing_hit_is_infinite_depth_and_optional_layers_are_optional(bare):
    scene, views = bare
    decoded = records.decode(records.encode(scene, views))
    missed = np.isinf(by_view(views.depth))
    assert missed.any() and not missed.all()
    assert np.array_equal(np.isinf(decoded["depth"][..., 0]), missed)
    assert "normal" not in decoded and "object_coordinates" not in decoded


def test_every_field_has_the_type_and_shape_of_the_table(whole, data):
    scene, _ = whole
    decoded = records.decode(data)
    fields = records.fields_of(scene)
    assert list(decoded) == [field.name for field in fields]
    axes = {"V": 25, "H": 48, "W": 64, "N": 2, "T": 5, "F": 40, "K": 24}
    for field in fields:
        value = decoded[field.name]
        assert value.shape == tuple(axes.get(axis, axis) for axis in field.shape)
        assert value.dtype.kind == "U" or value.dtype == field.dtype
    assert decoded["scene_name"] == "scene_0"
    assert decoded["objects/asset_id"][1] == scene.objects[1].asset_id
    versions = json.loads(str(decoded["versions"]))
    assert versions["dyso"] == dyso.__version__
    assert versions["renderer"] == "synthetic"


def test_depth_cameras_and_poses_agree_on_where_objects_are(make_resolved):
    spheres = make_resolved(resolution=(48, 64), objects=Objects(count=(2, 2)))
    scene = sample_scene(spheres, "train", 0)
    decoded = records.decode(records.encode(scene, synthetic_views(scene)))
    points = geometry.unproject(
        decoded["depth"][..., 0], decoded["intrinsics"], decoded["extrinsics"]
    )
    seen = 0
    for view in range(25):
        for index in range(2):
            centre = decoded["objects/positions"][index, view // 5]
            inside = decoded["instance"][view, ..., 0] == index + 1
            assert inside.sum() == decoded["objects/pixels"][index, view]
            radius = decoded["objects/sizes"][index, 0] / 2
            distance = np.linalg.norm(points[view][inside] - centre, axis=-1)
            assert np.allclose(distance, radius, atol=5e-3)
            seen += inside.sum()
    assert seen > 1000


@given(views=st.lists(st.integers(0, 24), min_size=1, max_size=4))
def test_chosen_views_are_those_of_the_whole(data, views):
    fields = ["depth", "instance", "extrinsics", "objects/pixels", "index"]
    some = records.decode(data, fields=fields, views=views)
    every = records.decode(data, fields=fields)
    assert list(some) == fields
    for name in ("depth", "instance", "extrinsics"):
        assert np.array_equal(some[name], every[name][views])
    assert np.array_equal(some["objects/pixels"], every["objects/pixels"][:, views])
    assert some["index"] == every["index"]


def test_images_that_are_not_asked_for_are_not_decoded(data):
    damaged = data.replace(b"WEBP", b"XXXX")
    assert damaged != data
    decoded = records.decode(damaged, fields=["extrinsics", "scene_name"])
    assert decoded["extrinsics"].shape == (25, 3, 4)
    with pytest.raises(records.RecordError, match="'color': not a WEBP"):
        records.decode(damaged, fields=["color"])


def test_a_record_can_be_rendered_again_from_itself(whole, data):
    scene = records.scene_of(data)
    assert scene == whole[0]
    assert records.encode(scene, synthetic_views(scene)) == data


def test_bytes_are_the_same_in_every_process(whole, data):
    script = (
        "import sys, hashlib; from dyso import records;"
        "from dyso.records.synthetic import synthetic_views;"
        "from dyso.sampling import Scene;"
        "scene = Scene.from_json(sys.stdin.read());"
        "data = records.encode(scene, synthetic_views(scene));"
        "print(hashlib.sha256(data).hexdigest(), 'tensorflow' in sys.modules)"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=whole[0].to_json(),
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stdout.split() == [hashlib.sha256(data).hexdigest(), "False"]


def test_a_view_takes_at_most_32_kilobytes(make_resolved):
    resolved = make_resolved()
    sizes = []
    for index in range(2):
        scene = sample_scene(resolved, "train", index)
        sizes.append(len(records.encode(scene, synthetic_views(scene))) / 25)
    assert max(sizes) <= 32 * 1024


def test_missing_fields_and_views_are_named(data, bare):
    with pytest.raises(UserError, match="no field 'colour'; the fields are color, "):
        records.decode(data, fields=["colour"])
    with pytest.raises(UserError, match="'normal' in these records: the spec's"):
        records.decode(records.encode(*bare), fields=["normal"])
    for views in ([25], [0, -1], []):
        with pytest.raises(UserError, match="at least one of 0 to 24, got"):
            records.decode(data, fields=["color"], views=views)


def test_views_without_a_layer_of_the_spec_are_refused(whole, bare):
    with pytest.raises(ValueError, match="lack a layer"):
        records.encode(whole[0], bare[1])


@given(st.binary(max_size=200))
def test_bytes_that_are_not_a_record_are_refused(data):
    with pytest.raises(records.RecordError):
        records.decode(data)
    with pytest.raises(records.RecordError):
        records.scene_of(data)


@settings(max_examples=60)
@given(
    place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans()
)
def test_damage_is_refused_or_harmless(data, place, bit, cut):
    at = int(place * len(data))
    damaged = bytearray(data[:at] if cut else data)
    if not cut:
        damaged[at] ^= 1 << bit
    try:
        records.decode(bytes(damaged))
    except UserError as error:
        assert "\n" not in str(error)


def test_each_frame_of_a_video_has_its_own_camera(videos):
    scene = sample_scene(videos, "train", 0)
    decoded = records.decode(records.encode(scene, synthetic_views(scene)))
    assert decoded["color"].shape[0] == 7
    positions = [camera.pose.position for camera in scene.cameras]
    centres = geometry.invert(decoded["extrinsics"].astype(float))[..., 3]
    assert np.allclose(centres, positions, atol=1e-5)
    # What depth and camera say of the object's pixels is its sphere at that step.
    points = geometry.unproject(
        decoded["depth"][..., 0], decoded["intrinsics"], decoded["extrinsics"]
    )
    for view, image in enumerate(points):
        inside = decoded["instance"][view, ..., 0] == 1
        assert inside.any()
        gaps = image[inside] - decoded["objects/positions"][0, view]
        radius = decoded["objects/sizes"][0, 0] / 2
        assert np.allclose(np.linalg.norm(gaps, axis=-1), radius, atol=5e-3)
    assert records.scene_of(records.encode(scene, synthetic_views(scene))) == scene


def test_the_documentation_is_up_to_date(request):
    page = request.config.rootpath / "docs" / "format.md"
    assert page.read_text(encoding="utf-8") == document()
