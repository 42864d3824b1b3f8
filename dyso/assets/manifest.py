"""Kubric asset manifests, read as catalogs of plain data.

A manifest is JSON: `{"name", "data_dir", "assets": {id: {"asset_type", "kwargs",
"metadata", "path", "license", ...}}}`, as Kubric's `AssetSource.from_manifest` reads
it. `gs://` and `s3://` addresses are read through `etils.epath`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyso.spec import Asset, Catalog, UserError


def read_manifest(location: str) -> dict[str, Any]:
    """Reads a manifest.

    Args:
      location: a path, or a `gs://` or `s3://` address.

    Raises:
      UserError: it cannot be read or is not a manifest.
    """
    try:
        manifest = json.loads(_read(location))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{location}: cannot read this manifest: {reason}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("assets"), dict):
        raise UserError(f"{location}: not an asset manifest: it has no table `assets`")
    return manifest


def _read(location: str) -> bytes:
    if location.startswith(("http://", "https://")):
        raise UserError(
            f"{location}: assets are not fetched from web servers; "
            "download them, or name a gs:// address"
        )
    if "://" in location:
        from etils import epath

        return epath.Path(location).read_bytes()
    return Path(location).read_bytes()


def read_catalog(location: str, asset_type: str) -> Catalog:
    """Reads the assets of one type from a manifest.

    Args:
      location: see `read_manifest`.
      asset_type: `FileBasedObject` for objects, `Texture` for HDRIs.

    Raises:
      UserError: see `read_manifest`; also an object without bounds, and a manifest
        with none of these assets.
    """
    manifest = read_manifest(location)
    assets = tuple(
        _asset(location, asset_id, entry)
        for asset_id, entry in sorted(manifest["assets"].items())
        if isinstance(entry, Mapping) and entry.get("asset_type") == asset_type
    )
    if not assets:
        raise UserError(f"{location}: has no assets of type {asset_type}")
    catalog = Catalog(
        name=str(manifest.get("name", Path(location).stem)),
        manifest=str(Path(location).resolve()) if "://" not in location else location,
        assets=assets,
    )
    if len(catalog.categories()) > 255:
        raise UserError(
            f"{location}: has {len(catalog.categories())} categories; "
            "category images hold at most 255"
        )
    return catalog


def _asset(location: str, asset_id: str, entry: Mapping[str, Any]) -> Asset:
    metadata = entry.get("metadata") or {}
    kwargs = entry.get("kwargs") or {}
    bounds = kwargs.get("bounds", ((0, 0, 0), (0, 0, 0)))
    try:
        lower, upper = (tuple(float(x) for x in corner) for corner in bounds)
        assert len(lower) == len(upper) == 3
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(
            f"{location}: {asset_id}: bounds must be two corners of three numbers"
        ) from error
    if (
        entry["asset_type"] == "FileBasedObject"
        and not max(high - low for low, high in zip(lower, upper, strict=True)) > 0
    ):
        raise UserError(f"{location}: {asset_id}: has no bounds above zero size")
    return Asset(
        id=asset_id,
        category=str(metadata.get("category") or ""),
        bounds=(lower, upper),
        textured=bool(metadata.get("textured", True)),
        checksum=str(metadata.get("sha256") or ""),
    )
