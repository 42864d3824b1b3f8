"""What stands around a place: horizons, towns and trees."""

from __future__ import annotations

import math

import numpy as np

from dyso.assets.environments.functions import circle, mix
from dyso.assets.environments.place import Place
from dyso.assets.environments.trees import Species
from dyso.assets.procedural.draw import Draw

GREEN = np.array([0.045, 0.075, 0.03], np.float32)
ROCK = np.array([0.2, 0.17, 0.145], np.float32)


def add_horizon(place: Place, draw: Draw) -> None:
    """Adds what stands on the horizon behind a town or a field."""
    choice = draw.whole(0, 3)
    if choice == 0:
        color = mix(ROCK, GREEN, draw.real(0, 1)) * 1.3
        place.ridge(
            draw.named("a"), (2, draw.real(6, 11)), color, distance=2500, rough=0.7
        )
    if choice in (1, 3):
        place.ridge(
            draw.named("b"),
            (0.5, draw.real(2, 5)),
            GREEN * 1.4,
            distance=1200,
            rough=0.3,
            leafy=0.3,
        )
    place.ridge(
        draw.named("c"),
        (0.3, draw.real(1.4, 2.5)),
        GREEN,
        distance=350,
        rough=0.3,
        leafy=1.2,
    )


def add_town(place: Place, draw: Draw, near: float, low: float, high: float) -> None:
    """Adds a ring of buildings."""
    angle, start = 0.0, draw.real(-math.pi, math.pi)
    while angle < 2 * math.pi - 0.3:
        far = near + draw.real(0, 18)
        w, d = draw.real(12, 26), draw.real(10, 16)
        step_ = w / far
        c, s = circle(start + angle + step_ / 2)
        if draw.chance(0.88):
            place.block(
                draw.named(f"block {angle:.3f}"),
                c * (far + d / 2),
                s * (far + d / 2),
                (d, w, draw.real(low, high)),
                round(start + angle + step_ / 2, 6),
            )
        angle += step_ + draw.real(0.0, 0.12)


def add_trees(
    place: Place,
    draw: Draw,
    kinds: list[Species],
    count: int,
    near: float,
    far: float,
    height: tuple[float, float],
) -> None:
    for index in range(count):
        c, s = circle(draw.real(-math.pi, math.pi))
        share = draw.real(0, 1)
        away = near + (far - near) * share
        kind = draw.pick(kinds)
        place.tree(
            draw.named(f"tree {index}"), kind, c * away, s * away, draw.real(*height)
        )


def draw_species(draw: Draw, conifers: float = 0.25) -> list[Species]:
    return [
        Species(draw.named(f"species {i}"), conifer=draw.chance(conifers))
        for i in range(3)
    ]
