"""Kubric's AssetSource, fetching from strangers' archives with care."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import kubric as kb
from etils import epath

from .errors import AssetError

KEEP = 16  # assets that stay unpacked from scene to scene


class Assets(kb.AssetSource):
    """An AssetSource that unpacks plain files only, and only into its own folder."""

    _fetched: dict[str, None]

    @classmethod
    def open(cls, manifest: str, scratch: Path) -> Assets:
        """Reads a manifest; what is fetched is kept under `scratch`."""
        assets = cls.from_manifest(manifest, scratch_dir=str(scratch))
        # In the order of their last use: a dictionary keeps it.
        assets._fetched = {}
        return assets

    def create(self, asset_id: str, add_metadata: bool = True, **kwargs: Any) -> Any:
        """Makes the asset, fetching it at first use.

        Raises:
          AssetError: it is not in the manifest or cannot be fetched or unpacked.
        """
        if asset_id not in self._assets:
            raise AssetError(asset_id, f"not in the manifest of {self.name}")
        try:
            return super().create(asset_id, add_metadata, **kwargs)
        except (OSError, tarfile.TarError, EOFError) as error:
            raise AssetError(asset_id, f"cannot be fetched: {error}") from error

    def trim(self) -> None:
        """Drops all but the last fetched assets; for when no scene uses any."""
        for asset_id in list(self._fetched)[:-KEEP]:
            del self._fetched[asset_id]
            shutil.rmtree(self.local_dir / asset_id, ignore_errors=True)

    def fetch(self, asset_path: Any, asset_id: str) -> Path:
        """Copies an archive and unpacks it; gives the folder."""
        folder = self.local_dir / asset_id
        self._fetched[asset_id] = self._fetched.pop(asset_id, None)
        if not folder.exists():
            archive = self.local_dir / f"{asset_id}.tar.gz"
            archive.parent.mkdir(parents=True, exist_ok=True)
            epath.Path(asset_path).copy(archive, overwrite=True)
            unpacked = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(unpacked, ignore_errors=True)
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(unpacked, filter="data")
            archive.unlink()
            # Kubric knows flat archives and those with one folder named by the id.
            nested = unpacked / Path(asset_id).name
            (nested if nested.is_dir() else unpacked).rename(folder)
        return folder
