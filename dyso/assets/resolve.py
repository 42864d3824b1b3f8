"""Turns the catalogs that a spec names into plain data."""

from __future__ import annotations

from pathlib import Path

from dyso.assets import starter
from dyso.assets.manifest import read_catalog
from dyso.spec import (
    Catalog,
    ProceduralCatalog,
    ResolvedSpec,
    Spec,
    UserError,
    load_spec,
)
from dyso.spec.procedural import VERSION
from dyso.spec.schema import Procedural


def load(path: str | Path) -> ResolvedSpec:
    """Reads a spec and the catalogs it names; see `resolve`."""
    return resolve(load_spec(path), Path(path).parent)


def resolve(spec: Spec, folder: Path) -> ResolvedSpec:
    """Reads the catalogs that a spec names.

    Args:
      spec: the spec.
      folder: where its relative paths start.

    Raises:
      UserError: a manifest is missing or broken, a category or an HDRI is in none, or
        the held-out share leaves a split without assets.
    """
    objects = _objects(spec, folder)
    backgrounds = _catalog(spec.backgrounds.catalog, folder, "Texture")
    ids = tuple(asset.id for asset in backgrounds.assets)
    for key, wanted, catalog, known in (
        ("objects.categories", spec.objects.categories, objects, objects.categories()),
        ("backgrounds.assets", spec.backgrounds.assets, backgrounds, ids),
    ):
        if unknown := sorted(set(wanted) - set(known)):
            raise UserError(
                f"{key}: {', '.join(unknown)}: not in the catalog {catalog.name}, "
                f"which has {', '.join(known[:60])}{' ...' if len(known) > 60 else ''}"
            )
    resolved = ResolvedSpec(spec=spec, objects=objects, backgrounds=backgrounds)
    for split in spec.splits:
        resolved.objects_of(split), resolved.backgrounds_of(split)
    return resolved


def manifests(resolved: ResolvedSpec) -> tuple[str, str]:
    """Gives the manifests of a dataset's objects and HDRIs on this machine.

    A job may have been planned on another machine, where the starter assets lie
    elsewhere. Every other manifest is where the spec says it is, on all machines.

    Raises:
      UserError: this machine's starter assets are not those of the dataset.
    """
    spec = resolved.spec
    return (
        _made(resolved.objects)
        if isinstance(resolved.objects, ProceduralCatalog)
        else _manifest(resolved.objects, spec.objects.catalog, "FileBasedObject"),
        _manifest(resolved.backgrounds, spec.backgrounds.catalog, "Texture"),
    )


def _objects(spec: Spec, folder: Path) -> Catalog | ProceduralCatalog:
    if spec.objects.catalog != "procedural":
        if spec.objects.procedural != Procedural():
            raise UserError(
                "objects.procedural: is for objects.catalog: procedural, but that is "
                f"{spec.objects.catalog}"
            )
        return _catalog(spec.objects.catalog, folder, "FileBasedObject")
    section = spec.objects.procedural
    return ProceduralCatalog(seed=section.seed, count=section.objects)


def _made(catalog: ProceduralCatalog) -> str:
    if catalog.generator != VERSION:
        raise UserError(
            f"objects.catalog: procedural: the dataset was begun with generator "
            f"{catalog.generator}, and this version of dyso has {VERSION}; install the "
            "version that it was begun with"
        )
    return catalog.manifest


def _manifest(catalog: Catalog, name: str, asset_type: str) -> str:
    if name != "starter":
        return catalog.manifest
    found = _catalog(name, Path(), asset_type)
    if found.assets != catalog.assets:
        raise UserError(
            f"{found.manifest}: the starter assets of this machine are not those that "
            "the dataset was begun with; install the same versions of bpy and pybullet "
            "on all machines"
        )
    return found.manifest


def _catalog(name: str, folder: Path, asset_type: str) -> Catalog:
    if name == "starter":
        return read_catalog(str(starter.build()[asset_type]), asset_type)
    location = name if "://" in name else str(folder / name)
    if "://" not in name and not Path(location).is_file():
        raise UserError(
            f"{location}: no such manifest; the spec's catalogs are `starter`, "
            "`procedural` (objects) or the path or URL of a Kubric asset manifest"
        )
    return read_catalog(location, asset_type)
