"""Catalogs: what sampling and identity need to know of assets, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, reduce
from operator import getitem
from typing import Any

from dyso.spec.asset import Asset
from dyso.spec.asset import Vector as Vector
from dyso.spec.cameras import Cameras, Handheld, Rig
from dyso.spec.dynamics import Dynamics
from dyso.spec.errors import SpecError
from dyso.spec.procedural import ProceduralCatalog, Selection
from dyso.spec.renamed import FORMER, rename
from dyso.spec.schema import Backgrounds, Procedural, Spec

# Settings that came after the first datasets: at these values they are no part of the
# identity, or it would be another for the same data. In this order, so that a section
# is compared without what came after it.
_HANDHELD = {k: v for k, v in asdict(Handheld()).items() if k != "baseline"}
_LATER: dict[tuple[str, ...], Any] = {
    ("backgrounds", "assets"): Backgrounds.assets,
    ("objects", "procedural"): asdict(Procedural()),
    ("dynamics", "motion"): Dynamics.motion,
    ("dynamics", "travel"): Dynamics.travel,
    ("dynamics", "turn"): Dynamics.turn,
    ("dynamics", "drop"): Dynamics.drop,
    ("dynamics", "speed"): Dynamics.speed,
    ("dynamics", "spin"): Dynamics.spin,
    ("dynamics", "frame_rate"): Dynamics.frame_rate,
    ("cameras", "paired"): Cameras.paired,
    ("cameras", "held_out"): Cameras.held_out,
    ("cameras", "patterns", "handheld", "baseline"): Handheld.baseline,
    ("cameras", "patterns", "handheld"): _HANDHELD,
    ("cameras", "patterns", "rig"): asdict(Rig()),
}
_Division = tuple[Sequence[Asset], Sequence[Asset]]


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The assets of one manifest, in the order of their ids.

    Attributes:
      name: the manifest's name.
      manifest: where the worker finds the manifest; no part of the identity.
      assets: sorted by id.
    """

    name: str
    manifest: str
    assets: tuple[Asset, ...]

    def categories(self) -> tuple[str, ...]:
        """Returns the sorted categories; category id = index + 1, 0 is background."""
        return tuple(sorted({asset.category for asset in self.assets}))

    @cached_property
    def category_ids(self) -> dict[str, int]:
        """Each category's id by its name."""
        return {name: index + 1 for index, name in enumerate(self.categories())}

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {asset.id: index for index, asset in enumerate(self.assets)}

    def index(self, asset_id: str) -> int:
        """Returns an asset's place in the catalog.

        Raises:
          KeyError: there is no such asset.
        """
        return self._indices[asset_id]

    def stands(self, asset: Asset) -> bool:
        """Says whether an object has an up that it rests with; of none is it known."""
        return False

    def counts(self) -> dict[str, int]:
        """Returns how many assets each category has."""
        return dict(Counter(asset.category for asset in self.assets))

    def identifying(self) -> Iterator[dict[str, Any]]:
        """Returns what of it is part of a dataset's identity: a head, then assets."""
        yield {"assets": len(self.assets)}
        yield from map(asdict, self.assets)


@dataclass(frozen=True, kw_only=True)
class ResolvedSpec:
    """A spec together with the catalogs that it names: all that decides a dataset.

    What is costly for a large catalog is computed once and kept.
    """

    spec: Spec
    objects: Catalog | ProceduralCatalog
    backgrounds: Catalog

    @cached_property
    def hash(self) -> str:
        """The dataset's identity: 16 hex digits.

        Covers every field of the spec but those that no scene depends on (description,
        max_failed), and every asset's id, category, bounds and checksum; not where the
        assets are kept.
        """
        digest = hashlib.sha256()
        # A large catalog is never whole in memory a second time.
        for value in self._identifying():
            digest.update(json.dumps(value).encode())
        return digest.hexdigest()[:16]

    def _identifying(self) -> Iterator[dict[str, Any]]:
        spec = asdict(self.spec)
        del spec["description"], spec["max_failed"]
        for section in ("objects", "backgrounds"):
            del spec[section]["catalog"]
        for (*sections, name), value in _LATER.items():
            inner = reduce(getitem, sections, spec)
            if inner[name] == value:
                del inner[name]
        rename(spec, FORMER)
        spec["splits"] = dict(sorted(spec["splits"].items()))
        yield spec
        for catalog in (self.objects, self.backgrounds):
            yield from catalog.identifying()

    def identity(self) -> dict[str, Any]:
        """Returns what `hash` covers, as JSON values in a fixed order."""
        procedural = isinstance(self.objects, ProceduralCatalog)
        return {
            "spec": next(self._identifying()),
            "objects": [*self.objects.identifying()][not procedural :],
            "backgrounds": [*self.backgrounds.identifying()][1:],
        }

    def objects_of(self, split: str) -> Sequence[Asset]:
        """Returns the objects of the spec's categories that a split may show.

        Raises:
          SpecError: the spec leaves a split without objects.
        """
        return self._objects[split != "train"]

    def backgrounds_of(self, split: str) -> Sequence[Asset]:
        """Returns the HDRIs named by the spec that a split may show.

        Raises:
          SpecError: the spec leaves a split without backgrounds.
        """
        return self._backgrounds[split != "train"]

    def may_show(self, split: str, asset_id: str) -> bool:
        """Says whether an object is among those of a split."""
        objects = self.objects_of(split)
        if isinstance(objects, Selection):
            return objects.has(asset_id)
        return any(asset.id == asset_id for asset in objects)

    @cached_property
    def _objects(self) -> _Division:
        wanted = set(self.spec.objects.categories)
        if isinstance(self.objects, ProceduralCatalog):
            few = self.objects.select(self.spec.objects.categories)
            return self._divide("objects", few, self.spec.objects.held_out)
        selected = [
            a for a in self.objects.assets if not wanted or a.category in wanted
        ]
        return self._divide("objects", selected, self.spec.objects.held_out)

    @cached_property
    def _backgrounds(self) -> _Division:
        wanted = set(self.spec.backgrounds.assets)
        selected = [a for a in self.backgrounds.assets if not wanted or a.id in wanted]
        return self._divide("backgrounds", selected, self.spec.backgrounds.held_out)

    def _divide(
        self, section: str, assets: Sequence[Asset], held_out: float
    ) -> _Division:
        """Divides assets, in an order that the seed decides, for train and the others.

        The order is that of hashes, so an asset more or less moves few of the others.
        """
        train = "train" in self.spec.splits
        others = len(self.spec.splits) > train
        count = 0
        if held_out:
            count = max(round(held_out * len(assets)), int(others))
            count = min(count, len(assets) - train)
        if not assets or (held_out and others and not count):
            problem = (
                f"{held_out:g} leaves a split without assets: {len(assets)} to choose "
                "from; use a larger catalog or held_out: 0"
            )
            raise SpecError([(f"{section}.held_out", problem)])
        if isinstance(assets, Selection):
            # Each is drawn alone, so that the last are as good a choice as any.
            first = len(assets) - count
            return (assets[:first], assets[first:]) if count else (assets, assets)
        if not count:
            return tuple(assets), tuple(assets)
        order = sorted(assets, key=lambda a: _digest(self.spec.seed, section, a.id))
        return tuple(order[count:]), tuple(order[:count])


def _digest(seed: int, section: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{section}/{name}".encode()).digest()
