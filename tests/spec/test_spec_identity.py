import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from dyso.spec import (
    LAYERS,
    Articulate,
    Backgrounds,
    Cameras,
    Deform,
    Dynamics,
    Objects,
    Patterns,
    Render,
    Rig,
    Spec,
    UserError,
)


def changed(value: Any) -> Any:
    """Returns another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case None:
            return (1.0, 2.0)
        case ():
            return ("x",)
        case tuple():
            return (changed(value[0]), *value[1:])
        case dict():
            return {**value, "more": 1}
    raise TypeError(value)


def variants(value: Any, path: str = "") -> dict[str, Any]:
    """Returns copies of a dataclass, each with one of its inner fields changed."""
    found = {}
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        name = f"{path}{field.name}"
        if dataclasses.is_dataclass(inner):
            copies = variants(inner, f"{name}.")
            found |= {k: replace(value, **{field.name: v}) for k, v in copies.items()}
        else:
            found[name] = replace(value, **{field.name: changed(inner)})
    return found


NO_PART = {"description", "max_failed", "objects.catalog", "backgrounds.catalog"}
# With all layers, since keys that change shapes need `surface`.
BASE = Spec(name="a", splits={"train": 1}, render=Render(layers=LAYERS))
VARIANTS = variants(BASE)


def test_the_variants_reach_every_field():
    assert {"seed", "cameras.patterns.zoom.factor", "render.layers"} < set(VARIANTS)
    assert set(VARIANTS) > NO_PART


@pytest.mark.parametrize("name", VARIANTS)
def test_the_hash_covers_every_field_that_decides_the_data(name, make_resolved):
    resolved = replace(make_resolved(), spec=BASE)
    other = replace(resolved, spec=VARIANTS[name])
    assert (other.hash == resolved.hash) == (name in NO_PART)


def test_the_identity_is_that_of_earlier_datasets(resolved):
    # If this fails, no dataset made before can be continued.
    assert resolved.hash == "4e69cedbadbf39d3"


def test_the_identity_of_earlier_videos_stays(videos):
    assert videos.hash == "1db75819fddaf84d"


def test_changes_of_shape_are_part_of_the_identity_once_they_are_set(make_resolved):
    render = Render(layers=LAYERS)

    def identity(**deform):
        dynamics = Dynamics(deform=Deform(**deform))
        return make_resolved(dynamics=dynamics, render=render).hash

    assert identity() == make_resolved(render=render).hash
    assert identity(bend=(0.0, 30.0)) != identity()
    assert identity(motion="jitter") != identity()


def test_joints_are_part_of_the_identity_once_they_move(make_resolved):
    render = Render(layers=LAYERS)

    def identity(**articulate):
        dynamics = Dynamics(articulate=Articulate(**articulate))
        return make_resolved(dynamics=dynamics, render=render)

    assert identity().hash == make_resolved(render=render).hash
    assert identity(change=(0.0, 0.5)).hash != identity().hash
    # An object of a manifest has none, and an identity as ever.
    [*_, asset] = identity().objects.identifying()
    assert "joints" not in asset


def test_the_identity_stays_when_a_key_is_renamed(make_resolved):
    # The pattern was once called `dome`.
    patterns = Patterns(rig=Rig(weight=1.0))
    resolved = make_resolved(cameras=Cameras(patterns=patterns))
    assert resolved.hash == "369d13826bcd4355"


@pytest.mark.parametrize("section", ["objects", "backgrounds"])
def test_the_hash_covers_assets_but_not_their_location(section, resolved):
    def with_catalog(**fields):
        return replace(resolved, **{section: replace(catalog, **fields)})

    catalog = getattr(resolved, section)
    assert with_catalog(manifest="/elsewhere/manifest.json").hash == resolved.hash
    assert with_catalog(name="renamed").hash == resolved.hash
    assert with_catalog(assets=catalog.assets[:-1]).hash != resolved.hash
    first, *rest = catalog.assets
    for change in (
        {"id": "a"},
        {"category": "x"},
        {"bounds": ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))},
        {"textured": False},
        {"checksum": "00"},
    ):
        assets = (replace(first, **change), *rest)
        assert with_catalog(assets=assets).hash != resolved.hash


def test_the_hash_does_not_depend_on_the_order_of_the_splits(make_resolved):
    one = make_resolved(splits={"train": 3, "test": 2})
    two = make_resolved(splits={"test": 2, "train": 3})
    assert one.hash == two.hash


def test_pattern_weights_name_every_pattern():
    assert list(Patterns().weights()) == [f.name for f in dataclasses.fields(Patterns)]


def ids(assets):
    return {asset.id for asset in assets}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("seed", range(5))
def test_train_shares_no_held_out_asset(share, seed, make_resolved):
    resolved = make_resolved(
        seed=seed,
        objects=Objects(held_out=share),
        backgrounds=Backgrounds(held_out=share),
    )
    for section, of, count in (
        ("objects", resolved.objects_of, 40),
        ("backgrounds", resolved.backgrounds_of, 6),
    ):
        train, held_out = of("train"), of("test")
        assert of("validation") == held_out
        assert not ids(train) & ids(held_out)
        assert ids(train) | ids(held_out) == ids(getattr(resolved, section).assets)
        assert len(held_out) == min(max(round(share * count), 1), count - 1)


def test_another_seed_holds_out_other_objects(make_resolved):
    held_out = {
        frozenset(ids(make_resolved(seed=s).objects_of("test"))) for s in range(9)
    }
    assert len(held_out) > 1


def test_without_held_out_assets_all_splits_share_all(resolved):
    assert resolved.backgrounds_of("train") == resolved.backgrounds_of("test")
    assert len(resolved.backgrounds_of("test")) == 6


def test_categories_choose_the_objects(make_resolved):
    categories = ("category_2", "category_5")
    resolved = make_resolved(objects=Objects(categories=categories))
    shown = resolved.objects_of("train") + resolved.objects_of("test")
    assert {asset.category for asset in shown} == set(categories)


def test_assets_choose_the_hdris(make_resolved, resolved):
    wanted = resolved.backgrounds.assets[3]
    chosen = make_resolved(backgrounds=Backgrounds(assets=(wanted.id,)))
    for split in ("train", "test"):
        assert list(chosen.backgrounds_of(split)) == [wanted]
    assert chosen.hash != resolved.hash
    assert resolved.hash == make_resolved(backgrounds=Backgrounds(assets=())).hash


def test_without_other_splits_all_of_a_small_catalog_trains(make_resolved):
    assert len(make_resolved(assets=1, splits={"train": 1}).objects_of("train")) == 1


@pytest.mark.parametrize(
    ("fields", "section"),
    [
        ({"assets": 1}, "objects"),
        ({"objects": Objects(categories=("none",), held_out=0.0)}, "objects"),
        ({"hdris": 1, "backgrounds": Backgrounds(held_out=0.1)}, "backgrounds"),
    ],
)
def test_a_split_without_assets_is_an_error(fields, section, make_resolved):
    resolved = make_resolved(**fields)
    of = resolved.objects_of if section == "objects" else resolved.backgrounds_of
    for split in ("train", "test"):
        with pytest.raises(
            UserError, match=rf"^{section}\.held_out: .* leaves a split"
        ):
            of(split)
