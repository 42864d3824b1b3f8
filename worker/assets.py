"""Fetches assets by their ids from untrusted archives.

A manifest says where an archive lies and which of its files to open; nothing else
that it says reaches Kubric or Blender.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyso.assets.cache import cache_bytes, cache_folder
from dyso.assets.environments.surfaces import Ground
from dyso.assets.manifest import is_inside, mesh_kind, read_manifest
from dyso.assets.procedural.model import Made
from dyso.spec import ProceduralCatalog, ProceduralEnvironments, UserError
from dyso.storage import LocalFolder, ReadOnlyFolder, open_readonly

from .archives import MAX_BYTES, unpack
from .cache import Cache, Lease
from .errors import AssetError, StorageError, blamed, is_machine_fault, quote
from .gltf_animation import AnimatedMesh
from .plain_files import plain_file
from .untrusted_gltf import read_gltf
from .untrusted_meshes import clean_copy, read_mesh

_IN_ASSET = "{asset_dir}/"
_AXES = ("X", "Y", "Z", "-X", "-Y", "-Z")


def open_cache() -> Cache:
    """Opens this machine's cache of assets.

    If the cache cannot be written, as in a container, a temporary folder is used; in a
    worker, it is removed with the worker's scratch folder.

    Raises:
      UserError: neither can be written, or `DYSO_CACHE_SIZE` is not a size.
    """
    folder, most = cache_folder() / "assets", cache_bytes()
    with contextlib.suppress(OSError):
        return Cache(folder, most)
    private = Path(tempfile.gettempdir()) / f"dyso-assets-{os.getuid()}"
    try:
        private.mkdir(mode=0o700, exist_ok=True)
        # Other users may write to the parent, and create a folder with this name.
        if private.lstat().st_uid == os.getuid() and not private.is_symlink():
            return Cache(private, most)
    except OSError as error:
        raise UserError(
            f"{private}: cannot write the cache: {error.strerror}; "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    raise UserError(f"{private}: is another user's; set XDG_CACHE_HOME to a folder")


class Assets:
    """The assets of one manifest."""

    def __init__(
        self,
        location: str,
        entries: Mapping[str, Any],
        data: ReadOnlyFolder,
        cache: Cache,
    ):
        """See `open`.

        Args:
          location: the manifest, for errors.
          entries: its table `assets`.
          data: the folder of the archives.
          cache: the cache into which they are unpacked.
        """
        self._location, self._entries, self._data = location, entries, data
        self._cache = cache
        self._leases: dict[str, Lease] = {}
        self._copies: list[Path] = []

    @classmethod
    def open(cls, location: str) -> Assets:
        """Reads a manifest.

        Raises:
          UserError: it cannot be read, is not a manifest, or names no place for data;
            see also `open_cache`.
        """
        if location.startswith(ProceduralCatalog.PREFIX):
            from .procedural import MadeAssets, MadeEnvironments

            environments = location.startswith(ProceduralEnvironments.PREFIX)
            made = MadeEnvironments if environments else MadeAssets
            return made(location, open_cache())
        manifest = read_manifest(location)
        remote = "://" in location
        beside = location.rpartition("/")[0] if remote else Path(location).parent
        data = open_readonly(manifest.get("data_dir") or beside)
        return cls(location, manifest["assets"], data, open_cache())

    @property
    def makes(self) -> bool:
        """Whether objects are made from numbers."""
        return False

    def create(self, asset_id: str, *, animated: bool = False, **kwargs: Any) -> Any:
        """Creates Kubric's object or texture; fetches its files at first use.

        The files stay available until `release`.

        Args:
          asset_id: its key in the manifest.
          animated: create the flattened mesh of an animated glTF, in which the vertices
            of `animated` have their numbers.
          kwargs: arguments for Kubric's constructor.

        Raises:
          AssetError: the asset is not in the manifest, is missing, or is invalid.
          StorageError: the storage or the disk fails.
          OSError: the scratch folder is full or gone.
        """
        import kubric as kb

        entry = self._entry(asset_id)
        folder = self._fetch(asset_id, entry)
        # An error here is the scratch folder's, which the caller examines.
        self._copies.append(Path(tempfile.mkdtemp(prefix="mesh-")))
        copy = self._copies[-1] / "copy"
        file = _opened(asset_id, entry, folder, copy, animated=animated)
        if entry.get("asset_type") == "Texture":
            return kb.Texture(filename=str(file), **kwargs)
        return kb.FileBasedObject(
            asset_id=asset_id,
            render_filename=str(file),
            render_import_kwargs=_axes(asset_id, entry["kwargs"]),
            simulation_filename=None,
            **kwargs,
        )

    def animated(self, asset_id: str) -> AnimatedMesh:
        """Returns the animated mesh of a glTF, fetched at first use.

        Raises:
          AssetError: it is no glTF, or cannot be animated; also as `create`.
          StorageError: the storage or the disk fails.
        """
        entry = self._entry(asset_id)
        folder = self._fetch(asset_id, entry)
        file = _file(asset_id, folder, entry["kwargs"].get("render_filename"))
        if mesh_kind(file.name) not in (".glb", ".gltf"):
            raise AssetError(asset_id, f"{quote(file.name)} is no glTF, has no clips")
        try:
            data = read_mesh(asset_id, file)
            return AnimatedMesh(read_gltf(asset_id, file, folder, data))
        except OSError as error:
            raise blamed(asset_id, "cannot be read", error) from error

    def made(self, asset_id: str) -> Made | None:
        """Returns an object made from numbers that has a skeleton or joints."""
        return None

    def ground(self, asset_id: str) -> tuple[Ground, float] | None:
        """Returns `environments.ground` of an environment made from numbers."""
        return None

    def release(self) -> None:
        """Releases all files; call it when no scene uses any."""
        while self._copies:
            shutil.rmtree(self._copies.pop(), ignore_errors=True)
        while self._leases:
            self._leases.popitem()[1].close()

    def prefetch(self, asset_id: str) -> None:
        """Fetches an asset's files into the cache; raises the errors of `create`."""
        self._fetch(asset_id, self._entry(asset_id))
        self.release()

    def verify(self, asset_id: str) -> None:
        """Fetches an asset anew, past the cache, and checks it; raises as `create`."""
        entry = self._entry(asset_id)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary).resolve() / "asset"
            self._unpack(asset_id, entry, folder)
            copy = Path(temporary) / "copy"
            metadata = entry.get("metadata") or {}
            animated = bool(metadata.get("animation") or metadata.get("joints"))
            folder = _flat(asset_id, folder)
            _opened(asset_id, entry, folder, copy, animated=animated)

    def _entry(self, asset_id: str) -> dict[str, Any]:
        entry = self._entries.get(asset_id)
        if entry is None:
            raise AssetError(asset_id, f"not in the manifest {self._location}")
        if not isinstance(entry, dict) or not isinstance(entry.get("kwargs"), dict):
            raise AssetError(asset_id, "its entry in the manifest has no kwargs")
        return entry

    def _fetch(self, asset_id: str, entry: dict[str, Any]) -> Path:
        """Returns the folder of an asset's files, and unpacks them if necessary."""
        if asset_id not in self._leases:
            try:
                key = self._key(asset_id, entry)
                self._leases[asset_id] = self._cache.take(
                    key, lambda folder: self._unpack(asset_id, entry, folder)
                )
            except OSError as error:
                raise StorageError(f"the cache of assets: {error}") from error
        return _flat(asset_id, self._leases[asset_id].folder.resolve())

    def _key(self, asset_id: str, entry: dict[str, Any]) -> str:
        """Returns the checksum or, without one, a hash that identifies the file."""
        checksum = _checksum(asset_id, entry)
        if checksum:
            return checksum
        name = _archive(asset_id, entry)
        version = [str(self._data), name, self._size(asset_id, name)]
        if isinstance(self._data, LocalFolder):
            version.append(os.stat(self._data.path / name).st_mtime_ns)
        text = repr(version).encode(errors="surrogatepass")
        return hashlib.sha256(text).hexdigest()

    def _size(self, asset_id: str, name: str) -> int:
        try:
            size = self._data.size(name)
        except (OSError, ValueError) as error:
            raise self._blamed(asset_id, name, error) from error
        if size is None:
            raise AssetError(asset_id, f"there is no {name} in {self._data}")
        if size > MAX_BYTES:
            raise AssetError(asset_id, f"{name} has more than {MAX_BYTES} bytes")
        return size

    def _unpack(self, asset_id: str, entry: dict[str, Any], folder: Path) -> None:
        """Copies an archive and unpacks it into a new folder."""
        name = _archive(asset_id, entry)
        self._size(asset_id, name)
        try:
            with self._data.fetch(name) as archive:
                # What waits for ever, or never ends, must not be opened.
                if not archive.is_file():
                    raise AssetError(asset_id, f"{name} is not a file")
                unpack(asset_id, archive, folder, _checksum(asset_id, entry))
        except (OSError, ValueError) as error:
            raise self._blamed(asset_id, name, error) from error

    def _blamed(self, asset_id: str, name: str, error: Exception) -> Exception:
        place = f"{self._data}/{name}"
        # On a disk, the error may concern one file; a bucket would report that.
        if not isinstance(self._data, LocalFolder):
            return StorageError(f"{place}: {error}")
        return blamed(asset_id, "cannot be fetched", error, place)


def _checksum(asset_id: str, entry: dict[str, Any]) -> str:
    metadata = entry.get("metadata")
    checksum = metadata.get("sha256") if isinstance(metadata, dict) else None
    checksum = str(checksum or "")
    # The checksum becomes the name of a folder.
    if checksum and not re.fullmatch("[0-9a-f]{64}", checksum):
        raise AssetError(asset_id, f"its sha256 is {quote(checksum)}, not one")
    return checksum


def _archive(asset_id: str, entry: dict[str, Any]) -> str:
    name = entry.get("path") or f"{asset_id}.tar.gz"
    if not isinstance(name, str) or not is_inside(name):
        raise AssetError(asset_id, f"its path {quote(name)} is outside the data folder")
    return name


def _flat(asset_id: str, folder: Path) -> Path:
    """Returns the asset's folder: Kubric's archives are flat or have one top folder."""
    nested = folder / Path(asset_id).name
    return nested if os.path.isdir(nested) else folder


def _opened(
    asset_id: str,
    entry: dict[str, Any],
    folder: Path,
    copy: Path,
    *,
    animated: bool = False,
) -> Path:
    """Returns the file that an asset is opened by: a mesh's clean copy, in `copy`."""
    if entry.get("asset_type") == "Texture":
        return _file(asset_id, folder, entry["kwargs"].get("filename"))
    file = _file(asset_id, folder, entry["kwargs"].get("render_filename"))
    try:
        return clean_copy(asset_id, file, folder, copy, animated=animated)
    except OSError as error:
        # A full scratch folder is no fault of the asset, nor of its storage.
        if is_machine_fault(error):
            raise
        raise blamed(asset_id, "cannot be read", error) from error


def _file(asset_id: str, folder: Path, name: Any) -> Path:
    """Returns the path of a file that the manifest names as `{asset_dir}/...`.

    The prefix may be missing, as in Kubric's manifest of HDRIs.
    """
    if not isinstance(name, str):
        raise AssetError(
            asset_id, f"{quote(name)} is not a name such as {_IN_ASSET}mesh.obj"
        )
    inner = name.removeprefix(_IN_ASSET)
    if not is_inside(inner):
        raise AssetError(asset_id, f"its file {quote(inner)} is outside its folder")
    if plain_file(folder, folder / inner) is None:
        raise AssetError(asset_id, f"has no file {quote(inner)}")
    return folder / inner


def _axes(asset_id: str, described: dict[str, Any]) -> dict[str, str]:
    """Returns the importer options that are used.

    Kubric reverts its importer's rotation, so z is up by default.
    """
    wanted = described.get("render_import_kwargs") or {}
    if not isinstance(wanted, dict):
        raise AssetError(asset_id, "its render_import_kwargs are not a table")
    axes = {
        name: wanted.get(name, default)
        for name, default in (("axis_forward", "Y"), ("axis_up", "Z"))
    }
    forward, up = axes.values()
    if not (forward in _AXES and up in _AXES) or forward[-1] == up[-1]:
        raise AssetError(
            asset_id, f"its axes {quote(forward)} and {quote(up)} are not two axes"
        )
    return axes
