"""Resolves the catalogs that a spec names to plain data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dyso.assets import starter
from dyso.assets.manifest import read_catalog
from dyso.spec import (
    Catalog,
    ProceduralCatalog,
    ProceduralEnvironments,
    ResolvedSpec,
    Spec,
    SpecError,
    UserError,
    load_with,
)
from dyso.spec.articulated import JOINTED
from dyso.spec.procedural import GAITS, NAMED
from dyso.spec.schema import Environments, Procedural

MOST_NAMES = 60
"""The most names that a message lists."""
# How to create a catalog, by the type of its assets.
_MAKERS = {
    "FileBasedObject": "`dyso assets shapenet` makes one of a download of "
    "ShapeNetCore.v2, `dyso assets meshes` of other meshes",
    "Texture": "`dyso assets hdris` makes one of a folder of HDRIs",
}


def load(path: str | Path, overrides: Sequence[str] = ()) -> ResolvedSpec:
    """Reads a spec and the catalogs it names; see `load_spec` and `resolve`."""
    return load_with(path, lambda spec: resolve(spec, Path(path).parent), overrides)


def resolve(spec: Spec, folder: Path) -> ResolvedSpec:
    """Reads the catalogs that a spec names.

    Args:
      spec: the spec.
      folder: the folder to which relative paths refer.

    Raises:
      SpecError: a manifest is missing or broken, a category or an HDRI is in none, or
        the held-out share leaves a split without assets.
    """
    objects: Catalog | ProceduralCatalog | None = None
    backgrounds: Catalog | ProceduralEnvironments | None = None
    problems: list[tuple[str, str]] = []
    for section, used, default in (
        ("objects", spec.objects, Procedural()),
        ("backgrounds", spec.backgrounds, Environments()),
    ):
        if used.catalog != "procedural" and used.procedural != default:
            text = f"is for {section}.catalog: procedural, but that is {used.catalog}"
            problems.append((f"{section}.procedural", text))
    try:
        objects = _objects(spec, folder)
        problems += _unknown(
            "objects.categories", spec.objects.categories, objects, objects.categories()
        )
    except UserError as error:
        problems.append(("objects.catalog", str(error)))
    try:
        backgrounds = _backgrounds(spec, folder)
        # Only what a message names of a catalog that may be large.
        chosen = [name for name in spec.backgrounds.assets if _has(backgrounds, name)]
        first = [asset.id for asset in backgrounds.assets[:61]]
        ids = list(dict.fromkeys([*first, *chosen]))
        problems += _unknown(
            "backgrounds.assets", spec.backgrounds.assets, backgrounds, ids
        )
    except UserError as error:
        problems.append(("backgrounds.catalog", str(error)))
    if objects is not None and spec.dynamics.gait.any:
        named = spec.objects.categories or objects.categories()
        if not any(map(objects.gait, named)):
            text = (
                "moves creatures, but none of the objects has a skeleton; use "
                "objects.catalog: procedural and name some of "
                f"{', '.join(sorted(GAITS))} in objects.categories"
            )
            problems.append(("dynamics.gait", text))
    if objects is not None and spec.dynamics.articulate.any and not objects.jointed:
        text = (
            "moves joints, but none of the objects has any; use objects.catalog: "
            f"procedural and name some of {', '.join(JOINTED)} in objects.categories"
        )
        problems.append(("dynamics.articulate", text))
    if objects is not None and spec.dynamics.animate.any:
        problems += _unplayable(spec, objects)
    if problems or objects is None or backgrounds is None:
        raise SpecError(problems)
    resolved = ResolvedSpec(spec=spec, objects=objects, backgrounds=backgrounds)
    for split in spec.splits:
        resolved.objects_of(split), resolved.backgrounds_of(split)
    return resolved


def _unplayable(
    spec: Spec, objects: Catalog | ProceduralCatalog
) -> list[tuple[str, str]]:
    """Returns a problem if none of a spec's objects has one of its clips."""
    patterns, wanted = spec.dynamics.animate.clips, spec.objects.categories
    # Procedural objects, of which there may be very many, have none.
    chosen = [
        asset
        for asset in (objects.assets if isinstance(objects, Catalog) else ())
        if asset.clips and (not wanted or asset.category in wanted)
    ]
    if any(asset.playable(patterns) for asset in chosen):
        return []
    names = sorted({clip.name for asset in chosen for clip in asset.clips})
    more = " ..." if len(names) > MOST_NAMES else ""
    others = (
        f"they have {', '.join(names[:MOST_NAMES])}{more}"
        if names
        else "`dyso assets meshes` makes a catalog with the clips of glTF files"
    )
    text = f"none of the objects has a clip {', '.join(patterns)}; {others}"
    return [("dynamics.animate.clips", text)]


def _has(catalog: Catalog | ProceduralCatalog, asset_id: str) -> bool:
    try:
        catalog.index(asset_id)
    except KeyError:
        return False
    return True


def _unknown(
    key: str,
    wanted: Sequence[str],
    catalog: Catalog | ProceduralCatalog,
    known: Sequence[str],
) -> list[tuple[str, str]]:
    """Returns a problem if some of the names that a spec wants are not in a catalog."""
    unknown = sorted(set(wanted) - set(known))
    if not unknown:
        return []
    more = " ..." if len(known) > MOST_NAMES else ""
    if isinstance(catalog, ProceduralCatalog) and key == "objects.categories":
        more = f", and if a spec names them {', '.join(NAMED)}"
    text = (
        f"{', '.join(unknown)}: not in the catalog {catalog.name}, "
        f"which has {', '.join(known[:MOST_NAMES])}{more}"
    )
    return [(key, text)]


def manifests(resolved: ResolvedSpec) -> tuple[str, str]:
    """Returns the manifests of a dataset's objects and HDRIs on this machine.

    A job may have been planned on another machine, where the starter assets are
    elsewhere. All other manifests have the same location on every machine.

    Raises:
      UserError: this machine's starter assets are not those of the dataset.
    """
    catalog = resolved.spec.backgrounds.catalog
    return (
        object_manifest(resolved),
        _manifest(resolved.backgrounds, catalog, "Texture"),
    )


def object_manifest(resolved: ResolvedSpec) -> str:
    """Returns the manifest of a dataset's objects on this machine; see `manifests`."""
    catalog = resolved.spec.objects.catalog
    return _manifest(resolved.objects, catalog, "FileBasedObject")


def _objects(spec: Spec, folder: Path) -> Catalog | ProceduralCatalog:
    if spec.objects.catalog != "procedural":
        return _catalog(spec.objects.catalog, folder, "FileBasedObject")
    section = spec.objects.procedural
    return ProceduralCatalog.of(section.seed, section.objects, spec.objects.categories)


def _backgrounds(spec: Spec, folder: Path) -> Catalog | ProceduralEnvironments:
    if spec.backgrounds.catalog != "procedural":
        return _catalog(spec.backgrounds.catalog, folder, "Texture")
    section = spec.backgrounds.procedural
    return ProceduralEnvironments(seed=section.seed, count=section.environments)


def _made(catalog: ProceduralCatalog) -> str:
    if catalog.generator != catalog.VERSION:
        section = (
            "backgrounds" if isinstance(catalog, ProceduralEnvironments) else "objects"
        )
        raise UserError(
            f"{section}.catalog: procedural: the dataset was begun with generator "
            f"{catalog.generator}, and this version of dyso has {catalog.VERSION}; "
            "install the version that it was begun with"
        )
    return catalog.manifest


def _manifest(catalog: Catalog | ProceduralCatalog, name: str, asset_type: str) -> str:
    if isinstance(catalog, ProceduralCatalog):
        return _made(catalog)
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
