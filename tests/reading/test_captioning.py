"""Captions, against records of known content."""

import json

import numpy as np
import pytest

from dyso.assets import procedural
from dyso.reading import CAPTION_FIELDS, Dataset, captions
from dyso.records.synthetic import synthetic_views
from dyso.spec import ProceduralCatalog
from helpers.dataset_writer import write_dataset

RED, GREEN, DARK = (200, 30, 20), (40, 160, 60), (70, 40, 15)
TURN = np.array([np.cos(np.pi / 8), 0, 0, np.sin(np.pi / 8)])  # 45 degrees about z


def record_of(*objects, background="meadow_0000004", pattern="pan"):
    """A record of two views from the origin along y; the image is cut into columns.

    Args:
      objects: category, colour, positions, and what the scene says of each.
      background: the HDRI.
      pattern: of the cameras.
    """
    steps = len(objects[0][2])
    color = np.zeros((2, 4, 12, 3), np.uint8)
    instance = np.zeros((2, 4, 12, 1), np.uint8)
    for i, (_, value, _, _) in enumerate(objects):
        # The first ones are the largest.
        columns = slice(2 * i, 2 * i + 2)
        color[:, i:, columns], instance[:, i:, columns] = value, i + 1
    turned = [np.array([1.0, 0, 0, 0])]
    for _ in range(1, steps):
        (w, z), (c, s) = turned[-1][[0, 3]], TURN[[0, 3]]
        turned.append(np.array([w * c - z * s, 0, 0, w * s + z * c]))
    still = np.tile([1.0, 0, 0, 0], (steps, 1))
    return {
        "color": color,
        "instance": instance,
        # x right, y down, z forward: the camera looks along the world's y.
        "extrinsics": np.tile(
            np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0]], np.float32), (2, 1, 1)
        ),
        "objects/asset_id": np.array(
            [each[3].get("asset_id", "x") for each in objects]
        ),
        "objects/category": np.array([each[0] for each in objects]),
        "objects/sizes": np.full((len(objects), 3), 0.5, np.float32),
        "objects/positions": np.array([each[2] for each in objects], np.float32),
        "objects/quaternions": np.array(
            [turned if each[3].get("turns") else still for each in objects]
        ),
        "objects/pixels": np.stack(
            [(instance == i + 1).sum((1, 2, 3)) for i in range(len(objects))]
        ),
        "background/asset_id": background,
        "camera_pattern": pattern,
        "scene": json.dumps({"objects": [each[3] for each in objects]}),
    }


def path(*step, steps=3):
    return [np.multiply(step, i) for i in range(steps)]


STAY = path(0, 0, 0)
JUMPS = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 0)]


def arc(half_turns):
    """Positions on a circle, from its rightmost point on, counterclockwise."""
    angles = np.linspace(0, np.pi * half_turns, 12)
    return [(np.cos(angle), np.sin(angle), 0) for angle in angles]


def joints(*names):
    return {"articulation": {"joints": [{"name": name} for name in names]}}


@pytest.mark.parametrize(
    "category, positions, said, expected",
    [
        ("car", STAY, {}, "a red car standing still"),
        ("airplane", path(0.3, 0, 0), {}, "a red airplane moving to the right"),
        ("car", path(-0.3, 0.1, 0), {}, "a red car moving to the left"),
        ("car", path(0, 0.3, 0), {}, "a red car moving away from the camera"),
        ("car", path(0, -0.3, 0), {}, "a red car moving towards the camera"),
        ("mug", path(0, 0, -0.3), {}, "a red mug falling"),
        ("mug", path(0, 0, 0.3), {}, "a red mug moving up"),
        ("mug", JUMPS, {}, "a red mug jumping from place to place"),
        ("car", arc(1.2), {}, "a red car moving along a curve to the left"),
        ("car", arc(1.95), {}, "a red car moving along a curve"),
        ("mug", STAY, {"turns": True}, "a red mug turning"),
        ("mug", [(0, 0, 0)], {}, "a red mug standing still"),
        ("abstract", STAY, {}, "a red abstract shape standing still"),
        ("scissors", STAY, joints("blade"), "a red pair of scissors moving its blade"),
        (
            "cabinet",
            STAY,
            joints("door", "drawer", "door", "wheels", "wheels"),
            "a red cabinet moving its doors, its drawer and its wheels",
        ),
    ],
)
def test_what_an_object_does(category, positions, said, expected):
    short, _, _ = captions(record_of((category, RED, positions, said)))
    assert short == expected


@pytest.mark.parametrize(
    "category, finite, participle",
    [
        ("quadruped", "walks", "walking"),
        ("fish", "swims", "swimming"),
        ("snake", "slithers", "slithering"),
        ("insect", "crawls", "crawling"),
    ],
)
def test_creatures_have_gaits(category, finite, participle):
    said = {"gait": {"amplitude": 1.0}}
    found = captions(record_of((category, RED, path(0.3, 0, 0), said)))
    assert found[0] == f"a red {category} {participle} to the right"
    assert f"a red {category} {finite} to the right" in found[2]


def test_a_deformation_is_named_by_its_largest_change():
    shape = {"bend": [0.1, 0.2], "twist": -0.9, "taper": 0.0, "squash": 0.0}
    said = {"deformation": {"shapes": [shape | {"lattice": []}]}}
    short, _, _ = captions(record_of(("ball", RED, STAY, said)))
    assert short == "a red ball twisting"


def test_three_captions_from_short_to_whole():
    one = ("toy_blocks", GREEN, path(0.3, 0, 0), {"turns": True})
    assert captions(record_of(one)) == (
        "a green pile of toy blocks moving to the right and turning",
        "a green pile of toy blocks moving to the right and turning on a meadow",
        "On a meadow, a green pile of toy blocks moves to the right and turns; "
        "the camera pans.",
    )
    poly = record_of(one, background="old_hall_2k", pattern="rig")
    assert captions(poly)[2].startswith("In an old hall, a green")
    assert captions(poly)[2].endswith("; filmed by a rig of cameras.")


def test_the_three_largest_of_many_objects_are_named():
    names = ("bowl", "mug", "vase", "lamp")
    record = record_of(*((name, DARK, STAY, {}) for name in names))
    short, _, whole = captions(record)
    listed = ", ".join(f"a brown {name} standing still" for name in names[:3])
    assert short == f"{listed} and one more object"
    assert "lamp" not in whole and whole.count("stands still") == 3


def test_a_second_colour_is_named_if_many_pixels_have_it():
    record = record_of(("chair", RED, STAY, {}))
    for share, expected in ((0.25, "a red chair"), (0.5, "a green and red chair")):
        mixed = record["color"].copy()
        height = int(4 * share)
        mixed[:, :height, :2] = GREEN
        assert captions(record | {"color": mixed})[0].startswith(expected)


@pytest.mark.parametrize(
    "color, name",
    [
        ((10, 10, 12), "black"),
        ((120, 122, 121), "grey"),
        ((240, 240, 235), "white"),
        ((230, 120, 10), "orange"),
        ((110, 60, 20), "brown"),
        ((230, 205, 170), "beige"),
        ((240, 220, 40), "yellow"),
        ((40, 60, 200), "blue"),
        ((30, 160, 160), "teal"),
        ((130, 40, 180), "purple"),
        ((240, 80, 160), "pink"),
    ],
)
def test_names_of_colours(color, name):
    short, _, _ = captions(record_of(("bowl", color, STAY, {})))
    assert short.split()[1] == name


@pytest.mark.parametrize(
    "texture, roughness, metallic, expected",
    [
        ("checker", 0.2, 0.9, "a glossy red checkered metal mug"),
        ("waves", 0.8, 0.0, "a matte red striped mug"),
        ("marble", 0.5, 0.0, "a red marbled mug"),
        ("unheard of", 0.5, 0.0, "a red mug"),
    ],
)
def test_a_drawn_material_is_named(texture, roughness, metallic, expected):
    material = {"texture": texture, "roughness": roughness, "metallic": metallic}
    record = record_of(("mug", RED, STAY, {"material": material}))
    assert captions(record)[0] == f"{expected} standing still"


def test_a_procedural_object_has_the_material_of_most_of_its_surface():
    catalog = ProceduralCatalog.of(0, 100, [])
    for number, made in ((i, procedural.make(catalog, i)) for i in range(6, 12)):
        asset = catalog.asset(number)
        said = {"asset_id": asset.id}
        record = record_of((asset.category, RED, STAY, said))
        assert captions(record)[0].startswith("a red " + asset.category.split("_")[0])
        named = captions(record, catalog)[0]
        areas = dict.fromkeys(made.families, 0.0)
        for face, material in zip(made.faces, made.materials, strict=True):
            a, b, c = made.vertices[face]
            area = np.linalg.norm(np.cross(b - a, c - a))
            areas[made.families[material]] += area
        most = max(areas, key=lambda family: areas[family])
        words = {"fur": "furry", "wood": "wooden", "leaf": "leafy"}
        assert named.startswith(f"a red {words.get(most, most.replace('_', ' '))} ")


def test_records_have_what_captions_need(make_resolved, tmp_path):
    resolved = make_resolved(splits={"train": 2}, resolution=(16, 16))
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    split = Dataset(data)["train"]
    found = [captions(split.read(i, fields=CAPTION_FIELDS)) for i in (0, 1, 0)]
    assert found[0] == found[2] != found[1]
    assert all(line and line == line.strip() for line in found[0])
