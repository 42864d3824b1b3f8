"""Assets by their ids, fetched from strangers' archives with care.

A manifest says where an archive lies and which of its files to open; nothing else
that it says reaches Kubric or Blender.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubric as kb

from dyso.assets.manifest import is_inside, read_manifest
from dyso.storage import Folder, LocalFolder, open_folder

from .archives import MAX_BYTES, unpack
from .errors import AssetError, StorageError, is_machines
from .references import check_references

KEEP = 16  # assets that stay unpacked from scene to scene

_IN_ASSET = "{asset_dir}/"
_AXES = ("X", "Y", "Z", "-X", "-Y", "-Z")


class Assets:
    """The assets of one manifest."""

    def __init__(
        self, location: str, entries: Mapping[str, Any], data: Folder, own: Path
    ):
        """See `open`.

        Args:
          location: the manifest, for errors.
          entries: its table `assets`.
          data: where archives lie.
          own: a folder of our own.
        """
        self._location, self._entries, self._data = location, entries, data
        self._own = own
        # In the order of their last use: a dictionary keeps it.
        self._folders: dict[str, Path] = {}

    @classmethod
    def open(cls, location: str, scratch: Path) -> Assets:
        """Reads a manifest; what is fetched is kept under `scratch`.

        Raises:
          UserError: it cannot be read, is not a manifest, or names no place for data.
        """
        manifest = read_manifest(location)
        bucket = "://" in location
        beside = location.rpartition("/")[0] if bucket else Path(location).parent
        data = open_folder(manifest.get("data_dir") or beside)
        own = Path(tempfile.mkdtemp(prefix="assets-", dir=scratch)).resolve()
        return cls(location, manifest["assets"], data, own)

    def create(self, asset_id: str, **kwargs: Any) -> Any:
        """Makes Kubric's object or texture, fetching its files at first use.

        Args:
          asset_id: its key in the manifest.
          kwargs: for Kubric.

        Raises:
          AssetError: it is not in the manifest, missing, or not as it should be.
          StorageError: the storage or the disk fails.
        """
        entry = self._entries.get(asset_id)
        if entry is None:
            raise AssetError(asset_id, f"not in the manifest {self._location}")
        described = entry.get("kwargs") if isinstance(entry, dict) else None
        if not isinstance(described, dict):
            raise AssetError(asset_id, "its entry in the manifest has no kwargs")
        folder = self._fetch(asset_id, entry)
        if entry.get("asset_type") == "Texture":
            path = _file(asset_id, folder, described.get("filename"))
            return kb.Texture(filename=str(path), **kwargs)
        mesh = _file(asset_id, folder, described.get("render_filename"))
        check_references(asset_id, mesh, folder)
        item = kb.FileBasedObject(
            asset_id=asset_id,
            render_filename=str(mesh),
            render_import_kwargs=_axes(asset_id, described),
            simulation_filename=None,
            **kwargs,
        )
        item.metadata["folder"] = str(folder)
        return item

    def trim(self) -> None:
        """Drops all but the last fetched assets; for when no scene uses any."""
        for asset_id in list(self._folders)[:-KEEP]:
            shutil.rmtree(self._folders.pop(asset_id), ignore_errors=True)

    def close(self) -> None:
        """Drops all."""
        shutil.rmtree(self._own, ignore_errors=True)

    def _fetch(self, asset_id: str, entry: dict[str, Any]) -> Path:
        """Copies an archive and unpacks it, once; gives the folder."""
        folder = self._folders.pop(asset_id, None)
        if folder is None:
            # Not by its id, which may be anything.
            name = hashlib.sha256(asset_id.encode(errors="surrogatepass")).hexdigest()
            folder = self._own / name[:32]
            self._unpack(asset_id, entry, folder)
        self._folders[asset_id] = folder
        return folder

    def _unpack(self, asset_id: str, entry: dict[str, Any], folder: Path) -> None:
        name = entry.get("path") or f"{asset_id}.tar.gz"
        if not isinstance(name, str) or not is_inside(name):
            raise AssetError(asset_id, f"its path {name!r} is outside the data folder")
        metadata = entry.get("metadata")
        checksum = metadata.get("sha256") if isinstance(metadata, dict) else None
        unpacked = folder.with_suffix(".part")
        try:
            size = self._data.size(name)
            if size is None:
                raise AssetError(asset_id, f"there is no {name} in {self._data}")
            if size > MAX_BYTES:
                raise AssetError(asset_id, f"{name} has more than {MAX_BYTES} bytes")
            with self._data.fetch(name) as archive:
                # What waits for ever, or never ends, must not be opened.
                if not archive.is_file():
                    raise AssetError(asset_id, f"{name} is not a file")
                unpack(asset_id, archive, unpacked, str(checksum or ""))
            # Kubric knows flat archives and those with one folder named by the id.
            nested = unpacked / Path(asset_id).name
            (nested if nested.is_dir() else unpacked).rename(folder)
        except (OSError, ValueError) as error:
            # On a disk, a file alone may be to blame; of a bucket it would be said.
            if is_machines(error) or not isinstance(self._data, LocalFolder):
                raise StorageError(f"{self._data}/{name}: {error}") from error
            raise AssetError(asset_id, f"cannot be fetched: {error}") from error
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)


def _file(asset_id: str, folder: Path, name: Any) -> Path:
    """Gives the path of a file that the manifest names as `{asset_dir}/...`."""
    if not isinstance(name, str) or not name.startswith(_IN_ASSET):
        raise AssetError(
            asset_id, f"{name!r} is not a name such as {_IN_ASSET}mesh.obj"
        )
    inner = name.removeprefix(_IN_ASSET)
    if not is_inside(inner):
        raise AssetError(asset_id, f"its file {inner!r} is outside its folder")
    if not (folder / inner).is_file():
        raise AssetError(asset_id, f"has no file {inner}")
    return folder / inner


def _axes(asset_id: str, described: dict[str, Any]) -> dict[str, str]:
    """Gives the importer's options that count."""
    wanted = described.get("render_import_kwargs") or {}
    if not isinstance(wanted, dict):
        raise AssetError(asset_id, "its render_import_kwargs are not a table")
    axes = {
        name: wanted.get(name, default)
        for name, default in (("axis_forward", "-Z"), ("axis_up", "Y"))
    }
    forward, up = axes.values()
    if not (forward in _AXES and up in _AXES) or forward[-1] == up[-1]:
        raise AssetError(asset_id, f"its axes {forward!r} and {up!r} are not two axes")
    return axes
