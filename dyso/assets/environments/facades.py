"""What stands around outdoors: buildings, cars, posts and walls."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dyso.assets.environments.functions import Noise, cell_value, circle, mix, step
from dyso.assets.environments.sky import Sky
from dyso.assets.environments.solids import (
    Hits,
    Solid,
    Surface,
    box,
    column,
    ellipsoid,
    gable,
    wedge,
)
from dyso.assets.environments.surfaces import Ground, bricks, grey, paint, plaster
from dyso.assets.procedural.draw import Draw


def covered(ground: Ground) -> Surface:
    """Returns the surface of a solid that a material covers."""

    def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        albedo = ground(hits.u, hits.v, hits.pixel)
        return albedo, np.zeros_like(albedo)

    return surface


def plain(color: np.ndarray, noise: Noise | None = None) -> Surface:
    """Returns the surface of one colour, mottled if there is noise."""

    def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        value = np.ones_like(hits.x)
        if noise is not None:
            value = 0.6 + 0.8 * noise.layers(
                hits.u * 4, hits.v * 4, 4, 0.7, hits.pixel * 4
            )
        albedo = (value[:, None] * color).astype(np.float32)
        return albedo, np.zeros_like(albedo)

    return surface


def facade(draw: Draw, sky: Sky, height: float) -> Surface:
    """Returns a wall with rows of windows, a ground floor and a cornice."""
    style = draw.pick(("brick", "plaster", "plaster", "concrete", "glass"))
    glass_wall = style == "glass"
    wall: Ground = (
        bricks(draw)
        if style == "brick"
        else plaster(draw, "stone" if style == "concrete" else "wall")
    )
    story = draw.real(2.9, 3.8)
    bay = draw.real(1.4, 1.8) if glass_wall else draw.real(2.0, 3.6)
    wide = draw.real(0.9, 0.95) if glass_wall else draw.real(0.35, 0.62)
    tall = draw.real(0.86, 0.95) if glass_wall else draw.real(0.42, 0.68)
    frame = paint(draw, draw.pick(("wall", "paint", "dark_glass"))) * 0.9
    trim = paint(draw, "wall")
    shop = draw.chance(0.55) and not glass_wall
    shop_color = paint(draw, "paint")
    lit_share = draw.real(0, 0.12)
    salt = draw.whole(0, 10_000)
    tint = paint(draw, "glass") * 0.5 + 0.5
    curtain = paint(draw, "fabric")
    glow = np.array([3.2, 2.3, 1.3], np.float32)
    first = draw.real(3.6, 4.6) if shop else story
    stripe = draw.chance(0.4)

    def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        albedo = wall(hits.u, hits.v, hits.pixel)
        own = np.zeros_like(albedo)
        flat = hits.normal[:, 2] < 0.5
        above = hits.v - first
        floor = np.floor(above / story)
        at_shop = above < 0
        width = np.where(at_shop & shop, bay * 1.6, bay)
        place = np.floor(hits.u / width)
        u = hits.u / width - place - 0.5
        v = np.where(at_shop, hits.v / first, above / story - floor) - 0.5
        half_w = np.where(at_shop & shop, 0.45, wide / 2)
        half_h = np.where(at_shop & shop, 0.36, tall / 2)
        inset_u = (half_w - np.abs(u)) * width
        inset_v = (half_h - np.abs(v + np.where(at_shop & shop, 0.08, 0.0))) * story
        inset = np.minimum(inset_u, inset_v)
        free = (hits.v < height - 0.9) & flat
        soft = np.maximum(hits.pixel, 0.02)
        window = step(inset, 0, soft) * free
        glass = step(inset, 0.07, 0.07 + soft) * free
        cross = step(np.abs(u * width), 0.0, 0.03 + soft) if not glass_wall else 1.0
        glass = glass * cross
        random = cell_value(place, floor, salt)
        # Panes lean a little, so each reflects another part of the sky.
        lean = (cell_value(place, floor, salt + 1) - 0.5) * 0.5
        nx, ny = hits.normal[:, 0], hits.normal[:, 1]
        rise = np.clip(0.12 + 0.5 * lean + 0.05 * v, 0.015, 1)
        scale = 1 / np.sqrt(1 + rise * rise)
        mirror = sky.clear(nx * scale, ny * scale, rise * scale) * sky.brightness
        dim = (0.25 + 0.55 * cell_value(place, floor, salt + 2))[:, None]
        pane = (mirror * dim * tint).astype(np.float32) * (0.75 if glass_wall else 0.45)
        drawn = step(np.abs(u), 0.16, 0.2) * (cell_value(place, floor, salt + 3) > 0.6)
        dark = mix(np.float32(0.02), np.float32(0.3), drawn)
        inside = (dark[:, None] * curtain).astype(np.float32)
        lit = (random < lit_share)[:, None]
        pane = np.where(lit, glow * 0.6, pane)
        shade = 1 - 0.55 * step(v + half_h * 1.0, half_h * 1.55, half_h * 1.9)
        albedo = mix(albedo, frame, window[:, None])
        albedo = mix(albedo, inside * shade[:, None].astype(np.float32), glass[:, None])
        own = pane * glass[:, None].astype(np.float32)
        sill = (np.abs(u) < half_w + 0.04) & (v < -half_h) & (v > -half_h - 0.06)
        bands = (hits.v > height - 0.7) | (
            stripe & (np.abs(above - floor * story) < 0.2)
        )
        bright = ((sill & ~at_shop) | bands) & flat & (not glass_wall)
        albedo = np.where(bright[:, None], trim * np.float32(0.85), albedo)
        if shop:
            sign = at_shop & (hits.v > first * 0.8) & flat
            albedo = np.where(sign[:, None], shop_color, albedo)
            base = (hits.v < 0.45) & flat
            albedo = np.where(base[:, None], grey(0.12), albedo)
        return albedo.astype(np.float32), own.astype(np.float32)

    return surface


def building(
    draw: Draw,
    sky: Sky,
    x: float,
    y: float,
    sides: tuple[float, float, float],
    yaw: float,
) -> Iterator[Solid]:
    """Yields a block with a flat roof and what is on it."""
    w, d, h = sides
    yield box(x, y, sides, facade(draw, sky, h), yaw=yaw)
    roof = plain(grey(draw.real(0.15, 0.4), 0.03), Noise(draw, "roof"))
    for _ in range(draw.whole(0, 3)):
        c, s = circle(yaw)
        px, py = draw.real(-0.3, 0.3) * w, draw.real(-0.3, 0.3) * d
        size = draw.real(1.5, 4), draw.real(1.5, 4), draw.real(1, 3)
        yield box(x + c * px - s * py, y + s * px + c * py, size, roof, base=h, yaw=yaw)


def house(draw: Draw, sky: Sky, x: float, y: float, yaw: float) -> Iterator[Solid]:
    """Yields a house with a pitched roof and a chimney."""
    w, d, h = draw.real(8, 15), draw.real(7, 10), draw.pick((3.2, 5.8, 6.0))
    yield box(x, y, (w, d, h), facade(draw, sky, h + 0.6), yaw=yaw)
    roof = paint(draw, "roof")
    tiles = Noise(draw, "tiles")

    def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        row = np.floor(hits.z / 0.28)
        tone = cell_value(np.floor(hits.u / 0.3), row)
        edge = hits.z / 0.28 - row
        shade = 0.7 + 0.3 * step(edge, 0, 0.35)
        wear = tiles.layers(hits.u * 0.4, hits.z * 0.4, 5, 0.6, hits.pixel * 0.4)
        value = (0.75 + 0.35 * tone) * shade * (0.7 + 0.6 * wear)
        albedo = (value[:, None] * roof).astype(np.float32)
        return albedo, np.zeros_like(albedo)

    top = draw.real(2.2, 4.2)
    yield gable(x, y, (w + 0.9, d + 1.1, top), surface, base=h, yaw=yaw)
    c, s = circle(yaw)
    px = draw.real(-0.3, 0.3) * w
    yield box(
        x + c * px,
        y + s * px,
        (0.8, 0.8, top + 0.9),
        covered(bricks(draw)),
        base=h,
        yaw=yaw,
    )


def car(draw: Draw, sky: Sky, x: float, y: float, yaw: float) -> Iterator[Solid]:
    """Yields a parked car."""
    coat = paint(draw, "car")
    glass, tire = grey(0.02), grey(0.02)
    bright = [0.35 * v for v in sky.diffuse]

    def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        own = np.maximum(hits.normal[:, 2], 0.12)[:, None] * np.array(bright) * 0.12
        lower = hits.z < 0.16
        albedo = np.where(lower[:, None], grey(0.03), coat).astype(np.float32)
        lamp = (np.abs(hits.normal[:, 2]) < 0.5) & (hits.z > 0.42) & (hits.z < 0.58)
        end = (np.abs(hits.x) > 2.0) & (np.abs(hits.y) > 0.5)
        back = np.where(hits.x > 0, 1.0, 0.0)
        lamps = np.stack([0.6 + 0.2 * back, 0.7 * back, 0.6 * back], -1)
        albedo = np.where((lamp & end)[:, None], lamps, albedo)
        return albedo.astype(np.float32), own.astype(np.float32)

    def cabin(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        pane = (hits.z > 0.08) & (hits.z < 0.5) & (np.abs(hits.u) % 1.5 > 0.09)
        side = np.abs(hits.normal[:, 2]) < 0.85
        albedo = np.where((pane & side)[:, None], glass, coat).astype(np.float32)
        mirror = np.where((pane & side)[:, None], np.array(bright) * 0.35, 0.0)
        return albedo, mirror.astype(np.float32)

    c, s = circle(yaw)
    yield box(x, y, (4.3, 1.75, 0.62), surface, base=0.28, yaw=yaw)
    yield wedge(
        x - 0.25 * c,
        y - 0.25 * s,
        (2.7, 1.65, 0.58),
        0.68,
        cabin,
        base=0.9,
        yaw=yaw,
    )
    for px in (-1.35, 1.35):
        for py in (-0.82, 0.82):
            at = x + c * px - s * py, y + s * px + c * py
            yield ellipsoid(*at, (0.32, 0.32, 0.32), plain(tire))


def lamp_post(draw: Draw, x: float, y: float, height: float) -> Iterator[Solid]:
    """Yields a street lamp."""
    metal = plain(paint(draw, draw.pick(("metal", "dark_glass"))) * 0.6)
    yield column(x, y, 0.09, height, metal, top=0.6)
    if height < 5:
        white = plain(grey(0.8))
        yield ellipsoid(x, y, (0.24, 0.24, 0.24), white, base=height)
    else:
        away = math.sqrt(x * x + y * y)
        px, py = x - 0.7 * x / away, y - 0.7 * y / away
        yaw = math.atan2(y, x)
        yield box(px, py, (1.6, 0.25, 0.12), metal, base=height, yaw=round(yaw, 6))


def bench(draw: Draw, x: float, y: float, yaw: float) -> Iterator[Solid]:
    """Yields a park bench."""
    wood, metal = plain(paint(draw, "wood")), plain(grey(0.08))
    c, s = circle(yaw)
    yield box(x, y, (1.8, 0.45, 0.07), wood, base=0.42, yaw=yaw)
    back = x - s * 0.24, y + c * 0.24
    yield box(*back, (1.8, 0.06, 0.35), wood, base=0.55, yaw=yaw)
    for px in (-0.7, 0.7):
        yield box(x + c * px, y + s * px, (0.07, 0.45, 0.42), metal, yaw=yaw)
