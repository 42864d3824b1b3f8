"""Captions of scenes, from what records hold: categories, materials, motion, cameras.

Nothing is guessed from pictures but colours, which are those of the object's own pixels
in the light of the scene. Directions are those of the first view's camera. A material
is the one that was drawn for the object, or, with a procedural catalog, that of most of
its surface.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dyso import geometry
from dyso.spec import Catalog, ProceduralCatalog
from dyso.spec.procedural import GAITS

CAPTION_FIELDS = (
    "color",
    "instance",
    "extrinsics",
    "objects/asset_id",
    "objects/category",
    "objects/sizes",
    "objects/positions",
    "objects/quaternions",
    "objects/pixels",
    "background/asset_id",
    "camera_pattern",
    "scene",
)
"""The fields that a record must hold."""

_MOST_OBJECTS = 3
"""Objects that a caption names; the largest in the pictures."""
_MOST_PIXELS = 20_000
"""Pixels whose colours are looked at."""
_STILL = 0.02
"""Share of an object's size by which it moves at least in a step, if it moves."""
_TURNS = 10.0
"""Degrees by which an object turns at least in a step, if it turns."""
_STRAIGHT = 0.8
"""Least share of a path's length between its ends, if it has a direction."""
_CURVED = 0.4
"""The same, if it goes there along a curve."""
_STEADY = 0.5
"""Least cosine between most steps and the next ones, if a path is a curve."""
_SECOND = 0.3
"""Least share of pixels of a second colour."""

_HUES = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "red")
COLORS = tuple(sorted({*_HUES, "beige", "black", "brown", "grey", "white"}))
"""The names of all colours that captions have, sorted."""
_HUE_ENDS = (15, 42, 70, 160, 195, 255, 290, 340)
"""Degrees of HSV's hue at which each of `_HUES` ends."""
_WALKS = {"quadruped": "walk", "snake": "slither"}
"""Other creatures of the floor crawl."""
_CAMERAS = {
    "shift": "the camera shifts",
    "pan": "the camera pans",
    "zoom": "the camera zooms",
    "random": "seen from viewpoints at random",
    "shell": "seen from all around",
    "handheld": "filmed with a camera in hand",
    "rig": "filmed by a rig of cameras",
}
_PLACES = {
    "beach": "on a beach",
    "interior": "in a room",
    "meadow": "on a meadow",
    "night": "at night",
    "plaza": "on a plaza",
    "rooftop": "on a rooftop",
    "street": "on a street",
    "sunrise": "at sunrise",
    "winter": "in a winter landscape",
}
"""Others are `in a` or `in an`."""
_CHANGES = {
    "bend": ("bends", "bending"),
    "twist": ("twists", "twisting"),
    "taper": ("tapers", "tapering"),
    "squash": ("is squashed and stretched", "being squashed and stretched"),
    "lattice": ("changes its shape", "changing its shape"),
}

_PATTERNS = {
    "noise": "mottled",
    "marble": "marbled",
    "cells": "dappled",
    "waves": "striped",
    "checker": "checkered",
    "bricks": "brick-patterned",
}
_GLOSSY, _MATTE = 0.3, 0.7
"""Roughness below which a drawn material is glossy, and above which it is matte."""
_MATERIALS = {
    "wood": "wooden",
    "planks": "wooden",
    "painted_wood": "painted wooden",
    "car_paint": "lacquered",
    "rust": "rusty",
    "shingles": "shingled",
    "window": "glass",
    "leaf": "leafy",
    "fur": "furry",
    "bark": "wooden",
}
"""Others of `dyso.assets.procedural` are called by their names, without `_`."""
_UNNAMED = ("skin", "petal", "soil", "lamp")
"""Materials that say nothing beyond the category."""

Verb = tuple[str, str]
"""The third person and the participle, with what belongs to them."""


def captions(
    record: Mapping[str, Any], objects: Catalog | ProceduralCatalog | None = None
) -> tuple[str, str, str]:
    """Returns captions of a scene: a phrase, with the place, and a whole sentence.

    Such as `a brown quadruped walking to the left`; `a brown quadruped walking to the
    left on a beach`; and `On a beach, a brown quadruped walks to the left; the camera
    pans.` They are the same for the same record and catalog.

    Args:
      record: a record with `CAPTION_FIELDS`.
      objects: the dataset's catalog, `Dataset(...).resolved.objects`. If it is
        procedural, its objects' materials are named, which takes some milliseconds for
        each; without it, only materials that were drawn for objects without their own.

    Raises:
      KeyError: it lacks a field.
      ValueError: its scene is not JSON.
    """
    scene = json.loads(record["scene"])
    shown = record["objects/pixels"].sum(axis=1)
    order = np.argsort(-shown, kind="stable")
    order = order[shown[order] > 0]
    parts = [
        (_noun(record, scene, int(i), objects), _motion(record, scene, int(i)))
        for i in order[:_MOST_OBJECTS]
    ]
    more = len(order) - len(parts)
    others = ["one more object" if more == 1 else f"{more} more objects"] * (more > 0)
    if not parts:
        parts = [("nothing", ("is there", ""))]
    place = _place(str(record["background/asset_id"]))
    moving = [f"{noun} {verb[1]}".strip() for noun, verb in parts]
    whole = [f"{noun} {verb[0]}" for noun, verb in parts]
    short = _listed(moving + others)
    camera = _CAMERAS.get(str(record["camera_pattern"]), "")
    sentence = f"{place[0].upper()}{place[1:]}, {_listed(whole)}"
    if others:
        sentence += f", beside {others[0]}"
    return (
        short,
        f"{short} {place}",
        f"{sentence}; {camera}." if camera else f"{sentence}.",
    )


def _listed(items: Sequence[str]) -> str:
    """Returns `a`, `a and b`, or `a, b and c`."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _noun(
    record: Mapping[str, Any],
    scene: Mapping[str, Any],
    index: int,
    objects: Catalog | ProceduralCatalog | None,
) -> str:
    """Returns an object's colour, material and category, with an article."""
    mask = record["instance"][..., 0] == index + 1
    words = str(record["objects/category"][index]).replace("_", " ").strip()
    if words == "abstract":
        words = "abstract shape"
    elif words == "toy blocks":
        words = "pile of toy blocks"
    elif words in ("pliers", "scissors"):
        words = f"pair of {words}"
    color = _color(record["color"][mask])
    drawn = scene["objects"][index].get("material")
    if drawn:
        described = _drawn(drawn, color)
    elif isinstance(objects, ProceduralCatalog):
        material = _procedural(objects, str(record["objects/asset_id"][index]))
        described = f"{color} {material}".rstrip()
    else:
        described = color
    return _with_article(f"{described} {words or 'object'}")


def _drawn(material: Mapping[str, Any], color: str) -> str:
    """Returns the words for a material that was drawn for an object."""
    rough = float(material["roughness"])
    finish = "glossy" if rough < _GLOSSY else "matte" if rough > _MATTE else ""
    metal = "metal" if material["metallic"] > 0 else ""
    pattern = _PATTERNS.get(str(material["texture"]), "")
    return " ".join(word for word in (finish, color, pattern, metal) if word)


@functools.lru_cache(maxsize=1024)
def _procedural(catalog: ProceduralCatalog, asset_id: str) -> str:
    """Returns the material of most of an object's surface."""
    from dyso.assets import procedural

    made = procedural.make(catalog, catalog.index(asset_id))
    corners = made.vertices[made.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.bincount(made.materials, np.linalg.norm(normals, axis=-1))
    shares = dict.fromkeys(made.families, 0.0)
    for family, area in zip(made.families, areas, strict=True):
        shares[family] += float(area)
    most = max(shares, key=lambda family: shares[family])
    if most in _UNNAMED:
        return ""
    return _MATERIALS.get(most) or most.replace("_", " ")


def _color(pixels: UInt8[np.ndarray, "K 3"]) -> str:
    """Returns the name of most pixels' colour, and of a second one's if it has many."""
    pixels = pixels[:: -(-len(pixels) // _MOST_PIXELS)]
    values = pixels.astype(float) / 255
    high, low = values.max(-1), values.min(-1)
    chroma = high - low
    safe = np.where(chroma > 0, chroma, 1)
    r, g, b = ((high - channel) / safe for channel in values.T)
    hue = np.select(
        [high == values[:, 0], high == values[:, 1]], [b - g, 2 + r - b], 4 + g - r
    )
    number = np.searchsorted(_HUE_ENDS, hue * 60 % 360, side="right")
    names = np.array(_HUES)[number]
    # Dark and pale orange have names of their own.
    names[(names == "orange") & (high < 0.6)] = "brown"
    names[(names == "orange") & (chroma < 0.4 * high) & (high >= 0.6)] = "beige"
    grey = np.select([high < 0.2, high > 0.8], ["black", "white"], "grey")
    plain = (chroma < 0.15 * np.maximum(high, 0.3)) | (high < 0.1)
    names = np.where(plain, grey, names)
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    chosen = [str(found[order[0]])]
    if len(order) > 1 and counts[order[1]] >= _SECOND * len(names):
        chosen.append(str(found[order[1]]))
    return " and ".join(chosen)


def _motion(record: Mapping[str, Any], scene: Mapping[str, Any], index: int) -> Verb:
    """Returns what an object does."""
    item = scene["objects"][index]
    verbs = list(_moves(record, item, index))
    if item.get("articulation"):
        names = [joint["name"] for joint in item["articulation"]["joints"]]
        words = _listed(
            [
                f"its {name.replace('_', ' ')}"
                + "s" * (names.count(name) > 1 and not name.endswith("s"))
                for name in sorted(set(names))
            ]
        )
        verbs.append((f"moves {words}", f"moving {words}"))
    clip = str((item.get("animation") or {}).get("clip") or "")
    if clip:
        verbs.append((f"plays the clip {clip!r}", f"playing the clip {clip!r}"))
    if item.get("deformation"):
        shapes = item["deformation"]["shapes"]
        sizes = {
            name: max(np.abs(shape[name]).max(initial=0) for shape in shapes)
            for name in _CHANGES
        }
        most = max(sizes, key=lambda name: sizes[name])
        if sizes[most] > 0:
            verbs.append(_CHANGES[most])
    finite, participle = zip(
        *verbs or [("stands still", "standing still")], strict=True
    )
    return _listed(finite), _listed(participle)


def _moves(
    record: Mapping[str, Any], item: Mapping[str, Any], index: int
) -> Iterator[Verb]:
    """Yields how an object's pose changes."""
    positions = record["objects/positions"][index].astype(float)
    if len(positions) < 2:
        return
    size = float(np.linalg.norm(record["objects/sizes"][index]))
    lengths = np.linalg.norm(np.diff(positions, axis=0), axis=-1)
    moves = float(np.median(lengths)) > _STILL * size
    where = _direction(record, positions, _STRAIGHT) if moves else ""
    if item.get("gait"):
        category = str(record["objects/category"][index])
        if GAITS.get(category) == "swim":
            yield f"swims{where}", f"swimming{where}"
        else:
            verb = _WALKS.get(category, "crawl")
            yield f"{verb}s{where}", f"{verb}ing{where}"
        return
    if where == " down":
        yield "falls", "falling"
    elif where:
        yield f"moves{where}", f"moving{where}"
    elif moves and _is_curve(positions):
        where = f"along a curve{_direction(record, positions, _CURVED)}"
        yield f"moves {where}", f"moving {where}"
    elif moves:
        yield "jumps from place to place", "jumping from place to place"
    quaternions = record["objects/quaternions"][index].astype(float)
    turned = geometry.rotation_angle(quaternions[:-1], quaternions[1:])
    if math.degrees(np.median(turned)) > _TURNS:
        yield "turns", "turning"


def _is_curve(positions: Float[np.ndarray, "T 3"]) -> bool:
    """Returns whether most steps go on about where the ones before were going."""
    steps = np.diff(positions, axis=0)
    lengths = np.linalg.norm(steps, axis=-1)
    products = np.maximum(lengths[1:] * lengths[:-1], 1e-12)
    return len(steps) > 1 and bool(
        np.median((steps[1:] * steps[:-1]).sum(-1) / products) > _STEADY
    )


def _direction(
    record: Mapping[str, Any], positions: Float[np.ndarray, "T 3"], least: float
) -> str:
    """Returns where an object goes as the first view's camera sees it, or nothing.

    Nothing if the path's ends are nearer than the share `least` of its length.
    """
    net = positions[-1] - positions[0]
    length = np.linalg.norm(np.diff(positions, axis=0), axis=-1).sum()
    if np.linalg.norm(net) < least * length:
        return ""
    if abs(net[2]) > 0.8 * np.linalg.norm(net):
        return " down" if net[2] < 0 else " up"
    right, _, forward = record["extrinsics"][0, :, :3].astype(float) @ net
    if abs(right) >= abs(forward):
        return " to the right" if right > 0 else " to the left"
    return " away from the camera" if forward > 0 else " towards the camera"


def _place(background: str) -> str:
    """Returns where a scene is, by the name of its HDRI."""
    # Without numbers, resolutions and versions.
    tokens = [token for token in background.split("_") if not re.search(r"\d", token)]
    words = " ".join(tokens)
    if not words:
        return "on a plain floor"
    return _PLACES.get("_".join(tokens)) or f"in {_with_article(words)}"
