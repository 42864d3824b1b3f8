"""Families of materials: what a renderer needs, with textures made of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dyso.assets.procedural import noise
from dyso.assets.procedural.colors import color, lighter
from dyso.assets.procedural.decals import printed
from dyso.assets.procedural.draw import Draw
from dyso.srgb import to_linear

SIDE = 256
"""Pixels of a texture, which covers a square whose side is an object's longest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What an .mtl file says of a material.

    Attributes:
      picture: [s, s, 3], colours of sRGB in [0, 1].
      height: [s, s] in [0, 1], of a relief; None for a smooth surface.
      relief: strength of the relief.
      roughness: in [0, 1].
      metallic: in [0, 1].
      coat: weight of a clear coat, in [0, 1].
      sheen: weight of a cloth's sheen.
      transmission: how clear it is, in [0, 1].
      glow: light that it gives, as a share of its colour.
    """

    picture: np.ndarray
    height: np.ndarray | None = None
    relief: float = 1.0
    roughness: float = 0.5
    metallic: float = 0.0
    coat: float = 0.0
    sheen: float = 0.0
    transmission: float = 0.0
    glow: float = 0.0


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Interpolates two colours or pictures by weights [s, s]."""
    t = share[..., None].astype(np.float32)
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def _stained(draw: Draw, picture: np.ndarray, amount: float = 0.12) -> np.ndarray:
    """Returns a picture with fine grain and broad stains, as on used objects."""
    grain = noise.layered(draw.rng, SIDE, 4, octaves=6, gain=0.62)
    side = len(picture)
    if side != SIDE:
        grain = np.kron(grain, np.ones((side // SIDE,) * 2, np.float32))
    return picture * (1 + np.float32(amount) * 2 * (grain - 0.5))[..., None]


def _flat(draw: Draw, base: np.ndarray, amount: float = 0.06) -> np.ndarray:
    return _stained(
        draw, np.broadcast_to(base.astype(np.float32), (SIDE, SIDE, 3)), amount
    )


def _printed(draw: Draw, picture: np.ndarray, share: float) -> np.ndarray:
    return printed(draw, picture) if draw.chance(share) else picture


def wood(draw: Draw, planks: bool = False) -> Material:
    """Returns wood: grain along u, rings, pores, and joints if it is planks."""
    base = color(draw, "wood")
    dark = lighter(base, -draw.real(0.08, 0.2))
    bend = noise.layered(draw.rng, SIDE, 5, 2, octaves=4)
    rings = draw.real(3, 9)
    y = np.arange(SIDE, dtype=np.float32)[:, None] / SIDE
    t = y * round(rings) + bend * np.float32(draw.real(1, 4))
    wave = np.abs(t - np.floor(t) - np.float32(0.5)) * 2
    pores = noise.layered(draw.rng, SIDE, 96, 6, octaves=2)
    share = 0.65 * wave * wave + 0.5 * noise.step(pores, 0.55, 0.8)
    picture = _mix(base, dark, np.clip(share, 0, 1))
    height = 1 - 0.5 * pores
    if planks:
        rows = draw.whole(4, 9)
        at = y * rows
        tone = draw.rng.uniform(0.8, 1.15, rows).astype(np.float32)
        picture = picture * tone[at.astype(int)][..., None]
        joint = noise.step(np.abs(at - np.floor(at) - 0.5), 0.44, 0.49)
        joint = np.broadcast_to(joint, (SIDE, SIDE))
        picture = picture * (1 - 0.7 * joint)[..., None]
        height = height * (1 - joint)
    return Material(
        picture=_stained(draw, picture, 0.05),
        height=height,
        relief=0.4,
        roughness=draw.real(0.3, 0.75),
        coat=draw.pick((0.0, 0.0, 0.6)),
    )


def painted_wood(draw: Draw) -> Material:
    """Returns painted wood, with the paint worn off in places."""
    under = wood(draw)
    worn = noise.layered(draw.rng, SIDE, 4, octaves=6, gain=0.6)
    share = noise.step(worn, 0.1, draw.real(0.15, 0.38))
    paint = _flat(draw, color(draw, "paint"), 0.1)
    picture = _mix(under.picture, _printed(draw, paint, 0.4)[:SIDE, :SIDE], share)
    return replace(under, picture=picture, roughness=draw.real(0.35, 0.7))


def marble(draw: Draw) -> Material:
    """Returns polished marble: veins in a cloudy stone."""
    base = color(draw, "marble")
    vein = lighter(base, -0.35 if base.mean() > 0.4 else 0.35)
    bend = noise.layered(draw.rng, SIDE, 3, octaves=6, gain=0.55)
    t = bend * np.float32(draw.real(5, 11))
    wave = np.abs(t - np.floor(t) - np.float32(0.5)) * 2
    share = (1 - noise.step(wave, 0.0, draw.real(0.12, 0.4))) * np.float32(0.8)
    cloud = noise.layered(draw.rng, SIDE, 4)
    picture = _mix(base, vein, np.clip(share * cloud * 1.5 + 0.15 * cloud, 0, 1))
    return Material(picture=picture, roughness=draw.real(0.05, 0.3), coat=0.5)


def brushed_metal(draw: Draw, palette: str = "metal") -> Material:
    """Returns brushed metal, with fine scratches along u."""
    lines = noise.layered(draw.rng, SIDE, 128, 3, octaves=2)
    picture = _mix(color(draw, palette), np.full(3, 0.35), 0.35 * lines)
    return Material(
        picture=picture,
        height=lines,
        relief=0.25,
        roughness=draw.real(0.25, 0.45),
        metallic=1.0,
    )


def polished_metal(draw: Draw) -> Material:
    """Returns chrome, brass or copper with faint smears."""
    palette = draw.pick(("metal", "metal", "warm_metal"))
    picture = _flat(draw, color(draw, palette), 0.1)
    return Material(picture=picture, roughness=draw.real(0.04, 0.22), metallic=1.0)


def hammered_metal(draw: Draw) -> Material:
    """Returns copper or tin with dents."""
    near, _, number = noise.cells(draw.rng, SIDE, draw.whole(10, 18))
    base = color(draw, draw.pick(("warm_metal", "metal")))
    picture = _mix(base, lighter(base, -0.2), 0.5 * near + 0.2 * number)
    return Material(
        picture=picture, height=near, roughness=draw.real(0.2, 0.4), metallic=1.0
    )


def painted_metal(draw: Draw) -> Material:
    """Returns enamelled metal with scratches, often printed."""
    picture = _printed(draw, _flat(draw, color(draw, "paint"), 0.08), 0.5)
    return Material(picture=picture, roughness=draw.real(0.25, 0.5), metallic=0.1)


def car_paint(draw: Draw) -> Material:
    """Returns car paint: flakes under a clear coat."""
    base = color(draw, "car")
    flakes = draw.rng.random((SIDE, SIDE)).astype(np.float32)
    picture = _mix(base, lighter(base, 0.1), flakes * flakes)
    return Material(
        picture=_printed(draw, picture, 0.35),
        roughness=draw.real(0.25, 0.4),
        metallic=draw.pick((0.0, 0.4, 0.6)),
        coat=1.0,
    )


def plastic(draw: Draw, palette: str = "toy") -> Material:
    """Returns plastic of one colour, often printed."""
    picture = _printed(draw, _flat(draw, color(draw, palette), 0.05), 0.55)
    return Material(picture=picture, roughness=draw.real(0.12, 0.5))


def speckled_plastic(draw: Draw) -> Material:
    """Returns recycled plastic with flakes of several colours."""
    _, _, number = noise.cells(draw.rng, SIDE, draw.whole(20, 40))
    flakes = np.array([color(draw, "toy") for _ in range(4)], np.float32)
    base = color(draw, "paper").astype(np.float32)
    picture = np.where(
        (number < 0.4)[..., None], flakes[(number * 10).astype(int) % 4], base
    )
    return Material(picture=picture, roughness=draw.real(0.25, 0.5))


def rubber(draw: Draw) -> Material:
    """Returns dull, dark rubber with dust."""
    base = color(draw, "rubber", 0.4)
    dust = noise.layered(draw.rng, SIDE, 6, octaves=6, gain=0.65)
    picture = _mix(base, lighter(base, 0.14), noise.step(dust, 0.5, 0.9))
    return Material(picture=picture, roughness=draw.real(0.7, 0.95))


def ceramic(draw: Draw) -> Material:
    """Returns glazed ceramic: plain, banded, running or crackled."""
    base, other = color(draw, "ceramic"), color(draw, "ceramic")
    bend = noise.layered(draw.rng, SIDE, 5, 3)
    y = np.arange(SIDE, dtype=np.float32)[:, None] / SIDE
    match draw.whole(0, 3):
        case 0:
            share = 0.3 * bend
        case 1:  # A rim that runs down.
            share = noise.step(y + 0.25 * bend, draw.real(0.2, 0.7), 0.9)
        case 2:
            t = y * draw.whole(2, 7) + 0.06 * bend
            share = noise.step(np.abs(t - np.floor(t) - 0.5), 0.2, 0.28)
        case _:
            _, gap, _ = noise.cells(draw.rng, SIDE, draw.whole(8, 16))
            share = (1 - noise.step(gap, 0.0, 0.06)) * np.float32(0.8)
    picture = _stained(draw, _mix(base, other, np.clip(share, 0, 1)), 0.06)
    return Material(
        picture=_printed(draw, picture, 0.5),
        roughness=draw.real(0.06, 0.25),
        coat=0.8,
    )


def terracotta(draw: Draw) -> Material:
    """Returns unglazed clay."""
    base = color(draw, "earth")
    spots = noise.layered(draw.rng, SIDE, 8, octaves=5, gain=0.7)
    picture = _mix(lighter(base, 0.1), lighter(base, -0.1), spots)
    return Material(
        picture=picture, height=spots, relief=0.5, roughness=draw.real(0.75, 0.95)
    )


def fabric(draw: Draw) -> Material:
    """Returns woven fabric: plain, striped or checked."""
    n = draw.pick((32, 48, 64))
    t = np.arange(SIDE, dtype=np.float32) * n / SIDE
    thread = 1 - np.abs(t - np.floor(t) - np.float32(0.5)) * 2
    over = ((t[:, None].astype(int) + t[None].astype(int)) % 2).astype(bool)
    height = np.where(over, thread[:, None], thread[None])
    first, second = color(draw, "fabric"), color(draw, "fabric")
    wide = draw.whole(2, 6)
    band = (np.arange(SIDE) * wide * 2 // SIDE) % 2
    share: np.ndarray
    match draw.whole(0, 3):
        case 0:
            share = np.zeros((SIDE, SIDE), np.float32)
        case 1:
            share = np.broadcast_to(band[:, None], (SIDE, SIDE)).astype(np.float32)
        case 2:
            share = np.asarray((band[:, None] + band[None]) / 2, np.float32)
        case _:
            spots, _, _ = noise.cells(draw.rng, SIDE, draw.whole(4, 8))
            share = 1 - noise.step(spots, 0.25, 0.3)
    picture = _mix(first, second, share) * (0.65 + 0.35 * height)[..., None]
    return Material(
        picture=_stained(draw, picture, 0.08), height=height, roughness=0.9, sheen=0.5
    )


def felt(draw: Draw) -> Material:
    """Returns felt, made of pressed fibres."""
    fibres = noise.layered(draw.rng, SIDE, 32, octaves=3, gain=0.8)
    base = color(draw, "fabric")
    picture = _mix(lighter(base, -0.08), lighter(base, 0.08), fibres)
    return Material(picture=picture, height=fibres, roughness=0.95, sheen=0.8)


def leather(draw: Draw) -> Material:
    """Returns leather, with creases around cells."""
    _, gap, number = noise.cells(draw.rng, SIDE, draw.whole(22, 40))
    base = color(draw, "leather")
    crease = noise.step(gap, 0.0, 0.25)
    tone = 0.5 * noise.layered(draw.rng, SIDE, 3) + 0.2 * number
    picture = _mix(lighter(base, -0.14), _mix(base, lighter(base, 0.08), tone), crease)
    return Material(picture=picture, height=crease, roughness=draw.real(0.35, 0.6))


def brick(draw: Draw, rows: int = 0, palette: str = "brick") -> Material:
    """Returns courses of bricks in mortar."""
    rows = rows or 2 * draw.whole(6, 10)
    columns = max(2, rows // draw.pick((2, 3)))
    y = np.arange(SIDE, dtype=np.float32)[:, None] * np.float32(rows / SIDE)
    x = np.arange(SIDE, dtype=np.float32)[None] * np.float32(columns / SIDE)
    row = y.astype(int)
    x = x + np.float32(0.5) * (row % 2)
    gap_y = 0.5 - np.abs(y - np.floor(y) - np.float32(0.5))
    gap_x = (0.5 - np.abs(x - np.floor(x) - np.float32(0.5))) * rows / columns
    flat = noise.step(np.minimum(gap_y, gap_x), 0.05, 0.12)
    tones = draw.rng.random((rows, columns)).astype(np.float32)
    tone = tones[row, x.astype(int) % columns]
    base = color(draw, palette)
    stone = _mix(lighter(base, -0.09), lighter(base, 0.07), tone)
    picture = _mix(color(draw, "stone"), _stained(draw, stone, 0.2), flat)
    return Material(picture=picture, height=flat, roughness=0.9)


def shingles(draw: Draw) -> Material:
    """Returns rows of roof tiles."""
    made = brick(draw, 2 * draw.whole(7, 11), "roof")
    assert made.height is not None
    return replace(made, picture=made.picture * (0.55 + 0.45 * made.height)[..., None])


def concrete(draw: Draw) -> Material:
    """Returns cloudy concrete with pores."""
    cloud = noise.layered(draw.rng, SIDE, 3, octaves=7, gain=0.6)
    holes, _, _ = noise.cells(draw.rng, SIDE, draw.whole(10, 20))
    pore = noise.step(holes, 0.06, 0.14)
    base = color(draw, "stone")
    picture = _mix(lighter(base, -0.1), lighter(base, 0.06), cloud)
    picture = picture * (0.6 + 0.4 * pore)[..., None]
    return Material(picture=picture, height=pore * (0.7 + 0.3 * cloud), roughness=0.9)


def plaster(draw: Draw) -> Material:
    """Returns rough plaster in a light colour."""
    rough = noise.layered(draw.rng, SIDE, 20, octaves=4, gain=0.7)
    picture = _flat(draw, color(draw, "wall"), 0.1) * (0.85 + 0.15 * rough)[..., None]
    return Material(picture=picture, height=rough, relief=0.7, roughness=0.9)


def terrazzo(draw: Draw) -> Material:
    """Returns polished terrazzo: chips of stone in cement."""
    _, gap, number = noise.cells(draw.rng, SIDE, draw.whole(9, 18))
    chips = np.array(
        [color(draw, draw.pick(("stone", "marble", "earth"))) for _ in range(6)]
    )
    chip = chips.astype(np.float32)[(number * 60).astype(int) % 6]
    base = color(draw, "wall")
    share = noise.step(gap, 0.1, 0.16) * (number < 0.8)
    picture = _stained(draw, _mix(base, chip, share), 0.05)
    return Material(picture=picture, roughness=draw.real(0.15, 0.4))


def granite(draw: Draw) -> Material:
    """Returns granite: grains of two or three minerals."""
    _, _, fine = noise.cells(draw.rng, SIDE, 48)
    base = color(draw, "stone")
    grains = np.array([base, lighter(base, -0.3), lighter(base, 0.15)], np.float32)
    picture = grains[(fine * 30).astype(int) % 3]
    return Material(picture=_stained(draw, picture, 0.1), roughness=draw.real(0.2, 0.8))


def rust(draw: Draw) -> Material:
    """Returns rusty iron with remains of paint."""
    spots = noise.layered(draw.rng, SIDE, 4, octaves=7, gain=0.62)
    fine = noise.layered(draw.rng, SIDE, 24, octaves=4, gain=0.7)
    brown = _mix(np.array([0.33, 0.16, 0.09]), np.array([0.67, 0.36, 0.17]), fine)
    share = noise.step(spots, draw.real(0.35, 0.5), draw.real(0.52, 0.62))
    picture = _mix(_flat(draw, color(draw, "paint"), 0.1), brown, share)
    return Material(picture=picture, height=spots * share, relief=0.7, roughness=0.8)


def glass(draw: Draw, palette: str = "glass") -> Material:
    """Returns clear, tinted glass."""
    picture = np.broadcast_to(
        color(draw, palette, 0.5).astype(np.float32), (SIDE, SIDE, 3)
    )
    return Material(
        picture=picture,
        roughness=draw.real(0.0, 0.08),
        transmission=draw.real(0.7, 0.95),
    )


def window(draw: Draw) -> Material:
    """Returns dark glass, like a window by day."""
    picture = _flat(draw, color(draw, "dark_glass", 0.4), 0.2)
    return Material(picture=picture, roughness=0.05, coat=1.0)


def paper(draw: Draw) -> Material:
    """Returns printed paper or cardboard."""
    fibres = noise.layered(draw.rng, SIDE, 40, 12, octaves=3, gain=0.7)
    base = color(draw, "paper")
    picture = _mix(lighter(base, -0.03), lighter(base, 0.02), fibres)
    return Material(picture=_printed(draw, picture, 0.9), roughness=0.85)


def skin(draw: Draw) -> Material:
    """Returns skin or hide, with blotches and wrinkles."""
    base = color(draw, "skin")
    blotch = noise.layered(draw.rng, SIDE, 4)
    _, gap, _ = noise.cells(draw.rng, SIDE, 36)
    wrinkle = noise.step(gap, 0.0, 0.2)
    picture = _mix(lighter(base, -0.07), lighter(base, 0.05), blotch)
    picture = picture * (0.85 + 0.15 * wrinkle)[..., None]
    return Material(picture=picture, height=wrinkle, relief=0.4, roughness=0.55)


def fur(draw: Draw) -> Material:
    """Returns fur: plain, spotted, patched or striped."""
    base, mark = color(draw, "fur"), color(draw, "fur")
    hair = noise.layered(draw.rng, SIDE, 16, 110, octaves=2, gain=0.7)
    bend = noise.layered(draw.rng, SIDE, 4)
    match draw.whole(0, 3):
        case 0:
            share = np.zeros((SIDE, SIDE), np.float32)
        case 1:
            near, _, number = noise.cells(draw.rng, SIDE, draw.whole(6, 10))
            share = np.where(number < 0.75, 1 - noise.step(near, 0.28, 0.36), 0)
        case 2:
            share = noise.step(bend, 0.5, 0.56)
        case _:
            x = np.arange(SIDE, dtype=np.float32)[None] / SIDE
            t = x * draw.whole(7, 12) + 1.5 * bend
            share = noise.step(np.abs(t - np.floor(t) - 0.5), 0.2, 0.28)
    picture = _mix(base, mark, share) * (0.75 + 0.4 * hair)[..., None]
    return Material(picture=picture, height=hair, roughness=0.9, sheen=0.3)


def leaf(draw: Draw, palette: str = "leaf") -> Material:
    """Returns a green leaf with veins and spots."""
    base = color(draw, palette)
    cloud = noise.layered(draw.rng, SIDE, 6)
    _, gap, _ = noise.cells(draw.rng, SIDE, 14)
    vein = 1 - noise.step(gap, 0.0, 0.1)
    picture = _mix(lighter(base, -0.08), lighter(base, 0.06), cloud)
    picture = _mix(picture, lighter(base, 0.16), 0.5 * vein)
    return Material(picture=picture, height=1 - vein, relief=0.4, roughness=0.5)


def bark(draw: Draw) -> Material:
    """Returns bark, with ridges along v."""
    ridge = noise.layered(draw.rng, SIDE, 5, 28, octaves=4, gain=0.6)
    base = color(draw, "wood")
    picture = _mix(lighter(base, -0.22), lighter(base, -0.02), ridge)
    return Material(picture=picture, height=ridge, roughness=0.95)


def soil(draw: Draw) -> Material:
    """Returns soil, made of crumbs."""
    near, _, number = noise.cells(draw.rng, SIDE, 40)
    base = np.array([0.26, 0.18, 0.12])
    picture = (
        _mix(base, lighter(base, 0.12), 1 - near) * (0.7 + 0.5 * number)[..., None]
    )
    return Material(picture=picture, height=1 - near, roughness=0.95)


def wicker(draw: Draw) -> Material:
    """Returns wicker: plaited cane."""
    woven = fabric(draw)
    assert woven.height is not None
    big = np.kron(woven.height[: SIDE // 2, : SIDE // 2], np.ones((2, 2), np.float32))
    base = color(draw, "wood")
    picture = _mix(lighter(base, -0.25), base, big)
    return Material(picture=_stained(draw, picture, 0.15), height=big, roughness=0.6)


def lamp(draw: Draw) -> Material:
    """Returns the material of a lamp, which emits light."""
    picture = np.broadcast_to(color(draw, "light").astype(np.float32), (SIDE, SIDE, 3))
    return Material(picture=picture, roughness=0.5, glow=draw.real(1.0, 3.0))


FAMILIES: dict[str, Callable[[Draw], Material]] = {
    "wood": wood,
    "planks": partial(wood, planks=True),
    "painted_wood": painted_wood,
    "marble": marble,
    "brushed_metal": brushed_metal,
    "polished_metal": polished_metal,
    "hammered_metal": hammered_metal,
    "painted_metal": painted_metal,
    "car_paint": car_paint,
    "plastic": plastic,
    "speckled_plastic": speckled_plastic,
    "rubber": rubber,
    "ceramic": ceramic,
    "terracotta": terracotta,
    "fabric": fabric,
    "felt": felt,
    "leather": leather,
    "brick": brick,
    "stone": partial(brick, palette="stone"),
    "shingles": shingles,
    "concrete": concrete,
    "plaster": plaster,
    "terrazzo": terrazzo,
    "granite": granite,
    "rust": rust,
    "glass": glass,
    "window": window,
    "paper": paper,
    "skin": skin,
    "fur": fur,
    "leaf": leaf,
    "petal": partial(leaf, palette="flower"),
    "bark": bark,
    "soil": soil,
    "wicker": wicker,
    "lamp": lamp,
}


def pixels(picture: np.ndarray) -> np.ndarray:
    """Returns values in [0, 1] as bytes."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def normal_map(height: np.ndarray, relief: float) -> np.ndarray:
    """Returns a relief as normals of a tangent space, bytes [s, s, 3]."""
    strength = np.float32(1.6 * relief)
    right = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * strength
    down = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * strength
    length = np.sqrt(right * right + down * down + 1)
    return pixels(np.stack([-right / length, down / length, 1 / length], -1) / 2 + 0.5)


def described(name: str, material: Material) -> tuple[list[str], dict[str, np.ndarray]]:
    """Returns the lines of an .mtl file, and pictures by their names."""
    pictures = {f"{name}.png": pixels(material.picture)}
    lines = [
        f"newmtl {name}",
        "Kd 1 1 1",
        f"Pr {material.roughness:.3f}",
        f"Pm {material.metallic:.3f}",
        f"map_Kd {name}.png",
    ]
    mean = to_linear(material.picture.mean((0, 1)).astype(float))
    if material.coat:
        lines += [f"Pc {material.coat:.3f}", "Pcr 0.050"]
    if material.sheen:
        lines += [f"Ps {material.sheen:.3f}"]
    if material.transmission:
        lines += ["Ni 1.450", "Tf" + f" {material.transmission:.3f}" * 3]
    if material.glow:
        light = (mean * material.glow).round(3)
        lines += ["Ke {:.3f} {:.3f} {:.3f}".format(*light)]
    if material.height is not None:
        pictures[f"{name}_normal.png"] = normal_map(material.height, material.relief)
        lines += [f"map_Bump -bm 1.0 {name}_normal.png"]
    return lines, pictures
