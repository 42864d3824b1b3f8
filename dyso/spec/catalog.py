"""Catalogs: what sampling and identity need to know of assets, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dyso.spec.schema import Objects, Spec

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One object or HDRI of a catalog.

    Attributes:
      id: its key in the manifest.
      category: an object's category; empty for an HDRI.
      bounds: an object's axis-aligned bounding box, lower and upper corner, in the
        units of its own mesh; all zero for an HDRI.
      textured: whether it brings its own materials; otherwise one is sampled.
      checksum: sha256 of its content, where the manifest has it; else empty.
    """

    id: str
    category: str = ""
    bounds: tuple[Vector, Vector] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    textured: bool = True
    checksum: str = ""


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
        """Gives the categories in order; category id = index + 1, 0 is background."""
        return tuple(sorted({asset.category for asset in self.assets}))


@dataclass(frozen=True, kw_only=True)
class ResolvedSpec:
    """A spec together with the catalogs that it names: all that decides a dataset."""

    spec: Spec
    objects: Catalog
    backgrounds: Catalog

    @property
    def hash(self) -> str:
        """The dataset's identity: 16 hex digits.

        Covers every field of the spec but its description, and every asset's id,
        category, bounds and checksum; not where the assets are kept.
        """
        return hashlib.sha256(json.dumps(self.identity()).encode()).hexdigest()[:16]

    def identity(self) -> dict[str, Any]:
        """Gives what `hash` covers, as plain JSON-able values in a fixed order."""
        spec = asdict(self.spec)
        del spec["description"]
        for section in ("objects", "backgrounds"):
            del spec[section]["catalog"]
        spec["splits"] = dict(sorted(spec["splits"].items()))
        return {
            "spec": spec,
            "objects": [asdict(asset) for asset in self.objects.assets],
            "backgrounds": [asdict(asset) for asset in self.backgrounds.assets],
        }


def selected_objects(objects: Objects, catalog: Catalog) -> Sequence[Asset]:
    """Gives the catalog's assets that the spec's `categories` let through."""
    wanted = set(objects.categories)
    return [a for a in catalog.assets if not wanted or a.category in wanted]
