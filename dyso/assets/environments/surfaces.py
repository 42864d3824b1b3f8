"""What grounds and walls are made of: albedo by the place on them, in metres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dyso.assets.environments.functions import Noise, cell_value, mix, step
from dyso.assets.procedural.colors import color
from dyso.assets.procedural.draw import Draw
from dyso.srgb import to_linear

Ground = Callable[[np.ndarray, np.ndarray, Any], np.ndarray]
"""Returns albedo [n, 3] at x [n], y [n] where a pixel has so many metres."""


def paint(draw: Draw, palette: str) -> np.ndarray:
    """Returns a linear colour [3] of a palette.

    Rounded, because powers differ in their last bits between machines.
    """
    return np.round(to_linear(color(draw, palette)), 4).astype(np.float32)


def grey(level: float, warm: float = 0.0) -> np.ndarray:
    """Returns a linear colour [3] near grey, yellowish if warm."""
    return np.array([level * (1 + warm), level, level * (1 - 1.5 * warm)], np.float32)


def tinted(base: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns a colour [3] times values [n]: [n, 3]."""
    return values[:, None].astype(np.float32) * base


def gap(x: Any, width: float, line: float, pixel: Any) -> Any:
    """Returns 1 in the gaps between tiles of a width, 0 elsewhere.

    Where a pixel is wider than the line, its share of the pixel.
    """
    t = x / width
    away = np.abs(t - np.floor(t + 0.5)) * width
    soft = line / 2 + 0.5 * pixel
    return step(-away, -soft - 0.4 * pixel - line * 0.2, -soft * 0.5) * np.minimum(
        line / (line + 0.6 * pixel), 1
    )


def asphalt(draw: Draw) -> Ground:
    """Returns asphalt with stones, patches, stains and cracks."""
    noise = Noise(draw, "asphalt")
    base = grey(draw.real(0.07, 0.16), draw.real(-0.02, 0.05))

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        stones = noise.smooth(x * 70, y * 70) * np.clip(1.5 - 60 * pixel, 0, 1)
        patches = noise.layers(x * 0.12, y * 0.12, 6, 0.6, pixel * 0.12)
        fine = noise.layers(x * 3 + 40, y * 3, 5, 0.7, pixel * 3)
        line = np.abs(noise.layers(x * 0.22 + 9, y * 0.22 + 5, 6, 0.5, 0) - 0.5)
        crack = step(-line, -0.006 - 0.2 * pixel, -0.001) * np.minimum(
            1, 0.015 / (pixel + 0.01)
        )
        value = (0.62 + 0.5 * patches + 0.55 * fine * (0.6 + 0.6 * stones)) * (
            1 - 0.6 * crack
        )
        return tinted(base, value)

    return ground


def slabs(draw: Draw) -> Ground:
    """Returns paving of rectangular slabs."""
    noise = Noise(draw, "slabs")
    base = paint(draw, draw.pick(("stone", "stone", "brick", "wall"))) * 0.75
    width = draw.pick((0.3, 0.4, 0.5, 0.6, 0.9))
    length = width * draw.pick((1.0, 1.0, 1.5, 2.0))
    shift, line = draw.pick((0.0, 0.5, 0.5)), draw.real(0.006, 0.015)
    vary = draw.real(0.12, 0.4)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        row = np.floor(y / width)
        along = x + row * shift * length
        cell = cell_value(np.floor(along / length), row)
        joint = np.maximum(gap(along, length, line, pixel), gap(y, width, line, pixel))
        wear = noise.layers(x * 0.3, y * 0.3, 7, 0.62, pixel * 0.3)
        fine = noise.layers(x * 14 + 9 * cell, y * 14, 3, 0.7, pixel * 14)
        value = (1 - vary / 2 + vary * cell) * (0.65 + 0.45 * wear + 0.3 * fine)
        return tinted(base, value * (1 - 0.55 * joint))

    return ground


def cobbles(draw: Draw) -> Ground:
    """Returns rounded stones in rows."""
    noise = Noise(draw, "cobbles")
    base = paint(draw, "stone") * 0.6
    width = draw.real(0.1, 0.16)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        bend = 0.05 * noise.smooth(x * 2, y * 2) + 0.3 * noise.smooth(x * 0.1, y * 0.1)
        row = np.floor((y + bend) / width)
        along = x + 0.5 * width * row + 0.04 * noise.smooth(x * 3 + 7, y * 3)
        column = np.floor(along / width)
        cell = cell_value(column, row)
        u, v = along / width - column - 0.5, (y + bend) / width - row - 0.5
        round_ = step(-np.sqrt(u * u * u * u + v * v * v * v), -0.26, -0.14)
        seen = np.clip(1.6 - pixel / width * 1.2, 0, 1)
        round_ = mix(np.float32(0.72), round_, seen)
        cell = mix(np.float32(0.5), cell, seen)
        wear = noise.layers(x * 0.4, y * 0.4, 6, 0.6, pixel * 0.4)
        return tinted(
            base, (0.25 + 0.75 * round_) * (0.6 + 0.55 * cell) * (0.7 + 0.5 * wear)
        )

    return ground


def grass(draw: Draw) -> Ground:
    """Returns lawn or meadow: blades, clumps, dry and bare places."""
    noise = Noise(draw, "grass")
    green = paint(draw, "leaf") * np.array([0.8, 0.66, 0.45], np.float32)
    green = mix(green, green[1], 0.15).astype(np.float32)
    dry = np.array([0.26, 0.2, 0.085], np.float32) * draw.real(0.7, 1.1)
    bare = np.array([0.11, 0.08, 0.05], np.float32)
    dryness, flowers = draw.real(0.1, 0.55), draw.chance(0.35)
    flower = paint(draw, "flower") * 0.8

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        clumps = noise.layers(x * 0.35, y * 0.35, 6, 0.65, pixel * 0.35)
        bend = noise.smooth(x * 1.5, y * 1.5) * 3
        blades = noise.smooth(x * 60 + bend, y * 18 + bend) * 0.5 + 0.5 * noise.smooth(
            x * 17 - bend, y * 55 + bend
        )
        seen = np.clip(1.5 - 30 * pixel, 0, 1)
        blades = mix(np.float32(0.5), blades, seen)
        fine = noise.layers(x * 5, y * 5, 4, 0.75, pixel * 5)
        value = (0.45 + 0.5 * clumps) * (0.35 + 0.8 * blades) + 0.5 * fine * fine
        brown = step(
            noise.layers(x * 0.09 + 3, y * 0.09, 5, 0.6, pixel * 0.09),
            1 - dryness,
            1.25 - dryness,
        )
        rgb = mix(tinted(green, value), tinted(dry, value), brown[:, None] * 0.8)
        hole = step(clumps - 0.3 * fine, -0.05, 0.12)
        rgb = mix(tinted(bare, 0.6 + 0.6 * fine), rgb, (0.25 + 0.75 * hole)[:, None])
        if flowers:
            dot = cell_value(np.floor(x * 9), np.floor(y * 9), 5)
            u = x * 9 - np.floor(x * 9) - 0.5
            v = y * 9 - np.floor(y * 9) - 0.5
            shown = (dot > 0.96) * step(-(u * u + v * v), -0.1, -0.03) * (clumps > 0.45)
            shown = shown * np.clip(1.5 - 9 * pixel, 0, 1)
            rgb = mix(rgb, flower, shown[:, None].astype(np.float32))
        return rgb

    return ground


def sand(draw: Draw) -> Ground:
    """Returns sand with ripples and footprints' dents."""
    noise = Noise(draw, "sand")
    base = np.array([0.5, 0.39, 0.25], np.float32) * draw.real(0.7, 1.15)
    base[0] *= draw.real(0.92, 1.12)
    ripples = draw.real(0.0, 0.3)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        dunes = noise.layers(x * 0.07, y * 0.07, 5, 0.6, pixel * 0.07)
        bend = noise.layers(x * 0.3, y * 0.3, 4, 0.6, pixel * 0.3)
        phase = x * 5.5 + 2 * y + 7 * bend
        wave = np.abs(phase - np.floor(phase) - 0.5) * 2
        wave = mix(np.float32(0.5), step(wave, 0, 1), np.clip(1.5 - 7 * pixel, 0, 1))
        dents = noise.layers(x * 2.2, y * 2.2, 5, 0.7, pixel * 2.2)
        grains = noise.smooth(x * 90, y * 90) * np.clip(1.5 - 80 * pixel, 0, 1)
        value = 0.62 + 0.25 * dunes + ripples * (wave - 0.5) + 0.35 * dents
        return tinted(base, value * (0.94 + 0.12 * grains))

    return ground


def earth(draw: Draw) -> Ground:
    """Returns earth, gravel or leaf litter."""
    noise = Noise(draw, "earth")
    base = np.array([0.2, 0.145, 0.095], np.float32) * draw.real(0.7, 1.4)
    leaves = draw.chance(0.5)
    stones = paint(draw, "stone") * 0.7
    leaf = np.array([0.32, 0.16, 0.05], np.float32) * draw.real(0.6, 1.2)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        large = noise.layers(x * 0.25, y * 0.25, 6, 0.62, pixel * 0.25)
        fine = noise.layers(x * 4, y * 4, 5, 0.75, pixel * 4)
        rgb = tinted(base, 0.4 + 0.6 * large + 0.6 * fine * fine)
        for scale, salt in ((7.0, 1), (13.0, 2), (24.0, 3)):
            px = x * scale + 2 * noise.smooth(x * scale / 3, y * scale / 3)
            py = y * scale + 2 * noise.smooth(y * scale / 3 + 9, x * scale / 3)
            i, j = np.floor(px), np.floor(py)
            which = cell_value(i, j, salt)
            u, v = px - i - 0.5, py - j - 0.5
            size = 0.05 + 0.18 * cell_value(i, j, salt + 9)
            inside = step(-(u * u + v * v), -size, -size * 0.5) * (which > 0.45)
            inside = inside * np.clip(1.5 - scale * pixel, 0, 1)
            tone = leaf if leaves else stones
            value = (0.5 + 0.9 * cell_value(i, j, salt + 20)) * (0.85 + v)
            rgb = mix(rgb, tinted(tone, value), inside[:, None].astype(np.float32))
        return rgb.astype(np.float32)

    return ground


def snow(draw: Draw) -> Ground:
    """Returns snow with soft drifts."""
    noise = Noise(draw, "snow")

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        drifts = noise.layers(x * 0.16, y * 0.16, 6, 0.55, pixel * 0.16)
        fine = noise.layers(x * 6, y * 6, 4, 0.7, pixel * 6)
        value = 0.6 + 0.28 * drifts + 0.14 * fine
        return tinted(np.array([0.93, 0.95, 0.99], np.float32), value)

    return ground


def concrete(draw: Draw) -> Ground:
    """Returns poured concrete in large fields with joints and stains."""
    noise = Noise(draw, "concrete")
    base = grey(draw.real(0.28, 0.45), draw.real(0.0, 0.06))
    width = draw.pick((2.0, 3.0, 4.0))

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        stains = noise.layers(x * 0.25, y * 0.25, 8, 0.62, pixel * 0.25)
        fine = noise.layers(x * 9, y * 9, 5, 0.7, pixel * 9)
        tone = cell_value(np.floor(x / width), np.floor(y / width))
        joint = np.maximum(gap(x, width, 0.02, pixel), gap(y, width, 0.02, pixel))
        value = (0.66 + 0.42 * stains + 0.22 * fine) * (0.92 + 0.12 * tone)
        return tinted(base, value * (1 - 0.6 * joint))

    return ground


def planks(draw: Draw, width: float = 0.0) -> Ground:
    """Returns boards: a deck, or a wooden floor."""
    noise = Noise(draw, "planks")
    base = paint(draw, "wood") * draw.real(0.8, 1.2)
    # Varnish and wear take colour off boards.
    base = mix(base, base[1], draw.real(0.1, 0.45)).astype(np.float32)
    width = width or draw.pick((0.09, 0.12, 0.14, 0.2))
    length, vary = draw.real(1.2, 2.6), draw.real(0.25, 0.6)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        row = np.floor(y / width)
        along = x + 3.7 * length * cell_value(row, 0 * row, 3)
        column = np.floor(along / length)
        tone = mix(
            np.float32(0.5), cell_value(column, row), np.clip(1.7 - pixel / width, 0, 1)
        )
        bend = noise.smooth(along * 0.9 + 31 * tone, y * 7)
        grain = noise.layers(
            along * 1.1 + 40 * tone, y * 26 + 4 * bend, 4, 0.65, pixel * 20
        )
        wear = noise.layers(x * 0.3, y * 0.3, 5, 0.6, pixel * 0.3)
        joint = np.maximum(
            gap(y, width, 0.004, pixel), gap(along, length, 0.004, pixel)
        )
        value = (1 - vary / 2 + vary * tone) * (0.55 + 0.55 * grain + 0.3 * wear)
        rgb = tinted(base, value * (1 - 0.6 * joint))
        return rgb

    return ground


def parquet(draw: Draw) -> Ground:
    """Returns blocks of short strips, turned by turns."""
    side = draw.pick((0.35, 0.48))
    boards = planks(draw, side / draw.pick((5, 6)))

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        turned = (np.floor(x / side) + np.floor(y / side)) % 2 > 0
        u, v = np.where(turned, y, x), np.where(turned, x, y)
        rgb = boards(u + 9 * np.floor(v / side), v, pixel)
        joint = np.maximum(gap(x, side, 0.004, pixel), gap(y, side, 0.004, pixel))
        return rgb * (1 - 0.45 * joint[:, None]).astype(np.float32)

    return ground


def tiles(draw: Draw) -> Ground:
    """Returns a tiled floor, plain or as a chessboard."""
    noise = Noise(draw, "tiles")
    first = paint(draw, draw.pick(("marble", "ceramic", "earth", "stone")))
    other = paint(draw, "marble") if draw.chance(0.35) else first
    side = draw.pick((0.3, 0.4, 0.6))

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        i, j = np.floor(x / side), np.floor(y / side)
        cell = cell_value(i, j)
        odd = ((i + j) % 2)[:, None].astype(np.float32)
        veins = noise.layers(x * 1.3 + 20 * cell, y * 1.3, 7, 0.62, pixel * 1.3)
        joint = np.maximum(gap(x, side, 0.006, pixel), gap(y, side, 0.006, pixel))
        value = (0.78 + 0.3 * veins) * (0.95 + 0.1 * cell) * (1 - 0.4 * joint)
        return mix(first, other, odd) * (value * 0.8)[:, None].astype(np.float32)

    return ground


def carpet(draw: Draw) -> Ground:
    """Returns carpet, in squares or whole."""
    noise = Noise(draw, "carpet")
    base, other = paint(draw, "fabric") * 0.8, paint(draw, "fabric") * 0.8
    accent = draw.chance(0.4)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        cell = cell_value(np.floor(x * 2), np.floor(y * 2))
        fine = noise.layers(x * 30, y * 30, 3, 0.8, pixel * 30)
        wear = noise.layers(x * 0.4, y * 0.4, 5, 0.6, pixel * 0.4)
        value = (0.55 + 0.5 * fine + 0.3 * wear) * (0.94 + 0.12 * cell)
        chosen = ((cell > 0.85) & accent)[:, None].astype(np.float32)
        joint = np.maximum(gap(x, 0.5, 0.006, pixel), gap(y, 0.5, 0.006, pixel))
        return mix(base, other, chosen) * (value * (1 - 0.2 * joint))[:, None].astype(
            np.float32
        )

    return ground


def bricks(draw: Draw) -> Ground:
    """Returns a brick wall: u along it, v up."""
    noise = Noise(draw, "bricks")
    base, mortar = paint(draw, "brick") * 0.85, grey(draw.real(0.25, 0.5), 0.04)

    def wall(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        row = np.floor(v / 0.075)
        along = u + 0.11 * row
        cell = cell_value(np.floor(along / 0.22), row)
        seen = np.clip(1.5 - pixel / 0.12, 0, 1)
        joint = np.maximum(gap(along, 0.22, 0.011, pixel), gap(v, 0.075, 0.011, pixel))
        joint = mix(np.float32(0.2), joint, seen)
        cell = mix(np.float32(0.5), cell, seen)
        dirt = noise.layers(u * 0.3, v * 0.3, 6, 0.62, pixel * 0.3)
        value = (0.7 + 0.55 * cell) * (0.7 + 0.5 * dirt)
        return mix(tinted(base, value), mortar, joint[:, None].astype(np.float32))

    return wall


def plaster(draw: Draw, palette: str = "wall") -> Ground:
    """Returns a painted wall: u along it, v up."""
    noise = Noise(draw, "plaster")
    base = paint(draw, palette) * 0.85
    dirty = draw.real(0.05, 0.3)

    def wall(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        streaks = noise.layers(u * 1.1, v * 0.13, 5, 0.6, pixel)
        fine = noise.layers(u * 2, v * 2, 6, 0.65, pixel * 2)
        low = step(-v, -1.0, 0.3) * dirty
        value = 1 - dirty * streaks - 0.12 * fine - low * 0.5
        return tinted(base, value)

    return wall
