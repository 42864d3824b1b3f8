"""A spec with its catalogs: its hash (identity), and the assets of each split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, reduce
from operator import getitem
from typing import Any

from dyso.spec.asset import Asset
from dyso.spec.cameras import Cameras, Handheld, Rig
from dyso.spec.catalog import Catalog
from dyso.spec.dynamics import Animate, Articulate, Deform, Dynamics, Gait
from dyso.spec.errors import SpecError
from dyso.spec.procedural import (
    ProceduralCatalog,
    ProceduralEnvironments,
    ProceduralSelection,
)
from dyso.spec.renamed import FORMER, rename
from dyso.spec.schema import Backgrounds, Environments, Procedural, Render, Spec

# Keys that were added after the first datasets were made. At these values they are left
# out of the hash, so those datasets keep their identity. The keys within a section come
# before the section, which is compared without them.
_HANDHELD = {
    k: v for k, v in asdict(Handheld()).items() if k not in ("baseline", "beside")
}
_LATER: dict[tuple[str, ...], Any] = {
    ("twins",): Spec.twins,
    ("backgrounds", "assets"): Backgrounds.assets,
    ("backgrounds", "ground"): Backgrounds.ground,
    ("backgrounds", "rotation"): Backgrounds.rotation,
    ("objects", "procedural"): asdict(Procedural()),
    ("backgrounds", "procedural"): asdict(Environments()),
    ("dynamics", "motion"): Dynamics.motion,
    ("dynamics", "travel"): Dynamics.travel,
    ("dynamics", "turn"): Dynamics.turn,
    ("dynamics", "drop"): Dynamics.drop,
    ("dynamics", "speed"): Dynamics.speed,
    ("dynamics", "spin"): Dynamics.spin,
    ("dynamics", "frame_rate"): Dynamics.frame_rate,
    ("dynamics", "deform"): asdict(Deform()),
    ("dynamics", "gait", "bones"): Gait.bones,
    ("dynamics", "gait"): {k: v for k, v in asdict(Gait()).items() if k != "bones"},
    ("dynamics", "articulate"): asdict(Articulate()),
    ("dynamics", "animate"): asdict(Animate()),
    ("cameras", "paired"): Cameras.paired,
    ("cameras", "azimuth"): Cameras.azimuth,
    ("cameras", "held_out"): Cameras.held_out,
    ("cameras", "patterns", "handheld", "baseline"): Handheld.baseline,
    ("cameras", "patterns", "handheld", "beside"): Handheld.beside,
    ("cameras", "patterns", "handheld"): _HANDHELD,
    ("cameras", "patterns", "rig"): asdict(Rig()),
    ("render", "shortcut"): Render.shortcut,
}
_Division = tuple[Sequence[Asset], Sequence[Asset]]


@dataclass(frozen=True, kw_only=True)
class ResolvedSpec:
    """A spec together with the catalogs that it names: all that decides a dataset.

    Values that are costly for a large catalog are computed once and kept.
    """

    spec: Spec
    objects: Catalog | ProceduralCatalog
    backgrounds: Catalog | ProceduralEnvironments

    @cached_property
    def hash(self) -> str:
        """The dataset's identity: 16 hex digits.

        Covers all fields of the spec except those that no scene depends on
        (description, max_failed), and every asset's id, category, bounds and checksum.
        It does not cover the location of the assets.
        """
        digest = hashlib.sha256()
        # Hashed asset by asset, to save memory for large catalogs.
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
            yield from catalog.identifying(clips=self.spec.animated)

    def identity(self) -> dict[str, Any]:
        """Returns what `hash` covers, as JSON values in a fixed order."""
        objects, backgrounds = (
            [*catalog.identifying(clips=self.spec.animated)][
                isinstance(catalog, Catalog) :
            ]
            for catalog in (self.objects, self.backgrounds)
        )
        return {
            "spec": next(self._identifying()),
            "objects": objects,
            "backgrounds": backgrounds,
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
        """Returns whether an object is among those of a split."""
        objects = self.objects_of(split)
        if isinstance(objects, ProceduralSelection):
            return objects.has(asset_id)
        return any(asset.id == asset_id for asset in objects)

    @cached_property
    def _objects(self) -> _Division:
        wanted = set(self.spec.objects.categories)
        if isinstance(self.objects, ProceduralCatalog):
            selection = self.objects.select(self.spec.objects.categories)
            return self._divide("objects", selection, self.spec.objects.held_out)
        selected = [
            a for a in self.objects.assets if not wanted or a.category in wanted
        ]
        return self._divide("objects", selected, self.spec.objects.held_out)

    @cached_property
    def _backgrounds(self) -> _Division:
        wanted = set(self.spec.backgrounds.assets)
        selected: Sequence[Asset] = self.backgrounds.assets
        if wanted:
            places = sorted(map(self.backgrounds.index, wanted))
            selected = [self.backgrounds.assets[place] for place in places]
        return self._divide("backgrounds", selected, self.spec.backgrounds.held_out)

    def _divide(
        self, section: str, assets: Sequence[Asset], held_out: float
    ) -> _Division:
        """Divides assets between train and the other splits, in an order by the seed.

        The order is that of hashes. Therefore an added or removed asset changes the
        split of few others.
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
        if isinstance(assets, ProceduralSelection):
            # Objects are independent of each other, so the last ones are as good a
            # choice as random ones.
            first = len(assets) - count
            return (assets[:first], assets[first:]) if count else (assets, assets)
        if not count:
            return assets, assets
        order = sorted(assets, key=lambda a: _digest(self.spec.seed, section, a.id))
        return tuple(order[count:]), tuple(order[:count])


def _digest(seed: int, section: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{section}/{name}".encode()).digest()
