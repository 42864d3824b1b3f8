"""What stands and hangs in rooms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dyso.assets.environments.facades import covered, plain
from dyso.assets.environments.functions import Noise, cell_value, circle
from dyso.assets.environments.pieces import Design, Piece
from dyso.assets.environments.solids import Hits, Solid, Surface, box, wedge
from dyso.assets.environments.surfaces import Ground, carpet, grey, paint, planks
from dyso.assets.procedural.draw import Draw

SMALL = {
    "boat": (0.14, 0.4, 0.3),
    "bowl": (0.32, 0.32, 0.13),
    "house": (0.26, 0.3, 0.28),
    "lamp": (0.28, 0.28, 0.5),
    "plant": (0.28, 0.28, 0.36),
    "vase": (0.18, 0.18, 0.34),
}
"""Metres of what stands on tables; see `Design`."""
Seats = Sequence[tuple[float, float, float]]
"""Of each chair: x, y and turn, from the table."""


class Furniture:
    """Makes pieces at a place, which look along a direction there."""

    def __init__(self, draw: Draw, x: float, y: float, yaw: float):
        """See `put`.

        Args:
          draw: of the piece.
          x: metres.
          y: metres.
          yaw: radians; its front looks along y, turned by it.
        """
        self.draw, self.x, self.y, self.yaw = draw, x, y, yaw

    def put(
        self,
        x: float,
        y: float,
        sides: tuple[float, float, float],
        surface: Surface,
        base: float = 0.0,
        top: float | None = None,
    ) -> Solid:
        """Returns a box in the piece's own frame."""
        c, s = circle(self.yaw)
        at = self.x + c * x - s * y, self.y + s * x + c * y
        if top is None:
            return box(*at, sides, surface, base=base, yaw=self.yaw)
        return wedge(*at, sides, top, surface, base=base, yaw=self.yaw)

    def sofa(self) -> Iterator[Solid]:
        """Yields a sofa or an armchair."""
        d = self.draw
        cloth = covered(_cloth(d, "fabric"))
        w = d.pick((0.95, 1.7, 2.2))
        yield self.put(0, 0, (w, 0.85, 0.42), cloth, 0.08)
        yield self.put(0, -0.35, (w, 0.2, 0.8), cloth, 0.08, 0.9)
        for sign in (-1, 1):
            yield self.put(sign * (w / 2 + 0.08), 0, (0.18, 0.9, 0.62), cloth)
        pillow = covered(_cloth(d.named("pillow"), "paint"))
        for sign in (-1, 1):
            if d.chance(0.6):
                yield self.put(
                    sign * w * 0.3, -0.15, (0.42, 0.2, 0.4), pillow, 0.48, 0.7
                )

    def stand(
        self,
        design: Design,
        base: float = 0.0,
        x: float = 0.0,
        y: float = 0.0,
        turn: float = 0.0,
    ) -> Piece:
        """Returns an object of a grammar, turned in the piece's own frame."""
        c, s = circle(self.yaw)
        at = self.x + c * x - s * y, self.y + s * x + c * y
        return Piece(design, *at, self.yaw + turn, base)

    def set(self, table: Design, chair: Design, seats: Seats) -> Iterator[Piece]:
        """Yields a table, and chairs that look at it."""
        yield self.stand(table)
        for x, y, turn in seats:
            yield self.stand(chair, 0.0, x, y, turn)

    def small(self, base: float, *categories: str) -> Piece:
        """Returns a small thing that stands on something."""
        category = self.draw.pick(categories)
        design = Design(category, self.draw, SMALL[category], self.draw.real(0.8, 1.3))
        return self.stand(design, base, turn=self.draw.real(-3, 3))

    def side_table(self) -> Iterator[Piece]:
        """Yields a small table with something on it."""
        table = Design("table", self.draw, (0.6, 0.5, self.draw.real(0.5, 0.65)))
        yield self.stand(table)
        yield self.small(table.sides[2], "lamp", "vase", "plant", "bowl")

    def desk(self, table: Design, chair: Design) -> Iterator[Solid | Piece]:
        """Yields a desk with a screen and a chair."""
        h = table.sides[2]
        yield from self.set(table, chair, [(0.0, 0.75, math.pi)])
        black = plain(grey(0.02))
        glow = paint(self.draw, "paint") * 0.35

        def screen(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
            on = (np.abs(hits.x) < 0.28) & (np.abs(hits.y) > 0.01)
            text = cell_value(np.floor(hits.u * 30), np.floor(hits.z * 40)) > 0.5
            own = np.where(on[:, None], glow * (1 + 1.5 * text[:, None]), 0.0)
            return np.full_like(hits.normal, 0.02), own.astype(np.float32)

        yield self.put(0, -0.15, (0.6, 0.03, 0.36), screen, h + 0.16)
        yield self.put(0, -0.15, (0.06, 0.06, 0.2), black, h)

    def shelf(self, w: float, h: float) -> Iterator[Solid]:
        """Yields shelves of books."""
        d = self.draw
        wood = paint(d, d.pick(("wood", "wood", "wall"))) * 0.8
        inks = np.stack([paint(d, "paint") for _ in range(12)])
        rise, salt = d.real(0.32, 0.4), d.whole(0, 9999)

        def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
            row = np.floor(hits.z / rise)
            v = hits.z / rise - row
            thick = 0.035
            book = np.floor(hits.u / thick)
            u = hits.u / thick - book
            tall = 0.62 + 0.3 * cell_value(np.floor(book / 6), row, salt)
            tall = tall + 0.06 * cell_value(book, row, salt + 1)
            gone = cell_value(np.floor(hits.u / 0.4), row, salt + 2) > 0.86
            ink = inks[(cell_value(book, row, salt + 3) * 12).astype(int)]
            ink = ink * (0.55 + 0.6 * np.sqrt(np.maximum(u * (1 - u), 0)) * 2)[:, None]
            band = (np.abs(v - 0.5) < 0.05) & (cell_value(book, row, salt + 4) > 0.6)
            ink = np.where(band[:, None], 0.6, ink)
            dark = wood * 0.12
            inside = np.where(((v < tall) & ~gone)[:, None], ink, dark)
            board = (v < 0.08) | (np.abs(hits.u % 1.0 - 0.5) > 0.48)
            front = (np.abs(hits.normal[:, 2]) < 0.5) & (np.abs(hits.y) > 0.14)
            albedo = np.where((front & ~board)[:, None], inside, wood)
            return albedo.astype(np.float32), np.zeros_like(albedo, np.float32)

        yield self.put(0, 0, (w, 0.32, h), surface)

    def cabinet(self, w: float, h: float) -> Iterator[Solid | Piece]:
        """Yields a cabinet with doors."""
        base = paint(self.draw, self.draw.pick(("wood", "wall", "paint"))) * 0.85
        door = self.draw.real(0.4, 0.7)

        def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
            u = np.abs((hits.u / door) % 1.0 - 0.5) * door
            seam = (door / 2 - u < 0.006 + hits.pixel) & (hits.normal[:, 2] < 0.5)
            knob = (door / 2 - u > 0.04) & (door / 2 - u < 0.07)
            knob &= (np.abs(hits.z - h * 0.6) < 0.07) & (hits.normal[:, 2] < 0.5)
            value = np.where(seam, 0.35, 1.0)
            albedo = np.where(knob[:, None], 0.2, value[:, None] * base)
            return albedo.astype(np.float32), np.zeros_like(albedo, np.float32)

        yield self.put(0, 0, (w, 0.45, h), surface)
        if self.draw.chance(0.7):
            yield self.small(h, "lamp", "vase", "plant", "bowl", "house", "boat")

    def plant(self) -> Iterator[Piece]:
        """Yields a large plant in a pot."""
        size = self.draw.real(0.8, 1.25)
        yield self.stand(Design("plant", self.draw, (0.85, 0.85, 1.4), size))

    def floor_lamp(self) -> Iterator[Piece]:
        """Yields a lamp on a pole."""
        size = self.draw.real(0.9, 1.1)
        yield self.stand(Design("lamp", self.draw, (0.5, 0.5, 1.6), size))

    def crates(self) -> Iterator[Solid]:
        """Yields boxes on a pallet."""
        d = self.draw
        wood = covered(planks(d, 0.1))
        yield self.put(0, 0, (1.2, 1.0, 0.14), wood)
        surface = _cartons(d)
        yield self.put(0, 0, (1.2, 0.8, 0.35 * d.whole(1, 4)), surface, 0.14)

    def rack(self, w: float, levels: int) -> Iterator[Solid]:
        """Yields a heavy-duty rack with goods."""
        d = self.draw
        blue = plain(np.array([0.03, 0.1, 0.35], np.float32))
        orange = plain(np.array([0.75, 0.22, 0.03], np.float32))
        bays = max(int(w / 2.7), 1)
        for bay in range(bays + 1):
            x = (bay - bays / 2) * 2.7
            yield self.put(x, 0, (0.1, 1.0, 1.7 * levels), blue)
        for level in range(levels):
            yield self.put(0, 0, (2.7 * bays, 1.0, 0.12), orange, 1.7 * level + 0.1)
            for bay in range(bays):
                if d.chance(0.8):
                    x = (bay + 0.5 - bays / 2) * 2.7
                    size = d.real(1.0, 2.3), 0.9, d.real(0.5, 1.3)
                    goods = _cartons(d.named(f"goods {level} {bay}"))
                    yield self.put(x, 0, size, goods, 1.7 * level + 0.22)


def _cartons(draw: Draw) -> Surface:
    card = np.array([0.36, 0.24, 0.13], np.float32) * draw.real(0.8, 1.2)
    if draw.chance(0.3):
        card = paint(draw, "paint") * 0.8

    def surface(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
        tone = 0.8 + 0.3 * cell_value(np.floor(hits.u / 0.4), np.floor(hits.v / 0.35))
        across = np.abs(hits.u / 0.4 - np.floor(hits.u / 0.4) - 0.5)
        up = np.abs(hits.v / 0.35 - np.floor(hits.v / 0.35) - 0.5)
        seam, tape = (across > 0.475) | (up > 0.48), across < 0.07
        value = tone * np.where(seam, 0.45, np.where(tape, 1.35, 1.0))
        albedo = (value[:, None] * card).astype(np.float32)
        return albedo, np.zeros_like(albedo)

    return surface


def _cloth(draw: Draw, palette: str) -> Ground:
    noise, base = Noise(draw, "cloth"), paint(draw, palette) * 0.85

    def ground(u: np.ndarray, v: np.ndarray, pixel: Any) -> np.ndarray:
        value = 0.75 + 0.5 * noise.layers(u * 9, v * 9, 4, 0.8, pixel * 9)
        return (value[:, None] * base).astype(np.float32)

    return ground


def rug(
    draw: Draw, w: float, d: float
) -> Callable[[np.ndarray, np.ndarray, np.ndarray, Any], np.ndarray]:
    """Returns a function that lays a rug on a floor's albedo."""
    pile, other = carpet(draw), paint(draw, "fabric")
    line = draw.real(0.15, 0.4)

    def lay(rgb: np.ndarray, x: np.ndarray, y: np.ndarray, pixel: Any) -> np.ndarray:
        inner = np.minimum(w / 2 - np.abs(x), d / 2 - np.abs(y))
        on = inner > 0
        new = pile(x, y, pixel)
        band = (inner > line * 0.5) & (inner < line)
        figure = (
            cell_value(np.floor(np.abs(x) / 0.25), np.floor(np.abs(y) / 0.25), 4) > 0.6
        )
        new = np.where((band | (figure & (inner > line)))[:, None], other, new)
        return np.where(on[:, None], new, rgb).astype(np.float32)

    return lay
