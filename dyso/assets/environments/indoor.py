"""Rooms: lounges, galleries, offices, halls and others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dyso.assets.environments import surfaces
from dyso.assets.environments.facades import covered, plain
from dyso.assets.environments.functions import Noise, cell_value, mix, step
from dyso.assets.environments.furniture import Furniture, rug
from dyso.assets.environments.landscape import GREEN, add_town, add_trees, draw_species
from dyso.assets.environments.panorama import Panorama
from dyso.assets.environments.pieces import Design
from dyso.assets.environments.room import AXES, CEILING, Decor, Room
from dyso.assets.environments.solids import box, column
from dyso.assets.environments.surfaces import Ground, grey
from dyso.assets.procedural.draw import Draw

CHAIR = 0.48, 0.5, 0.95
SHOWN = {
    "abstract": (0.6, 0.6, 0.7),
    "boat": (0.2, 0.55, 0.45),
    "bowl": (0.5, 0.5, 0.22),
    "creature": (0.22, 0.5, 0.4),
    "vase": (0.34, 0.34, 0.62),
}
"""Metres of what is shown in a gallery; see `Design`."""


def _white(draw: Draw) -> Ground:
    noise, base = Noise(draw, "white"), grey(draw.real(0.68, 0.82), 0.02)

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        return surfaces.tinted(base, 0.96 + 0.06 * noise.layers(u, v, 4, 0.6, pixel))

    return ceiling


def _skirting(color: np.ndarray, height: float = 0.1) -> Decor:
    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        if index >= CEILING:
            return albedo
        return np.where((v < height)[:, None], color, albedo)

    return decor


def _pictures(draw: Draw, room: Room, walls: list[int], large: bool) -> Decor:
    """Returns paintings that hang on walls."""
    frames = []
    for wall in walls:
        extent, u = room.extent(wall), -room.extent(wall) + draw.real(1, 2)
        while u < extent - 2:
            w, h = (
                (draw.real(1.0, 2.6), draw.real(1.0, 1.9))
                if large
                else (draw.real(0.5, 1.2), draw.real(0.5, 1.0))
            )
            inks = np.stack([surfaces.paint(draw, "paint") for _ in range(4)])
            frames.append(
                (
                    wall,
                    u,
                    u + w,
                    1.65 - h / 2,
                    1.65 + h / 2,
                    inks,
                    Noise(draw, f"{wall} {u:.4f}"),
                    draw.whole(0, 2),
                )
            )
            u += w + draw.real(0.8, 2.2)

    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        for wall, left, right, low, high, inks, noise, style in frames:
            if wall != index:
                continue
            inset = np.minimum(
                np.minimum(u - left, right - u), np.minimum(v - low, high - v)
            )
            on = np.nonzero(inset > 0)[0]
            a, b = (u[on] - left) / (right - left), (v[on] - low) / (high - low)
            if style == 0:
                value = noise.layers(a * 3, b * 3, 6, 0.6, 0.01)
            elif style == 1:
                value = cell_value(np.floor(a * 5), np.floor(b * 4), int(left * 100))
            else:
                value = np.clip(
                    b + 0.5 * (noise.layers(a * 3, b * 8, 5, 0.6, 0.01) - 0.5), 0, 1
                )
            picture = inks[np.clip(value * 4, 0, 3).astype(int)]
            border = inset[on] < 0.05
            mat = (inset[on] < 0.13) & ~border & (style != 2)
            picture = np.where(mat[:, None], np.float32(0.75), picture)
            albedo = albedo.copy()
            albedo[on] = np.where(border[:, None], np.float32(0.06), picture)
        return albedo

    return decor


def _both(*decors: Decor) -> Decor:
    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        for each in decors:
            albedo = each(index, albedo, u, v, pixel)
        return albedo

    return decor


def _door(room: Room, draw: Draw, wall: int) -> tuple[Decor, tuple[int, float]]:
    """Returns a door, and where it is: its wall and the u of its middle."""
    base, at = surfaces.paint(draw, draw.pick(("wood", "wall"))), draw.real(-0.7, 0.7)
    middle = at * room.extent(wall)

    def decor(
        index: int, albedo: np.ndarray, u: np.ndarray, v: np.ndarray, pixel: Any
    ) -> np.ndarray:
        if index != wall:
            return albedo
        away = np.abs(u - middle)
        frame = (away < 0.58) & (v < 2.2)
        leaf = (away < 0.5) & (v < 2.1)
        panel = (np.abs(away - 0.25) > 0.17) | (np.abs(v - 1.05) % 1.0 > 0.86)
        rgb = np.where(frame[:, None], np.float32(0.5), albedo)
        color = np.where(panel[:, None], base, base * 0.8)
        return np.where(leaf[:, None], color, rgb).astype(np.float32)

    return decor, (wall, middle)


def _outlook(room: Room, draw: Draw) -> None:
    """Puts something before the windows."""
    place = room.outside
    place.ridge(
        draw.named("far"),
        (0.5, draw.real(2, 6)),
        GREEN * 1.5,
        distance=900,
        rough=0.4,
        leafy=0.5,
    )
    far = max(room.half) + 14
    if draw.chance(0.5):
        add_town(place, draw.named("town"), far + 15, 8, 22)
    add_trees(
        place, draw.named("trees"), draw_species(draw), 30, far, far + 50, (6, 13)
    )


def _along_walls(
    room: Room, draw: Draw, inset: float, door: tuple[int, float] | None = None
) -> Iterable[tuple[Draw, float, float, float, int]]:
    """Yields places along the walls, with a turn to look inwards."""
    for wall in range(4):
        axis, side = AXES[wall]
        # The corners belong to the walls of x.
        most = room.extent(wall) - (1.4 if axis == 0 else 2.5)
        u = -most
        while u <= most:
            away = side * (room.half[axis] - inset)
            x, y = (away, u) if axis == 0 else (u, away)
            yaw = {
                (0, 1.0): math.pi / 2,
                (0, -1.0): -math.pi / 2,
                (1, 1.0): math.pi,
                (1, -1.0): 0.0,
            }[(axis, side)]
            if door is None or wall != door[0] or abs(u - door[1]) > 2.0:
                yield draw.named(f"piece {wall} {u:.4f}"), x, y, yaw, wall
            u += draw.real(2.7, 3.6)


def _dining(room: Room, draw: Draw) -> None:
    """Puts a table with chairs into a corner, away from the walls."""
    x, y = (draw.pick((-1, 1)) * (half - 2.6) for half in room.half)
    table = Design("table", draw, (1.6, 0.9, 0.75))
    place = Furniture(draw, x, y, draw.pick((0.0, math.pi / 2)))
    seats = [
        (u, 0.7 * v, turn) for v, turn in ((-1, 0.0), (1, math.pi)) for u in (-0.4, 0.4)
    ]
    room.add(place.set(table, Design("chair", draw.named("chair"), CHAIR), seats))
    room.add([place.small(0.75, "vase", "bowl", "plant")])


def lounge(p: Panorama, draw: Draw) -> None:
    """Paints a large living room."""
    d = draw.named("lounge")
    room = Room(p, draw, (d.real(7.5, 10), d.real(7, 9)), d.real(4.1, 5.0))
    _outlook(room, d.named("outlook"))
    window = d.pick((0, 1, 2, 3))
    room.row_of_windows(
        window,
        d.real(1.3, 2.4),
        d.real(0.4, 1.0),
        d.pick((0.15, 0.8)),
        room.height - 0.5,
    )
    if d.chance(0.4):
        room.row_of_windows((window + 2) % 4, 1.4, 1.6, 0.8, room.height - 0.7)
    room.grid_of_lamps((0.3, 0.3), d.real(3.0, 4.5))
    lit = {w.wall for w in room.windows}
    solid = [w for w in range(4) if w not in lit]
    door, doorway = _door(room, d.named("door"), solid[-1])
    for e, x, y, yaw, wall in _along_walls(room, d, 0.55, doorway):
        piece = Furniture(e, x, y, yaw)
        if wall in lit:
            if e.chance(0.3):
                room.add(piece.plant())
            continue
        choice = e.whole(0, 7)
        if choice <= 1:
            room.add(piece.sofa())
        elif choice == 6:
            room.add(piece.side_table())
        elif choice == 7:
            nook = Design("table", e, (0.7, 0.7, 0.7)), Design("chair", e, CHAIR)
            room.add(
                piece.set(*nook, [(0.85, 0, math.pi / 2), (-0.85, 0, -math.pi / 2)])
            )
            room.add([piece.small(0.7, "lamp", "vase", "plant", "bowl")])
        elif choice == 2:
            room.add(piece.shelf(e.real(1.4, 2.2), e.real(1.8, 2.5)))
        elif choice == 3:
            room.add(piece.cabinet(e.real(1.2, 2.0), e.real(0.6, 1.0)))
        elif choice == 4:
            room.add(piece.plant())
        else:
            room.add(piece.floor_lamp())
    if d.chance(0.7):
        _dining(room, d.named("dining"))
    floor = d.pick(
        (surfaces.planks, surfaces.planks, surfaces.parquet, surfaces.tiles)
    )(d.named("floor"))
    lay = rug(d.named("rug"), d.real(5, 8), d.real(4, 6)) if d.chance(0.45) else None

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        rgb = floor(x, y, pixel)
        return lay(rgb, x, y, pixel) if lay else rgb

    paper = surfaces.plaster(d.named("wall"))
    other = surfaces.bricks(d.named("b")) if d.chance(0.3) else paper
    decor = _both(
        _skirting(grey(0.7)), _pictures(d.named("p"), room, solid[:1], False), door
    )
    room.paint(ground, [paper, other, paper, paper], _white(d), decor)


def gallery(p: Panorama, draw: Draw) -> None:
    """Paints a white exhibition room with paintings and skylights."""
    d = draw.named("gallery")
    room = Room(p, draw, (d.real(9, 13), d.real(8, 11)), d.real(4.5, 6))
    room.grid_of_lamps(d.pick(((2.4, 0.25), (0.3, 0.3), (3.0, 1.5))), d.real(3.5, 5))
    floor = d.pick((surfaces.concrete, surfaces.planks, surfaces.parquet))(
        d.named("floor")
    )
    stand = surfaces.grey(0.75)
    for index, (e, x, y, _, _) in enumerate(_along_walls(room, d, 2.5)):
        if index % 4 == 1:
            h = e.real(0.8, 1.2)
            room.add([box(x, y, (0.5, 0.5, h), plain(stand))])
            work = e.pick(("vase", "abstract", "abstract", "creature", "bowl", "boat"))
            design = Design(work, e, SHOWN[work])
            room.add([Furniture(e, x, y, 0.0).stand(design, h, turn=e.real(-3, 3))])
    wall = (
        surfaces.plaster(d.named("wall")) if d.chance(0.3) else _white(d.named("wall"))
    )
    decor = _both(
        _skirting(grey(0.25), 0.06), _pictures(d.named("p"), room, [0, 1, 2, 3], True)
    )
    room.paint(floor, [wall] * 4, _white(d), decor)


def office(p: Panorama, draw: Draw) -> None:
    """Paints an open-plan office."""
    d = draw.named("office")
    room = Room(p, draw, (d.real(9, 13), d.real(8, 11)), d.real(4.1, 4.6))
    _outlook(room, d.named("outlook"))
    for wall in d.pick(((0,), (2,), (0, 2), (1, 3))):
        room.row_of_windows(wall, d.real(1.6, 2.6), 0.15, 0.75, room.height - 0.3)
    room.grid_of_lamps(d.pick(((1.2, 0.6), (0.6, 0.6), (1.5, 0.3))), d.real(2.4, 3.2))
    desk = Design("table", d.named("desk"), (1.6, 0.8, 0.74))
    chair = Design("chair", d.named("chair"), CHAIR)
    for x in np.arange(-room.half[0] + 1.9, room.half[0] - 1.8, 2.0).tolist():
        for side in (-1, 1):
            y = side * (room.half[1] - 2.2)
            if d.chance(0.85):
                room.add(
                    Furniture(
                        d.named(f"desk {x:.3f} {side}"),
                        x,
                        y,
                        0.0 if side > 0 else math.pi,
                    ).desk(desk, chair)
                )
    lit = {w.wall for w in room.windows}
    solid = [w for w in range(4) if w not in lit]
    door, doorway = _door(room, d.named("door"), solid[0])
    for e, x, y, yaw, wall in _along_walls(room, d, 0.55, doorway):
        if wall >= 2 or wall in lit:
            continue
        piece = Furniture(e, x, y, yaw)
        choice = e.whole(0, 2)
        if choice == 0:
            room.add(piece.plant())
        elif choice == 1:
            room.add(piece.cabinet(1.6, 1.2))
        else:
            room.add(piece.shelf(1.6, 2.0))
    floor = d.pick((surfaces.carpet, surfaces.carpet, surfaces.planks))(
        d.named("floor")
    )
    white = _white(d)

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        joint = np.maximum(
            surfaces.gap(u, 0.6, 0.02, pixel), surfaces.gap(v, 0.6, 0.02, pixel)
        )
        return white(u, v, pixel) * (1 - 0.35 * joint[:, None]).astype(np.float32)

    paper = surfaces.plaster(d.named("wall"))
    decor = _both(_skirting(grey(0.3)), door)
    room.paint(floor, [paper] * 4, ceiling, decor)


def sports_hall(p: Panorama, draw: Draw) -> None:
    """Paints a sports hall with marked courts and high windows."""
    d = draw.named("hall")
    room = Room(p, draw, (d.real(13, 18), d.real(9, 12)), d.real(7, 9))
    _outlook(room, d.named("outlook"))
    for side in (2, 3):
        if side == 2 or d.chance(0.5):
            room.row_of_windows(
                side, 2.6, 0.3, room.height - d.real(2.6, 3.6), room.height - 0.6
            )
    room.grid_of_lamps((1.6, 0.35), d.real(4, 5))
    boards = surfaces.planks(d.named("floor"), 0.07)
    tint = surfaces.paint(d, "paint")
    painted = d.chance(0.4)
    inks = [
        np.array(c, np.float32)
        for c in (
            (0.7, 0.7, 0.7),
            (0.5, 0.05, 0.04),
            (0.03, 0.08, 0.4),
            (0.7, 0.5, 0.05),
        )
    ]

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        rgb = boards(x, y, pixel)
        if painted:
            rgb = mix(rgb, tint, np.float32(0.75))
        radius = np.sqrt(x * x + y * y)
        a, b = room.half[0] - 1.5, room.half[1] - 1.5
        edge = np.maximum(np.abs(x) - a, np.abs(y) - b)
        for ink, away in (
            (inks[0], np.abs(edge)),
            (inks[0], np.where(edge < 0, np.abs(x), 9.0)),
            (inks[0], np.abs(radius - 1.8)),
            (inks[1], np.abs(np.maximum(np.abs(x) - a * 0.62, np.abs(y) - b * 0.55))),
            (inks[2], np.where(np.abs(y) < b * 0.8, np.abs(np.abs(x) - a * 0.45), 9.0)),
            (inks[3], np.where(np.abs(x) < a * 0.9, np.abs(np.abs(y) - b * 0.82), 9.0)),
        ):
            line = step(-away, -0.025 - 0.5 * pixel, -0.02) * np.minimum(
                0.05 / pixel, 1
            )
            rgb = mix(rgb, ink, line[:, None].astype(np.float32))
        return rgb.astype(np.float32)

    wood = surfaces.planks(d.named("panel"), 0.12)
    upper = surfaces.plaster(d.named("wall"))

    def wall(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        return np.where((v < 2.4)[:, None], wood(u, v, pixel), upper(u, v, pixel))

    steel = surfaces.plaster(d.named("steel"), "wall")

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        beam = surfaces.gap(u, 4.0, 0.35, pixel)
        return steel(u, v, pixel) * (1 - 0.6 * beam[:, None]).astype(np.float32)

    bench, white = plain(surfaces.paint(d, "wood")), plain(grey(0.75))
    for side in (-1, 1):
        room.add(
            [
                box(side * (room.half[0] - 0.6), 0, (0.06, 1.8, 1.05), white, base=2.9),
                box(side * (room.half[0] - 0.3), 0, (0.6, 0.1, 0.1), white, base=3.3),
            ]
        )
        for x in (-6.0, -2.0, 2.0, 6.0):
            room.add([box(x, side * (room.half[1] - 0.4), (3.2, 0.35, 0.42), bench)])
    judges = Furniture(d.named("judges"), 0.0, room.half[1] - 1.7, math.pi)
    chair = Design("chair", d.named("chair"), CHAIR)
    row = [(u, -0.65, 0.0) for u in (-0.65, 0.0, 0.65)]
    room.add(judges.set(Design("table", d, (2.1, 0.7, 0.75)), chair, row))
    room.paint(ground, [wall] * 4, ceiling)


def warehouse(p: Panorama, draw: Draw) -> None:
    """Paints a storehouse with racks, pallets and skylights."""
    d = draw.named("warehouse")
    room = Room(p, draw, (d.real(13, 18), d.real(10, 14)), d.real(6, 8.5))
    room.grid_of_lamps(d.pick(((1.5, 0.3), (0.6, 0.6), (2.5, 1.2))), d.real(4.3, 5.5))
    _outlook(room, d.named("outlook"))
    if d.chance(0.5):
        room.row_of_windows(0, 3.0, 0.8, room.height - 2.4, room.height - 0.8)
    floor = surfaces.concrete(d.named("floor"))
    levels = 2 if room.height < 7 else 3
    for side in (-1, 1):
        rack = Furniture(d.named(f"rack {side}"), 0, side * (room.half[1] - 1.2), 0.0)
        room.add(rack.rack(2 * room.half[0] - 4, levels))
    for index in range(d.whole(3, 9)):
        x = d.pick((-1, 1)) * d.real(8, room.half[0] - 1.5)
        y = d.real(-0.55, 0.55) * room.half[1]
        room.add(Furniture(d.named(f"crate {index}"), x, y, d.real(0, 1.5)).crates())
    packing = Furniture(
        d.named("packing"), room.half[0] - 0.7, 0.78 * room.half[1], math.pi / 2
    )
    table = Design("table", d.named("table"), (1.6, 0.8, 0.8))
    chair = Design("chair", d.named("chair"), CHAIR)
    room.add(packing.set(table, chair, [(0.0, 0.8, math.pi)]))
    yellow = np.array([0.65, 0.45, 0.03], np.float32)

    def ground(x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        rgb = floor(x, y, pixel)
        line = step(
            0.05 - np.abs(np.abs(y) - room.half[1] + 3.2), -pixel / 2, pixel / 2
        )
        return mix(rgb, yellow, (0.85 * line)[:, None].astype(np.float32))

    steel = surfaces.plaster(d.named("steel"), d.pick(("metal", "wall", "stone")))

    def wall(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        rib = surfaces.gap(u, 0.25, 0.05, pixel)
        return steel(u, v, pixel) * (1 - 0.35 * rib[:, None]).astype(np.float32)

    def ceiling(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        beam = surfaces.gap(u, 3.0, 0.3, pixel)
        return steel(u, v, pixel) * (0.7 - 0.45 * beam[:, None]).astype(np.float32)

    door, _ = _door(room, d.named("door"), 1)
    room.paint(ground, [wall] * 4, ceiling, door)


def library(p: Panorama, draw: Draw) -> None:
    """Paints a reading room between bookshelves."""
    d = draw.named("library")
    room = Room(p, draw, (d.real(8, 11), d.real(7.5, 10)), d.real(4.3, 5.5))
    _outlook(room, d.named("outlook"))
    window = d.pick((0, 2))
    room.row_of_windows(
        window, d.real(1.2, 1.8), d.real(0.9, 1.4), 0.9, room.height - 0.6
    )
    room.grid_of_lamps(d.pick(((0.5, 0.5), (1.4, 0.3))), d.real(3.2, 4))
    high = d.real(2.3, 3.4)
    for wall in range(4):
        if wall == window:
            continue
        axis, side = AXES[wall]
        away, extent = side * (room.half[axis] - 0.17), room.extent(wall) - 0.4
        count = int(2 * extent / 2.2)
        for index in range(count):
            u = (index + 0.5) / count * 2 * extent - extent
            x, y = (away, u) if axis == 0 else (u, away)
            yaw = math.pi / 2 if axis == 0 else 0.0
            piece = Furniture(d.named(f"shelf {wall} {index}"), x, y, yaw)
            room.add(piece.shelf(2 * extent / count - 0.04, high))
    table = Design("table", d.named("table"), (2.2, 1.0, 0.75))
    chair = Design("chair", d.named("chair"), CHAIR)
    seats = [(u, 0.8 * v, t) for v, t in ((-1, 0.0), (1, math.pi)) for u in (-0.6, 0.6)]
    for turn, (x, y) in enumerate(((6.0, 5.0), (-6.0, 5.0), (6.0, -5.0), (-6.0, -5.0))):
        if d.chance(0.8):
            place = Furniture(d.named(f"table {turn}"), x, y, 0.0)
            room.add(place.set(table, chair, seats))
            room.add([place.small(0.75, "lamp", "lamp", "plant")])
    floor = d.pick(
        (surfaces.parquet, surfaces.planks, surfaces.tiles, surfaces.carpet)
    )(d.named("floor"))
    column_ = surfaces.plaster(d.named("wall"), "wall")

    for x in (-1, 1):
        for y in (-1, 1):
            room.add(
                [
                    column(
                        x * room.half[0] * 0.86,
                        y * room.half[1] * 0.86,
                        0.22,
                        room.height,
                        covered(column_),
                    )
                ]
            )
    room.paint(floor, [column_] * 4, _white(d), _skirting(grey(0.2)))


INDOOR: dict[str, Callable[[Panorama, Draw], None]] = {
    "gallery": gallery,
    "library": library,
    "lounge": lounge,
    "office": office,
    "sports_hall": sports_hall,
    "warehouse": warehouse,
}
