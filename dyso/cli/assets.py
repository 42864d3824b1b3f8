"""`dyso assets`: converts assets, lists and checks catalogs, fills the cache."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from dyso.cli.arguments import refusal
from dyso.cli.bar import Bar
from dyso.spec import Catalog, ProceduralCatalog, ProceduralEnvironments, UserError
from dyso.terminal import say, stopped

NAMED = 5  # reasons why assets are broken that are printed
NAME_WIDTH = 100  # characters of a broken asset's id

_ABOUT = """usage: dyso assets ACTION ...

  shapenet      make a catalog of ShapeNetCore's folders or zip files
  meshes        make a catalog of a folder of glTF and OBJ files
  urdf          make a catalog of a folder of URDF robots, with joints
  hdris         make a catalog of a folder of HDRIs
  environments  make a catalog of procedural environments
  list          list the catalogs of a spec, or a manifest
  verify        fetch and check every asset
  prefetch      fetch every asset into this machine's cache

dyso assets ACTION --help describes an action."""


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Returns the action's full name, its function and the other arguments.

    Raises:
      UserError: there is no such action.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        return "assets", _overview, []
    if name not in _ACTIONS:
        raise refusal("dyso assets", "action", name, _ACTIONS)
    return f"assets {name}", _ACTIONS[name], rest


def _overview() -> int:
    print(_ABOUT)
    return 0


def shapenet(
    *,
    source: Path,
    out: Path,
    workers: int | None = None,
    timeout: float = 120.0,
) -> int:
    """Make a catalog of ShapeNetCore, version 1 or 2.

    The models become Kubric archives OUT/SYNSET/MODEL.tar.gz, with z up.
    OUT/manifest.json lists them, and OUT/broken.json lists those that cannot be used.
    After a stop, run the same command to resume.

    Args:
      source: the folder that contains a folder or a zip file per synset.
      out: the folder for the archives and the manifest, on a disk.
      workers: processes; default: one per core.
      timeout: the most seconds for one model.
    """
    from dyso.assets.shapenet import list_shapenet

    return _convert(
        lambda: list_shapenet(source),
        out,
        name="ShapeNetCore",
        options={"kind": "shapenet"},
        workers=workers,
        timeout=timeout,
    )


def meshes(
    *,
    source: Path,
    out: Path,
    up: Literal["Y", "Z"] = "Y",
    categories: Path | None = None,
    license: str = "",
    author: str = "",
    workers: int | None = None,
    timeout: float = 120.0,
) -> int:
    """Make a catalog of the .glb, .gltf and .obj files of a folder, such as Objaverse.

    A mesh's category is the topmost folder that contains it. Licence, author and source
    come from FILE.json beside the mesh, else from the options, else from the nearest
    license.txt. After a stop, run the same command to resume.

    Args:
      source: the folder of meshes.
      out: the folder for the archives and the manifest, on a disk.
      up: the up axis of OBJ files; Z for Google's Scanned Objects.
      categories: the categories: a .csv of id and category, or a .json that maps ids
        to categories or categories to lists of ids.
      license: the licence of meshes without FILE.json.
      author: the author of meshes without FILE.json.
      workers: processes; default: one per core.
      timeout: the most seconds for one mesh.
    """
    from dyso.assets.items import list_meshes

    credits = {"license": license, "author": author}
    return _convert(
        lambda: list_meshes(source, up=up, categories=categories, **credits),
        out,
        name=source.resolve().name,
        options={"kind": "meshes", "up": up},
        workers=workers,
        timeout=timeout,
    )


def urdf(
    *,
    source: Path,
    out: Path,
    license: str = "",
    author: str = "",
    workers: int | None = None,
    timeout: float = 120.0,
) -> int:
    """Make a catalog of the .urdf files of a folder, whose joints a spec can move.

    A robot's category is its topmost folder below the source, or its own name. Licence,
    author and source are found as those of meshes. After a stop, run the same command
    to resume.

    Args:
      source: the folder, which contains all files that the robots refer to.
      out: the folder for the archives and the manifest, on a disk.
      license: the licence of robots without FILE.json.
      author: the author of robots without FILE.json.
      workers: processes; default: one per core.
      timeout: the most seconds for one robot.
    """
    from dyso.assets.items import list_urdfs

    return _convert(
        lambda: list_urdfs(source, license=license, author=author),
        out,
        name=source.resolve().name,
        options={"kind": "urdf"},
        workers=workers,
        timeout=timeout,
    )


def hdris(
    *,
    source: Path,
    out: Path,
    width: int = 2048,
    license: str = "",
    author: str = "",
    workers: int | None = None,
    timeout: float = 120.0,
) -> int:
    """Make a catalog of the .hdr and .exr files of a folder, such as Poly Haven's.

    Licence, author and source come from FILE.json beside the HDRI, else from the
    options, else from the nearest license.txt. After a stop, run the same command to
    resume.

    Args:
      source: the folder of HDRIs.
      out: the folder for the archives and the manifest, on a disk.
      width: the largest width in pixels; wider HDRIs are reduced to it. An image of W
        pixels that spans D degrees needs 360 W / D pixels: 940 for 128 pixels of a
        35 mm lens.
      license: the licence of HDRIs without FILE.json.
      author: the author of HDRIs without FILE.json.
      workers: processes; default: one per core.
      timeout: the most seconds for one HDRI.
    """
    from dyso.assets.items import list_hdris

    if width < 64 or width % 2:
        raise UserError(f"--width: expected an even number of at least 64, got {width}")
    return _convert(
        lambda: list_hdris(source, width=width, license=license, author=author),
        out,
        name=source.resolve().name,
        options={"kind": "hdris", "width": width},
        workers=workers,
        timeout=timeout,
    )


def environments(
    *,
    out: Path,
    count: int = 382,
    seed: int = 0,
    workers: int | None = None,
    timeout: float = 600.0,
) -> int:
    """Make a catalog of procedural environments for several machines.

    Without such a catalog, each machine makes the environments of its own scenes. After
    a stop, run the same command to resume.

    Args:
      out: the folder for the archives and the manifest, on a disk.
      count: the number of environments.
      seed: the seed of all environments.
      workers: processes; default: one per core.
      timeout: the most seconds for one environment.
    """
    from dyso.assets.items import list_environments

    if not 1 <= count <= 10**6:
        raise UserError(f"--count: expected 1 to 1000000, got {count}")
    catalog = ProceduralEnvironments(seed=seed, count=count)
    return _convert(
        lambda: list_environments(catalog),
        out,
        name=catalog.name,
        options={"kind": "environments", "generator": catalog.generator, "seed": seed},
        workers=workers,
        timeout=timeout,
    )


def _convert(listing: Callable[[], Any], out: Path, **options: Any) -> int:
    from dyso.assets.converting import BROKEN, convert
    from dyso.assets.items import tell_skipped
    from dyso.assets.manifest import MESH_SUFFIXES

    if "://" in str(out) or ":/" in str(out):
        raise UserError(
            f"{out}: must be a folder on a disk; copy it to a bucket afterwards"
        )
    start = time.monotonic()
    try:
        with Bar("assets", "broken") as bar:
            catalog = convert(listing(), out, say=bar.show, **options)
    except KeyboardInterrupt:
        return stopped()
    kinds = f" of {len(catalog.categories)} categories" if catalog.categories else ""
    size = f"{catalog.bytes / 1e6:.1f} MB"
    print(f"{catalog.assets} assets{kinds}, {size}: {catalog.manifest}")
    print(f"{catalog.made} made now, {(time.monotonic() - start) / 60:.1f} min")
    if catalog.jointed:
        print(f"{catalog.jointed} have joints, which dynamics.articulate moves")
    if catalog.animated:
        print(f"{catalog.animated} have clips, which dynamics.animate plays")
    for count, what in (
        (catalog.missing_textures, "lack textures and show plain colours instead"),
        (
            catalog.unlicensed,
            "have no licence: use --license, or FILE.json beside each",
        ),
        *((count, f"ignored: {what}") for what, count in catalog.ignored.items()),
    ):
        if count:
            say(f"{count} {what}")
    if catalog.skipped:
        supported = ", ".join(MESH_SUFFIXES)
        say(f"{tell_skipped(catalog.skipped)}; supported: {supported}")
    if catalog.still:
        print(f"{len(catalog.still)} have clips that are left out, and are rigid:")
        _tell(catalog.still)
    if catalog.broken:
        print(f"{len(catalog.broken)} broken, see {out / BROKEN}:")
        _tell(catalog.broken)
    return 0


def _tell(reasons: dict[str, str]) -> None:
    """Prints the most frequent reasons, each with the first asset that has it."""
    for reason, count in Counter(reasons.values()).most_common(NAMED):
        first = next(name for name, each in reasons.items() if each == reason)
        more = " ..." if count > 1 else ""
        say(f"  {count} {reason}: {first[:NAME_WIDTH]}{more}")


def show(source: tyro.conf.Positional[str], /) -> int:
    """List the catalogs of a spec, or a manifest: categories and licences.

    Args:
      source: a spec's .yaml, a manifest's path or URL, or `starter`.
    """
    from dyso.assets.credits import UNKNOWN, read_credits

    for catalog in _catalogs(source):
        say(f"{catalog.name}: {len(catalog.assets)} assets, {catalog.manifest}")
        kinds = catalog.counts()
        for name, number in catalog.category_ids.items():
            if name:
                say(f"  category {number:3} {name}: {kinds[name]}")
        if isinstance(catalog, ProceduralCatalog):
            say("  made by the program; free of other people's rights")
            continue
        ids = [asset.id for asset in catalog.assets]
        credits = read_credits(catalog.manifest, ids).values()
        licenses = Counter(credit.license or UNKNOWN for credit in credits)
        for license, count in licenses.most_common():
            say(f"  licence {license}: {count}")
    return 0


def verify(
    source: tyro.conf.Positional[str],
    /,
    *,
    workers: int | None = None,
    timeout: float = 600.0,
) -> int:
    """Fetch every asset and check checksums, bounds, and references to other files.

    The exit status is 1 if an asset is broken.

    Args:
      source: a spec's .yaml, a manifest's path or URL, or `starter`.
      workers: processes; default: one per core.
      timeout: the most seconds for one asset.
    """
    return _each("verify", source, workers, timeout)


def prefetch(
    source: tyro.conf.Positional[str],
    /,
    *,
    workers: int | None = None,
    timeout: float = 600.0,
) -> int:
    """Fetch every asset into this machine's cache, so that jobs need not fetch any.

    The environment variable DYSO_CACHE_SIZE limits the cache; the default is 20 GB. The
    exit status is 1 if an asset is broken.

    Args:
      source: a spec's .yaml, a manifest's path or URL, or `starter`.
      workers: processes; default: one per core.
      timeout: the most seconds for one asset.
    """
    from dyso.assets.cache import cache_bytes

    cache_bytes()
    return _each("prefetch", source, workers, timeout)


def _each(do: str, source: str, workers: int | None, timeout: float) -> int:
    from dyso.assets.processes import do_all

    if workers is None:
        workers = len(os.sched_getaffinity(0))
    if workers < 1 or timeout <= 0:
        raise UserError("workers, timeout: expected 1 or more, and above 0")
    requests = [
        {"do": do, "manifest": catalog.manifest, "id": asset.id}
        for catalog in _catalogs(source)
        # Objects are made faster than they are read.
        if isinstance(catalog, Catalog | ProceduralEnvironments)
        for asset in catalog.assets
    ]
    broken = {}
    with (
        Bar("assets", "broken") as bar,
        contextlib.closing(do_all(requests, workers, timeout)) as answers,
    ):
        for done, (request, answer) in enumerate(answers, 1):
            if answer.reason:
                broken[request["id"]] = answer.message
            bar.show(done, len(requests), len(broken))
    for name, message in sorted(broken.items()):
        say(f"{name}: {message}")
    print(f"{len(requests)} assets, {len(broken)} broken")
    return int(bool(broken))


def _catalogs(source: str) -> list[Catalog | ProceduralCatalog]:
    """Returns the catalogs of a spec or a manifest."""
    from dyso import assets
    from dyso.assets import starter
    from dyso.assets.manifest import read_catalog, read_manifest

    if source.endswith((".yaml", ".yml")):
        resolved = assets.load(source)
        return [resolved.objects, resolved.backgrounds]
    if source == "starter":
        return [read_catalog(str(path), kind) for kind, path in starter.build().items()]
    entries = read_manifest(source)["assets"].values()
    kinds = {entry.get("asset_type") for entry in entries if isinstance(entry, dict)}
    types = [kind for kind in ("FileBasedObject", "Texture") if kind in kinds]
    # For a manifest with neither, `read_catalog` raises the error.
    return [read_catalog(source, kind) for kind in types or ["FileBasedObject"]]


_ACTIONS: dict[str, Callable[..., int]] = {
    "shapenet": shapenet,
    "meshes": meshes,
    "urdf": urdf,
    "hdris": hdris,
    "environments": environments,
    "list": show,
    "verify": verify,
    "prefetch": prefetch,
}
