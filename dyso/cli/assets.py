"""`dyso assets`: bring assets in, look at catalogs, keep the cache."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from dyso.cli.arguments import refusal
from dyso.cli.bar import Bar
from dyso.spec import Catalog, ProceduralCatalog, UserError
from dyso.terminal import say

NAMED = 5  # of what is broken
NAME_WIDTH = 100  # characters of a broken asset's id

_ABOUT = """usage: dyso assets ACTION ...

  shapenet  make a catalog of ShapeNetCore's folders or zip files
  meshes    make a catalog of a folder of glTF and OBJ files
  hdris     make a catalog of a folder of HDRIs
  list      what is in the catalogs of a spec, or in a manifest
  verify    fetch every asset and check it
  prefetch  have every asset in this machine's cache

dyso assets ACTION --help tells more."""


def select(arguments: list[str]) -> tuple[str, Callable[..., int], list[str]]:
    """Takes the name of the action from the arguments.

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
    """Make a catalog of ShapeNetCore, version 1 or 2; a stopped run goes on.

    The models become Kubric archives OUT/SYNSET/MODEL.tar.gz, with z up, which
    OUT/manifest.json lists. Those that cannot be used are in OUT/broken.json.

    Args:
      source: the folder with a folder or a zip file for each synset.
      out: where archives and the manifest go, a folder on a disk.
      workers: processes; default: one a core.
      timeout: seconds that one model may take.
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

    A mesh's category is the topmost folder that it lies in. Licence, author and source
    come from a FILE.json beside it, else from the options, else from the nearest
    license.txt. A stopped run goes on.

    Args:
      source: the folder.
      out: where archives and the manifest go, a folder on a disk.
      up: the axis of OBJ files that is up; Z for Google's Scanned Objects.
      categories: a .csv of id and category, or a .json of them or of ids by category.
      license: of files that have none beside them.
      author: likewise.
      workers: processes; default: one a core.
      timeout: seconds that one mesh may take.
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

    Licence, author and source come from a FILE.json beside each, else from the options,
    else from the nearest license.txt. A stopped run goes on.

    Args:
      source: the folder.
      out: where archives and the manifest go, a folder on a disk.
      width: pixels; wider ones are reduced to it. Images that are W pixels wide and
        see D degrees show 360 W / D of them: 940 for 128 pixels of a 35 mm lens.
      license: of files that have none beside them.
      author: likewise.
      workers: processes; default: one a core.
      timeout: seconds that one HDRI may take.
    """
    from dyso.assets.items import list_hdris

    if width < 64 or width % 2:
        raise UserError(f"--width: expected an even number from 64 on, got {width}")
    return _convert(
        lambda: list_hdris(source, width=width, license=license, author=author),
        out,
        name=source.resolve().name,
        options={"kind": "hdris", "width": width},
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
            found = convert(listing(), out, say=bar.show, **options)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    kinds = f" of {len(found.categories)} categories" if found.categories else ""
    print(f"{found.assets} assets{kinds}, {found.bytes / 1e6:.1f} MB: {found.manifest}")
    print(f"{found.made} made now, {(time.monotonic() - start) / 60:.1f} min")
    for count, what in (
        (found.missing_textures, "lack textures, and show their plain colours there"),
        (found.unlicensed, "have no licence: name it by --license, or beside the file"),
        *((count, f"ignored: {what}") for what, count in found.ignored.items()),
    ):
        if count:
            say(f"{count} {what}")
    if found.skipped:
        supported = ", ".join(MESH_SUFFIXES)
        say(f"{tell_skipped(found.skipped)}; supported: {supported}")
    if found.broken:
        reasons = Counter(found.broken.values()).most_common(NAMED)
        print(f"{len(found.broken)} broken, see {out / BROKEN}:")
        for reason, count in reasons:
            first = next(k for k, each in found.broken.items() if each == reason)
            more = " ..." if count > 1 else ""
            say(f"  {count} {reason}: {first[:NAME_WIDTH]}{more}")
    return 0


def show(source: tyro.conf.Positional[str], /) -> int:
    """List what is in the catalogs of a spec, or in a manifest.

    Args:
      source: a spec's .yaml, a manifest's path or address, or `starter`.
    """
    from dyso.assets.credits import UNKNOWN, read_credits

    for catalog in _catalogs(source):
        say(f"{catalog.name}: {len(catalog.assets)} assets, {catalog.manifest}")
        kinds = catalog.counts()
        for name, number in catalog.category_ids.items():
            if name:
                say(f"  category {number:3} {name}: {kinds[name]}")
        if isinstance(catalog, ProceduralCatalog):
            say("  made when they are shown; nobody else has rights in them")
            continue
        ids = [asset.id for asset in catalog.assets]
        found = read_credits(catalog.manifest, ids).values()
        licenses = Counter(credit.license or UNKNOWN for credit in found)
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
    """Fetch every asset and check it: that it is there, whole, and as it should be.

    Checks checksums, bounds, and that nothing refers to files outside. Ends with
    status 1 if any is broken.

    Args:
      source: a spec's .yaml, a manifest's path or address, or `starter`.
      workers: processes; default: one a core.
      timeout: seconds that one asset may take.
    """
    return _each("verify", source, workers, timeout)


def prefetch(
    source: tyro.conf.Positional[str],
    /,
    *,
    workers: int | None = None,
    timeout: float = 600.0,
) -> int:
    """Have every asset in this machine's cache, so that jobs fetch none.

    What the cache may take is DYSO_CACHE_SIZE, 20 GB if it is not set. Ends with status
    1 if an asset is broken.

    Args:
      source: a spec's .yaml, a manifest's path or address, or `starter`.
      workers: processes; default: one a core.
      timeout: seconds that one asset may take.
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
        if not isinstance(catalog, ProceduralCatalog)  # Of which nothing is fetched.
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
    wanted = [kind for kind in ("FileBasedObject", "Texture") if kind in kinds]
    # Of a manifest with neither, this says what is missing.
    return [read_catalog(source, kind) for kind in wanted or ["FileBasedObject"]]


_ACTIONS: dict[str, Callable[..., int]] = {
    "shapenet": shapenet,
    "meshes": meshes,
    "hdris": hdris,
    "list": show,
    "verify": verify,
    "prefetch": prefetch,
}
