"""Catalogs of assets that are made from numbers: what is known before they are made.

Asset `n` of a catalog is a function of (generator version, seed, n). An object's
category and its bounding box, drawn here, are all that sampling and identity need; the
mesh, made by `dyso.assets.procedural`, is scaled to fill that box. So a catalog of a
million objects takes no disk, no memory and no start-up. An environment, made by
`dyso.assets.environments`, is an HDRI.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, overload

from dyso.spec.articulated import JOINTED, Design, designed
from dyso.spec.asset import Asset, Vector

VERSION = 1
"""Of the generator: what it makes of the same number changes with it.

Objects also stand in environments, whose version then rises too.
"""
Range = tuple[float, float]

# Of each category: width (x) and height (z), in any unit, and the depth (y) as a share
# of the width. An object faces x.
_SIDES: dict[str, tuple[Range, Range, Range]] = {
    "abstract": ((0.5, 1.0), (0.5, 1.0), (0.6, 1.6)),
    "airplane": ((0.9, 1.1), (0.24, 0.36), (0.75, 1.15)),
    "boat": ((1.0, 1.0), (0.45, 0.9), (0.28, 0.42)),
    "bottle": ((0.26, 0.42), (1.0, 1.0), (1.0, 1.0)),
    "bowl": ((1.0, 1.0), (0.3, 0.55), (1.0, 1.0)),
    "car": ((1.0, 1.0), (0.28, 0.42), (0.4, 0.5)),
    "chair": ((0.45, 0.62), (0.85, 1.1), (0.9, 1.1)),
    "creature": ((0.8, 1.0), (0.55, 0.95), (0.35, 0.5)),
    "house": ((0.8, 1.1), (0.6, 1.0), (0.75, 1.2)),
    "lamp": ((0.35, 0.55), (0.8, 1.1), (1.0, 1.0)),
    "mug": ((1.0, 1.2), (0.85, 1.25), (0.7, 0.76)),
    "plant": ((0.55, 0.9), (0.9, 1.1), (0.95, 1.05)),
    "table": ((0.8, 1.2), (0.5, 0.85), (0.6, 1.1)),
    "tool": ((1.0, 1.0), (0.12, 0.16), (0.3, 0.42)),
    "tower": ((0.32, 0.5), (1.0, 1.3), (1.0, 1.0)),
    "toy_blocks": ((0.6, 1.0), (0.5, 1.0), (0.7, 1.1)),
    "vase": ((0.4, 0.7), (0.8, 1.1), (1.0, 1.0)),
}
CATEGORIES = tuple(sorted(_SIDES))
"""The categories of a catalog whose spec names no others."""
_CREATURES: dict[str, tuple[Range, Range, Range]] = {
    "centipede": ((1.0, 1.0), (0.11, 0.16), (0.3, 0.4)),
    "fish": ((1.0, 1.0), (0.36, 0.6), (0.2, 0.28)),
    "insect": ((0.8, 1.0), (0.26, 0.4), (0.75, 1.0)),
    "quadruped": ((1.0, 1.0), (0.6, 0.95), (0.24, 0.32)),
    "snake": ((1.0, 1.0), (0.06, 0.09), (0.075, 0.11)),
}
_SIDES |= _CREATURES
NAMED = tuple(sorted({*_CREATURES, *JOINTED}))
"""Categories that only a spec which names them has: more of them change no other spec.
"""
GAITS: dict[str, Literal["swim", "walk"]] = {
    "centipede": "walk",
    "fish": "swim",
    "insect": "walk",
    "quadruped": "walk",
    "snake": "walk",
}
"""How the categories with skeletons move: `walk` is on the floor, also crawling."""
PREFIX = "procedural:"
_DIGITS = 7


@dataclass(frozen=True, kw_only=True)
class ProceduralCatalog:
    """A catalog of objects that are made when they are rendered.

    Object n has the category n modulo the number of categories. An object depends on
    generator, seed, n and its category alone. The interface is that of `Catalog`, but
    assets are created when they are accessed.

    Attributes:
      name: the catalog's name.
      generator: the version of the generator.
      seed: the seed of all objects.
      count: the number of objects.
      named: the categories, sorted, if some are not among `CATEGORIES`; else none.
    """

    name: str = "procedural"
    generator: int = VERSION
    seed: int
    count: int
    named: tuple[str, ...] = ()
    KINDS: ClassVar[tuple[str, ...]] = CATEGORIES
    PREFIX: ClassVar[str] = PREFIX
    VERSION: ClassVar[int] = VERSION

    @classmethod
    def of(cls, seed: int, count: int, categories: Sequence[str]) -> Self:
        """Returns the catalog in which a spec's categories are found.

        Args:
          seed: the seed.
          count: the number of objects.
          categories: the spec's. If some are only in catalogs that name them, the
            catalog has those categories alone, otherwise it has `CATEGORIES`.
        """
        known = {*categories} & {*CATEGORIES, *NAMED}
        named = tuple(sorted(known)) if known - set(cls.KINDS) else ()
        return cls(seed=seed, count=count, named=named)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The categories of objects, or the kinds of environments."""
        return self.named or self.KINDS

    @property
    def manifest(self) -> str:
        """The address by which a worker recognizes the catalog; see `parse`."""
        named = f":{'+'.join(self.named)}" if self.named else ""
        return f"{self.PREFIX}{self.generator}:{self.seed}:{self.count}{named}"

    @classmethod
    def parse(cls, manifest: str) -> Self:
        """Returns the catalog with this `manifest`.

        Raises:
          ValueError: it is not the address of a procedural catalog.
        """
        pattern = rf"{cls.PREFIX}(\d+):(\d+):(\d+)(?::([a-z_+]+))?"
        match = re.fullmatch(pattern, manifest)
        named = tuple(match[4].split("+")) if match and match[4] else ()
        if match is None or not {*named} <= {*CATEGORIES, *NAMED}:
            raise ValueError(f"{manifest}: is not a procedural catalog")
        generator, seed, count = map(int, match.groups()[:3])
        return cls(generator=generator, seed=seed, count=count, named=named)

    @cached_property
    def assets(self) -> Sequence[Asset]:
        """All assets; each is created when it is accessed."""
        return self.select(())

    def categories(self) -> tuple[str, ...]:
        """Returns the categories in order; category id = index + 1, 0 is background."""
        return self.kinds[: self.count]

    @cached_property
    def category_ids(self) -> dict[str, int]:
        """Each category's id by its name."""
        return {name: index + 1 for index, name in enumerate(self.categories())}

    def stands(self, asset: Asset) -> bool:
        """Returns whether an object has an upright pose to rest in, with z up."""
        return asset.category != "abstract"

    @property
    def jointed(self) -> bool:
        """Whether it has objects with joints."""
        return not set(JOINTED).isdisjoint(self.categories())

    def gait(self, category: str) -> Literal["swim", "walk"] | None:
        """Returns how objects of a category move; None if they have no skeletons."""
        return GAITS.get(category)

    def counts(self) -> dict[str, int]:
        """Returns how many objects each category has."""
        kinds = len(self.kinds)
        return {
            name: self.count // kinds + (index < self.count % kinds)
            for index, name in enumerate(self.categories())
        }

    def index(self, asset_id: str) -> int:
        """Returns an object's number.

        Raises:
          KeyError: there is no such object.
        """
        digits = asset_id.rpartition("_")[2]
        if digits.isascii() and digits.isdigit() and len(digits) <= 20:
            number = int(digits)
            if number < self.count and self.id(number) == asset_id:
                return number
        raise KeyError(asset_id)

    def id(self, number: int) -> str:
        """Returns an object's id by its number."""
        return f"{self.kind(number)}_{number:0{_DIGITS}d}"

    def kind(self, number: int) -> str:
        """Returns an asset's category, or an environment's kind, by its number."""
        return self.kinds[number % len(self.kinds)]

    def asset(self, number: int) -> Asset:
        """Returns an object by its number."""
        design = self.design(number)
        half = [side / 2 for side in self.sides(number)]
        lower: Vector = (-half[0], -half[1], -half[2])
        return Asset(
            id=self.id(number),
            category=self.kind(number),
            bounds=(lower, (half[0], half[1], half[2])),
            joints=design.joints if design else (),
        )

    def design(self, number: int) -> Design | None:
        """Returns the measures of an object with joints, None of others."""
        kind = self.kind(number)
        if kind not in JOINTED:
            return None
        return designed(kind, f"{self.generator}/{self.seed}/{number}/{kind}")

    def sides(self, number: int) -> Vector:
        """Returns the sides of an object's bounding box; the longest is 1.

        In steps of 2e-4, so that half of each has few digits in a mesh file.
        """
        design = self.design(number)
        if design is not None:
            return design.sides
        width, height, depth = (
            low + (high - low) * self._draw(number, axis)
            for axis, (low, high) in enumerate(_SIDES[self.kind(number)])
        )
        sides = width, width * depth, height
        x, y, z = (round(5000 * side / max(sides)) / 5000 for side in sides)
        return x, y, z

    def _draw(self, number: int, axis: int) -> float:
        """Returns a number in [0, 1): by integers alone, so the same everywhere."""
        text = f"{self.generator}/{self.seed}/{number}/{axis}"
        digest = hashlib.sha256(text.encode()).digest()
        return int.from_bytes(digest[:6], "big") / (1 << 48)

    def select(self, categories: Sequence[str]) -> ProceduralSelection:
        """Returns the objects of some categories, or of all if none is named."""
        kinds = range(len(self.kinds))
        wanted = tuple(
            k for k in kinds if not categories or self.kinds[k] in categories
        )
        rows, rest = divmod(self.count, len(self.kinds))
        many = rows * len(wanted) + sum(kind < rest for kind in wanted)
        return ProceduralSelection(self, wanted, range(many))

    def identifying(self, *, clips: bool = False) -> Iterator[dict[str, Any]]:
        """Returns what of it is part of a dataset's identity; it has no clips."""
        yield {
            "procedural": {
                "generator": self.generator,
                "seed": self.seed,
                "count": self.count,
            }
            | ({"categories": self.named} if self.named else {})
        }


ENVIRONMENTS_VERSION = 2
"""Of the generator of environments."""


@dataclass(frozen=True, kw_only=True)
class ProceduralEnvironments(ProceduralCatalog):
    """A catalog of HDRIs that are made when a scene needs them.

    Environment n has the kind n modulo the number of kinds.
    """

    name: str = "procedural_environments"
    generator: int = ENVIRONMENTS_VERSION
    KINDS: ClassVar[tuple[str, ...]] = (
        "street",
        "park",
        "lounge",
        "plaza",
        "meadow",
        "gallery",
        "beach",
        "suburb",
        "office",
        "forest",
        "car_park",
        "sports_hall",
        "desert",
        "rooftop",
        "library",
        "winter",
        "courtyard",
        "warehouse",
    )
    PREFIX: ClassVar[str] = f"{PREFIX}environments:"
    VERSION: ClassVar[int] = ENVIRONMENTS_VERSION

    def asset(self, number: int) -> Asset:
        """Returns an environment by its number."""
        return Asset(id=self.id(number))


class ProceduralSelection(Sequence[Asset]):
    """A selection of a procedural catalog's objects, created on access."""

    def __init__(
        self, catalog: ProceduralCatalog, kinds: tuple[int, ...], places: range
    ):
        """See `ProceduralCatalog.select`.

        Args:
          catalog: the catalog.
          kinds: indices of the categories, in order.
          places: the positions in the sequence of all objects of these categories.
        """
        self._catalog, self._kinds, self._places = catalog, kinds, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Asset: ...

    @overload
    def __getitem__(self, index: slice) -> ProceduralSelection: ...

    def __getitem__(self, index: int | slice) -> Asset | ProceduralSelection:
        if isinstance(index, slice):
            return ProceduralSelection(self._catalog, self._kinds, self._places[index])
        row, column = divmod(self._places[index], len(self._kinds))
        number = row * len(self._catalog.kinds) + self._kinds[column]
        return self._catalog.asset(number)

    def has(self, asset_id: str) -> bool:
        """Returns whether the selection contains an object of this id."""
        try:
            number = self._catalog.index(asset_id)
        except KeyError:
            return False
        row, kind = divmod(number, len(self._catalog.kinds))
        if kind not in self._kinds:
            return False
        return row * len(self._kinds) + self._kinds.index(kind) in self._places
