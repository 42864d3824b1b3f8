"""Places under a sky: streets, squares, parks, fields, beaches and others."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dyso.assets.environments import surfaces
from dyso.assets.environments.facades import (
    bench,
    car,
    covered,
    house,
    lamp_post,
    plain,
)
from dyso.assets.environments.functions import Noise, circle, mix, step
from dyso.assets.environments.landscape import (
    GREEN,
    ROCK,
    add_horizon,
    add_town,
    add_trees,
    draw_species,
)
from dyso.assets.environments.panorama import Panorama
from dyso.assets.environments.place import Place
from dyso.assets.environments.solids import box
from dyso.assets.environments.trees import Species, Tree
from dyso.assets.procedural.draw import Draw


def street(p: Panorama, draw: Draw) -> None:
    """Paints a street with pavements, houses on both sides and parked cars."""
    place, d = Place(p, draw, 0.8), draw.named("street")
    wide, walk = d.real(9.5, 12.5), d.real(3, 5)
    road, path = surfaces.asphalt(d.named("road")), surfaces.slabs(d.named("path"))
    kind = d.whole(0, 2)
    front = wide + walk + 0.3
    for side in (-1, 1):
        x = -130.0
        while x < 130:
            w, depth = d.real(11, 24), d.real(10, 15)
            name = f"{side} {x:.3f}"
            if d.chance(0.93):
                place.block(
                    d.named(name),
                    x + w / 2,
                    side * (front + depth / 2),
                    (w, depth, d.real(7, 22)),
                    0.0,
                )
            x += w + d.pick((0.0, 0.0, 0.05, 4.0))
    add_horizon(place, d.named("far"))
    kinds = draw_species(d, 0.0)
    for x in np.arange(-90, 91, d.real(11, 16)).tolist():
        for side in (-1, 1):
            if abs(x) > 9 and d.chance(0.55):
                place.tree(
                    d.named(f"tree {x} {side}"),
                    d.pick(kinds),
                    x,
                    side * (wide + 0.9),
                    d.real(5, 9),
                )
            elif abs(x) > 9 and d.chance(0.4):
                place.add(
                    lamp_post(d.named(f"lamp {x} {side}"), x, side * (wide + 0.6), 6.5)
                )
    for side in (-1, 1):
        x = -70.0
        while x < 70:
            if abs(x) > 9 and d.chance(0.6):
                turn = 0.0 if side < 0 else math.pi
                place.add(
                    car(
                        d.named(f"car {side} {x:.3f}"),
                        place.sky,
                        x,
                        side * (wide - 1.3),
                        turn,
                    )
                )
            x += d.real(5.5, 8)

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = road(x, y, pixel)
        away = np.abs(y)
        dash = (x / 6 - np.floor(x / 6) < 0.5) if kind else np.ones_like(x, bool)
        line = step(
            0.07 - np.abs(away - (0.0 if kind < 2 else wide - 2.6)), 0, pixel + 0.01
        )
        rgb = mix(
            rgb, np.float32(0.6), (0.75 * line * dash)[:, None].astype(np.float32)
        )
        curb = (away > wide) & (away < wide + 0.22)
        rgb = np.where(curb[:, None], np.float32(0.32), rgb)
        beside = away >= wide + 0.22
        if beside.any():
            rgb[beside] = path(x[beside], y[beside], pixel[beside])
        return rgb

    place.paint(ground)


def plaza(p: Panorama, draw: Draw) -> None:
    """Paints a square with buildings around, trees, lamps and benches."""
    place, d = Place(p, draw), draw.named("plaza")
    make = d.pick((surfaces.slabs, surfaces.slabs, surfaces.cobbles, surfaces.concrete))
    first, other = make(d.named("a")), surfaces.slabs(d.named("b"))
    grid = d.pick((0.0, 4.5, 6.0))
    add_town(place, d, d.real(24, 38), 9, 26)
    add_horizon(place, d.named("far"))
    kinds = draw_species(d, 0.05)
    add_trees(place, d, kinds, d.whole(3, 10), 15, 26, (5, 9))
    for index in range(d.whole(2, 6)):
        turn = d.real(-math.pi, math.pi)
        c, s = circle(turn)
        place.add(lamp_post(d.named(f"lamp {index}"), 15 * c, 15 * s, 3.6))
        c, s = circle(turn + 0.5)
        place.add(
            bench(d.named(f"bench {index}"), 13 * c, 13 * s, round(turn - 1.07, 6))
        )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = first(x, y, pixel)
        if grid:
            line = surfaces.gap(x, grid, 0.5, pixel) + surfaces.gap(y, grid, 0.5, pixel)
            band = np.nonzero(line > 0.01)[0]
            new = other(x[band], y[band], pixel[band])
            rgb[band] = mix(rgb[band], new, np.minimum(line[band], 1)[:, None])
        return rgb

    place.paint(ground)


def park(p: Panorama, draw: Draw) -> None:
    """Paints a lawn with trees, a path and houses behind."""
    place, d = Place(p, draw), draw.named("park")
    lawn, path = surfaces.grass(d.named("lawn")), surfaces.earth(d.named("path"))
    kinds = draw_species(d)
    bushes = [Species(d.named("bush"), bush=True)]
    add_trees(place, d, kinds, d.whole(25, 45), 17, 60, (6, 15))
    add_trees(place, d.named("more"), kinds, 40, 60, 130, (8, 16))
    add_trees(place, d.named("bushes"), bushes, d.whole(4, 14), 14, 40, (1.0, 2.4))
    if d.chance(0.5):
        add_town(place, d.named("town"), d.real(90, 130), 10, 35)
    add_horizon(place, d.named("far"))
    c, s = circle(d.real(-math.pi, math.pi))
    off, wide, bend = d.real(-9, 9), d.real(1.2, 2.2), d.real(0.0, 0.03)
    for index in range(d.whole(1, 4)):
        t = d.pick((-1, 1)) * d.real(11, 24)
        aside = off + bend * t * t * 0.3 + wide + 0.8
        if (t * t + aside * aside) > 100:
            yaw = math.atan2(s, c)
            place.add(
                bench(
                    d.named(f"bench {index}"),
                    c * t - s * aside,
                    s * t + c * aside,
                    round(yaw, 6),
                )
            )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = lawn(x, y, pixel)
        along, aside = x * c + y * s, y * c - x * s
        away = np.abs(aside - off - bend * 0.3 * along * along)
        share = step(wide - away + 0.3 * (rgb[:, 1] - 0.05) * 10, -0.1, 0.15)
        which = np.nonzero(share > 0)[0]
        new = path(x[which], y[which], pixel[which]) * np.float32(1.7)
        rgb[which] = mix(rgb[which], new, share[which][:, None]).astype(np.float32)
        return rgb

    place.paint(ground, 0.4)


def meadow(p: Panorama, draw: Draw) -> None:
    """Paints open land with hills, single trees and a farmhouse."""
    place, d = Place(p, draw), draw.named("meadow")
    field = surfaces.grass(d.named("field"))
    far = mix(ROCK, GREEN * 1.6, d.real(0, 1))
    place.ridge(
        d.named("a"), (1, d.real(6, 16)), far, distance=3500, rough=d.real(0.3, 1)
    )
    place.ridge(
        d.named("b"),
        (0.5, d.real(2, 5)),
        GREEN * 2.2,
        distance=900,
        rough=0.1,
        leafy=0.25,
    )
    place.ridge(
        d.named("c"), (0.1, d.real(0.8, 1.8)), GREEN, distance=300, rough=0.3, leafy=0.9
    )
    kinds = draw_species(d, 0.2)
    add_trees(place, d, kinds, d.whole(4, 18), 22, 90, (6, 14))
    add_trees(
        place,
        d.named("bushes"),
        [Species(d.named("bush"), bush=True)],
        d.whole(2, 12),
        18,
        60,
        (0.8, 2),
    )
    for index in range(d.whole(0, 4)):
        c, s = circle(d.real(-math.pi, math.pi))
        away = d.real(45, 110)
        place.add(
            house(
                d.named(f"house {index}"), place.sky, c * away, s * away, d.real(0, 3)
            )
        )
    place.paint(field, 0.7)


def beach(p: Panorama, draw: Draw) -> None:
    """Paints sand before the sea, and land behind."""
    place, d = Place(p, draw), draw.named("beach")
    dry = surfaces.sand(d.named("sand"))
    toward = d.real(-math.pi, math.pi)
    place.ridge(
        d.named("hills"),
        (0.2, d.real(2, 7)),
        mix(ROCK, GREEN, d.real(0, 1)),
        distance=1800,
        rough=0.5,
    )
    place.sea(d.named("sea"), toward)
    c, s, shore = place.shore
    plants = [Species(d.named("bush"), bush=True)]
    trees = draw_species(d, 0.1)
    for index in range(d.whole(10, 45)):
        turn = toward + math.pi + d.real(-1.1, 1.1)
        cc, ss = circle(turn)
        away = d.real(18, 60)
        kind = d.pick([*plants, *plants, *trees])
        tall = d.real(0.6, 1.8) if kind.bush else d.real(5, 10)
        place.tree(d.named(f"plant {index}"), kind, cc * away, ss * away, tall)
    if d.chance(0.4):
        for index in range(d.whole(3, 7)):
            cc, ss = circle(toward + math.pi + d.real(-1, 1))
            away = d.real(50, 90)
            place.add(
                house(
                    d.named(f"house {index}"),
                    place.sky,
                    cc * away,
                    ss * away,
                    d.real(0, 3),
                )
            )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        along = x * c + y * s
        wet = step(along, shore - 5, shore - 1.5)
        return dry(x, y, pixel) * (1 - 0.5 * wet[:, None]).astype(np.float32)

    place.paint(ground, 0.8)


def desert(p: Panorama, draw: Draw) -> None:
    """Paints dry land with rocks and table mountains."""
    place, d = Place(p, draw), draw.named("desert")
    make = d.pick((surfaces.sand, surfaces.sand, surfaces.earth))
    land = make(d.named("land"))
    red = np.array([0.36, 0.2, 0.12], np.float32) * d.real(0.7, 1.2)
    place.ridge(
        d.named("a"), (0.5, d.real(5, 13)), red, distance=3000, rough=d.real(0.4, 1)
    )
    place.ridge(
        d.named("b"), (0.1, d.real(1.5, 4)), red * 1.2, distance=1100, rough=0.5
    )
    add_trees(
        place,
        d,
        [Species(d.named("bush"), bush=True)],
        d.whole(15, 60),
        15,
        90,
        (0.4, 1.3),
    )
    place.paint(land, 0.9)


def winter(p: Panorama, draw: Draw) -> None:
    """Paints a field of snow with conifers and mountains."""
    place, d = Place(p, draw), draw.named("winter")
    white = np.array([0.7, 0.72, 0.76], np.float32)
    place.ridge(d.named("a"), (3, d.real(9, 18)), white, distance=2500, rough=1.0)
    place.ridge(
        d.named("b"), (1, d.real(3, 5)), GREEN * 1.5, distance=900, rough=0.4, leafy=0.8
    )
    kinds = [Species(d.named(f"species {i}"), conifer=True) for i in range(2)]
    add_trees(place, d, kinds, d.whole(35, 70), 18, 80, (6, 15))
    for index in range(d.whole(0, 3)):
        c, s = circle(d.real(-math.pi, math.pi))
        place.add(
            house(d.named(f"house {index}"), place.sky, c * 48, s * 48, d.real(0, 3))
        )
    place.paint(surfaces.snow(d.named("snow")), 0.5)


def forest(p: Panorama, draw: Draw) -> None:
    """Paints a clearing in a wood."""
    place, d = Place(p, draw), draw.named("forest")
    floor, lawn = surfaces.earth(d.named("floor")), surfaces.grass(d.named("grass"))
    noise, share = Noise(d, "patches"), d.real(0.3, 0.7)
    place.ridge(d.named("a"), (6, 12), GREEN * 0.8, distance=150, rough=0.4, leafy=3)
    kinds = draw_species(d, d.pick((0.0, 0.5, 1.0)))
    add_trees(place, d, kinds, d.whole(60, 90), 17, 60, (9, 18))
    add_trees(
        place,
        d.named("bushes"),
        [Species(d.named("bush"), bush=True)],
        25,
        15,
        45,
        (0.8, 2.2),
    )

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        patch = noise.layers(x * 0.3, y * 0.3, 6, 0.6, pixel * 0.3)
        green = step(patch, share - 0.05, share + 0.1)[:, None].astype(np.float32)
        return mix(floor(x, y, pixel), lawn(x, y, pixel), green)

    place.paint(ground, 0.4)


def car_park(p: Panorama, draw: Draw) -> None:
    """Paints an asphalt lot with marked bays, cars and halls."""
    place, d = Place(p, draw), draw.named("lot")
    road = surfaces.asphalt(d.named("road"))
    add_town(place, d, d.real(45, 70), 6, 14)
    add_horizon(place, d.named("far"))
    add_trees(place, d, draw_species(d, 0.1), d.whole(6, 18), 34, 44, (5, 10))
    fill = d.real(0.3, 0.8)
    for row in (-24.0, -13.5, 13.5, 24.0):
        for bay in range(-11, 11):
            if d.chance(fill):
                place.add(
                    car(
                        d.named(f"car {row} {bay}"),
                        place.sky,
                        2.6 * bay + 1.3,
                        row,
                        round(math.pi / 2 * d.pick((-1, 1)), 6),
                    )
                )
    for x in (-19.5, 19.5):
        place.add(lamp_post(d.named(f"lamp {x}"), x, 18.75, 9.0))
        place.add(lamp_post(d.named(f"post {x}"), x, -18.75, 9.0))
    yellow = d.chance(0.25)
    white = np.array([0.6, 0.45, 0.1] if yellow else [0.6, 0.6, 0.6], np.float32)

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = road(x, y, pixel)
        rows = np.minimum(np.abs(np.abs(y) - 13.5), np.abs(np.abs(y) - 24.0))
        line = surfaces.gap(x, 2.6, 0.11, pixel) * (rows < 2.6) * (np.abs(x) < 28.7)
        mid = step(0.06 - np.abs(y), 0, pixel) * (np.floor(x / 2) % 2 == 0)
        return mix(
            rgb, white, (0.8 * np.maximum(line, mid))[:, None].astype(np.float32)
        )

    place.paint(ground)


def suburb(p: Panorama, draw: Draw) -> None:
    """Paints a road of houses with gardens."""
    place, d = Place(p, draw, 1.4), draw.named("suburb")
    road, lawn = surfaces.asphalt(d.named("road")), surfaces.grass(d.named("lawn"))
    path = surfaces.concrete(d.named("path"))
    add_horizon(place, d.named("far"))
    kinds = draw_species(d, 0.2)
    hedge = [Species(d.named("hedge"), bush=True)]
    for side in (-1, 1):
        x = -110.0
        while x < 110:
            y = side * d.real(22, 27)
            place.add(
                house(
                    d.named(f"house {side} {x:.3f}"), place.sky, x, y, d.real(-0.1, 0.1)
                )
            )
            place.tree(
                d.named(f"t {side} {x:.3f}"),
                d.pick(kinds),
                x + 9,
                side * d.real(15, 19),
                d.real(4, 9),
            )
            for k in range(3):
                place.tree(
                    d.named(f"h {side} {x:.3f} {k}"),
                    hedge[0],
                    x + 4 * k,
                    side * d.real(13.5, 15),
                    d.real(0.8, 1.5),
                )
            if d.chance(0.6) and abs(x) > 8:
                place.add(
                    car(
                        d.named(f"car {side} {x:.3f}"),
                        place.sky,
                        x + 3,
                        side * 8.2,
                        0.0,
                    )
                )
            x += d.real(17, 22)
    add_trees(place, d.named("behind"), kinds, 40, 45, 90, (7, 14))

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        away = np.abs(y)
        rgb = road(x, y, pixel)
        line = step(0.06 - away, 0, pixel) * (x / 5 - np.floor(x / 5) < 0.5)
        rgb = mix(rgb, np.float32(0.6), (0.7 * line)[:, None].astype(np.float32))
        walk, green = (away > 9.6) & (away < 11.4), away >= 11.4
        rgb[walk] = path(x[walk], y[walk], pixel[walk])
        rgb[green] = lawn(x[green], y[green], pixel[green])
        curb = (away > 9.4) & (away <= 9.6)
        return np.where(curb[:, None], np.float32(0.3), rgb)

    place.paint(ground)


def rooftop(p: Panorama, draw: Draw) -> None:
    """Paints a terrace above a city."""
    place, d = Place(p, draw), draw.named("rooftop")
    make = d.pick((surfaces.planks, surfaces.concrete, surfaces.slabs))
    floor = make(d.named("floor"))
    side = d.real(15, 19)
    coping = covered(surfaces.plaster(d.named("wall"), d.pick(("wall", "stone"))))
    for sign in (-1, 1):
        place.add([box(sign * side, 0, (0.4, 2 * side, 1.0), coping)])
        place.add([box(0, sign * side, (2 * side, 0.4, 1.0), coping)])
    pots = plain(surfaces.paint(d, "earth"))
    bush = Species(d.named("bush"), bush=True)
    for index in range(d.whole(4, 12)):
        x, y = side - 1.2, d.real(-0.9, 0.9) * side
        x, y = d.pick(((x, y), (-x, y), (y, x), (y, -x)))
        place.add([box(x, y, (0.9, 0.9, 0.7), pots)])
        place.trees.append(Tree(d.named(f"bush {index}"), bush, x, y, 1.7))
    add_town(place, d.named("near"), 40, 6, 22)
    add_town(place, d.named("middle"), 75, 12, 45)
    add_town(place, d.named("behind"), 130, 20, 80)
    add_horizon(place, d.named("far"))

    def ground(x: np.ndarray, y: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        rgb = floor(x, y, pixel)
        out = np.maximum(np.abs(x), np.abs(y)) > side
        return np.where(out[:, None], np.float32(0.12), rgb)

    place.paint(ground)


def courtyard(p: Panorama, draw: Draw) -> None:
    """Paints a yard between old walls."""
    place, d = Place(p, draw), draw.named("courtyard")
    make = d.pick((surfaces.cobbles, surfaces.cobbles, surfaces.slabs, surfaces.earth))
    floor = make(d.named("floor"))
    half = d.real(15, 20)
    for turn in range(4):
        c, s = circle(turn * math.pi / 2)
        place.block(
            d.named(f"wing {turn}"),
            c * (half + 5),
            s * (half + 5),
            (10, 2 * half + 20, d.real(6, 13)),
            round(turn * math.pi / 2, 6),
        )
    add_town(place, d.named("behind"), 60, 14, 30)
    add_horizon(place, d.named("far"))
    kinds = draw_species(d, 0.0)
    add_trees(place, d, kinds, d.whole(1, 5), half - 4, half - 2, (4, 7))
    add_trees(
        place,
        d.named("bushes"),
        [Species(d.named("bush"), bush=True)],
        d.whole(2, 9),
        half - 2,
        half - 1,
        (0.8, 1.8),
    )
    place.paint(floor)


OUTDOOR: dict[str, Callable[[Panorama, Draw], None]] = {
    "beach": beach,
    "car_park": car_park,
    "courtyard": courtyard,
    "desert": desert,
    "forest": forest,
    "meadow": meadow,
    "park": park,
    "plaza": plaza,
    "rooftop": rooftop,
    "street": street,
    "suburb": suburb,
    "winter": winter,
}
