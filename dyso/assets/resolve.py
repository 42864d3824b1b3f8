"""Resolves the catalogs that a spec names to plain data."""

from __future__ import annotations

from pathlib import Path

from dyso.assets import starter
from dyso.assets.manifest import read_catalog
from dyso.spec import Catalog, ResolvedSpec, Spec, SpecError, UserError, load_with

# How to create a catalog, by the type of its assets.
_MAKERS = {
    "FileBasedObject": "`dyso assets shapenet` makes one of a download of "
    "ShapeNetCore.v2, `dyso assets meshes` of other meshes",
    "Texture": "`dyso assets hdris` makes one of a folder of HDRIs",
}


def load(path: str | Path) -> ResolvedSpec:
    """Reads a spec and the catalogs it names; see `resolve`."""
    return load_with(path, lambda spec: resolve(spec, Path(path).parent))


def resolve(spec: Spec, folder: Path) -> ResolvedSpec:
    """Reads the catalogs that a spec names.

    Args:
      spec: the spec.
      folder: where its relative paths start.

    Raises:
      SpecError: a manifest is missing or broken, a category or an HDRI is in none, or
        the held-out share leaves a split without assets.
    """
    catalogs: dict[str, Catalog] = {}
    problems: list[tuple[str, str]] = []
    for section, name, asset_type in (
        ("objects", spec.objects.catalog, "FileBasedObject"),
        ("backgrounds", spec.backgrounds.catalog, "Texture"),
    ):
        try:
            catalogs[section] = _catalog(name, folder, asset_type)
        except UserError as error:
            problems.append((f"{section}.catalog", str(error)))
    for key, wanted, known in (
        ("objects.categories", spec.objects.categories, Catalog.categories),
        ("backgrounds.assets", spec.backgrounds.assets, _ids),
    ):
        catalog = catalogs.get(key.partition(".")[0])
        if catalog and (unknown := sorted(set(wanted) - set(known(catalog)))):
            some = known(catalog)[:60]
            more = " ..." if len(some) < len(known(catalog)) else ""
            text = (
                f"{', '.join(unknown)}: not in the catalog {catalog.name}, "
                f"which has {', '.join(some)}{more}"
            )
            problems.append((key, text))
    if problems:
        raise SpecError(problems)
    resolved = ResolvedSpec(spec=spec, **catalogs)
    for split in spec.splits:
        resolved.objects_of(split), resolved.backgrounds_of(split)
    return resolved


def _ids(catalog: Catalog) -> tuple[str, ...]:
    return tuple(asset.id for asset in catalog.assets)


def manifests(resolved: ResolvedSpec) -> tuple[str, str]:
    """Returns the manifests of a dataset's objects and HDRIs on this machine.

    A job may have been planned on another machine, where the starter assets are
    elsewhere. All other manifests have the same location on every machine.

    Raises:
      UserError: this machine's starter assets are not those of the dataset.
    """
    spec = resolved.spec
    return (
        _manifest(resolved.objects, spec.objects.catalog, "FileBasedObject"),
        _manifest(resolved.backgrounds, spec.backgrounds.catalog, "Texture"),
    )


def _manifest(catalog: Catalog, name: str, asset_type: str) -> str:
    if name != "starter":
        return catalog.manifest
    installed = _catalog(name, Path(), asset_type)
    if installed.assets != catalog.assets:
        raise UserError(
            f"{installed.manifest}: the starter assets of this machine are not those "
            "that the dataset was begun with; install the same versions of bpy and "
            "pybullet on all machines"
        )
    return installed.manifest


def _catalog(name: str, folder: Path, asset_type: str) -> Catalog:
    if name == "starter":
        return read_catalog(str(starter.build()[asset_type]), asset_type)
    location = name if "://" in name else str(folder / name)
    if "://" not in name and not Path(location).is_file():
        raise UserError(
            f"{location}: no such manifest; {_MAKERS[asset_type]} (docs/assets.md); "
            "or write `catalog: starter` for the assets that come with the installation"
        )
    return read_catalog(location, asset_type)
