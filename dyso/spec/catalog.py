"""Catalogs: what sampling and identity need to know of assets, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from dyso.spec.asset import Asset


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
        """Returns False: a manifest does not say which objects have an upright pose."""
        return False

    @property
    def jointed(self) -> bool:
        """Whether it has objects with joints."""
        return any(asset.joints for asset in self.assets)

    def gait(self, category: str) -> Literal["swim", "walk"] | None:
        """Returns None: the objects of a manifest have no skeletons."""
        return None

    def counts(self) -> dict[str, int]:
        """Returns how many assets each category has."""
        return dict(Counter(asset.category for asset in self.assets))

    def identifying(self, *, clips: bool = False) -> Iterator[dict[str, Any]]:
        """Yields what enters a dataset's identity: the number of assets, then each.

        Args:
          clips: whether the dataset plays clips; if not, they are left out, as from
            catalogs that were made before there were any.
        """
        yield {"assets": len(self.assets)}
        for asset in self.assets:
            values = asdict(asset)
            # Catalogs without joints keep the identity that they always had.
            if not asset.joints:
                del values["joints"]
            if not (clips and asset.clips):
                del values["clips"], values["rest"]
            yield values
