"""Objects and environments that are made where others are unpacked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

from dyso.assets import environments, procedural
from dyso.assets.environments.surfaces import Ground
from dyso.assets.procedural.model import Made
from dyso.assets.starter import AXES
from dyso.spec import ProceduralCatalog, ProceduralEnvironments, UserError
from dyso.storage import LocalFolder

from .assets import Assets
from .cache import Cache
from .convert import Converted
from .errors import AssetError

_MESH = "visual_geometry.obj"


class MadeAssets(Assets):
    """The objects of a procedural catalog, made at first use and kept in the cache."""

    CATALOG: ClassVar[type[ProceduralCatalog]] = ProceduralCatalog
    ENTRY: ClassVar[dict[str, Any]] = {
        "asset_type": "FileBasedObject",
        "kwargs": {"render_filename": _MESH, "render_import_kwargs": AXES},
    }

    def __init__(self, location: str, cache: Cache):
        """Reads which catalog it is.

        Args:
          location: `ProceduralCatalog.manifest`.
          cache: the cache that keeps the objects' files.

        Raises:
          UserError: it is of another version of the generator.
        """
        super().__init__(location, {}, LocalFolder("."), cache)
        self._catalog = self.CATALOG.parse(location)
        version = self._catalog.VERSION
        if self._catalog.generator != version:
            raise UserError(f"{location}: this worker's generator is {version}")

    def _entry(self, asset_id: str) -> dict[str, Any]:
        try:
            self._catalog.index(asset_id)
        except KeyError:
            raise AssetError(asset_id, f"not among {self._location}") from None
        return self.ENTRY

    def _key(self, asset_id: str, entry: dict[str, Any]) -> str:
        # An asset does not depend on how many others there are.
        name = self._catalog.PREFIX.rstrip(":").replace(":", "/")
        text = f"{name}/{self._catalog.VERSION}/{self._catalog.seed}/{asset_id}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _unpack(self, asset_id: str, entry: dict[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True)
        number = self._catalog.index(asset_id)
        for name, data in self._files(number).items():
            (folder / name).write_bytes(data)

    @property
    def makes(self) -> bool:
        """Whether objects are made from numbers."""
        return True

    def made(self, asset_id: str) -> Made | None:
        """Returns an object that has a skeleton or joints; None if it has none."""
        number = self._catalog.index(asset_id)
        skeleton = self._catalog.gait(self._catalog.kind(number)) is not None
        if not skeleton and self._catalog.design(number) is None:
            return None
        return procedural.make(self._catalog, number)

    def _files(self, number: int) -> dict[str, bytes]:
        return procedural.make(self._catalog, number).files()


class MadeEnvironments(MadeAssets):
    """The environments of a procedural catalog, likewise."""

    CATALOG = ProceduralEnvironments
    ENTRY: ClassVar[dict[str, Any]] = {
        "asset_type": "Texture",
        "kwargs": {"filename": "{asset_dir}/environment.exr"},
    }

    def ground(self, asset_id: str) -> tuple[Ground, float]:
        """Returns `environments.ground` of an environment."""
        assert isinstance(self._catalog, ProceduralEnvironments)
        return environments.ground(self._catalog, self._catalog.index(asset_id))

    def _files(self, number: int) -> dict[str, bytes]:
        assert isinstance(self._catalog, ProceduralEnvironments)
        return make_environment(self._catalog, number).files


def make_environment(catalog: ProceduralEnvironments, number: int) -> Converted:
    """Makes an environment as a file."""
    from dyso.assets.environments import make

    from .hdri import NAME, encode

    pixels = make(catalog, number)
    return Converted(
        files={NAME: encode(pixels)},
        kwargs=MadeEnvironments.ENTRY["kwargs"],
        metadata={"resolution": [pixels.shape[1], pixels.shape[0]]},
    )
