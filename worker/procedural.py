"""Objects that are made where others are unpacked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dyso.assets import procedural
from dyso.assets.starter import AXES
from dyso.spec import ProceduralCatalog, UserError
from dyso.spec.procedural import VERSION
from dyso.storage import LocalFolder

from .assets import Assets
from .cache import Cache
from .errors import AssetError

_MESH = "visual_geometry.obj"
_ENTRY = {
    "asset_type": "FileBasedObject",
    "kwargs": {"render_filename": _MESH, "render_import_kwargs": AXES},
}


class MadeAssets(Assets):
    """The objects of a procedural catalog, made at first use and kept in the cache."""

    def __init__(self, location: str, cache: Cache):
        """Reads which catalog it is.

        Args:
          location: `ProceduralCatalog.manifest`.
          cache: the cache that keeps the objects' files.

        Raises:
          UserError: it is of another version of the generator.
        """
        super().__init__(location, {}, LocalFolder("."), cache)
        self._catalog = ProceduralCatalog.parse(location)
        if self._catalog.generator != VERSION:
            raise UserError(f"{location}: this worker's generator is {VERSION}")

    def _entry(self, asset_id: str) -> dict[str, Any]:
        try:
            self._catalog.index(asset_id)
        except KeyError:
            raise AssetError(asset_id, f"not among {self._location}") from None
        return _ENTRY

    def _key(self, asset_id: str, entry: dict[str, Any]) -> str:
        # An object does not depend on how many others there are.
        text = f"procedural/{VERSION}/{self._catalog.seed}/{asset_id}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _unpack(self, asset_id: str, entry: dict[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True)
        number = self._catalog.index(asset_id)
        for name, data in procedural.make(self._catalog, number).files().items():
            (folder / name).write_bytes(data)
