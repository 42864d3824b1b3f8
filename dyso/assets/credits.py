"""Collects the credits of a dataset's assets for ATTRIBUTION.md."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dyso.assets.manifest import read_manifest
from dyso.assets.resolve import manifests
from dyso.spec import Catalog, ProceduralCatalog, ResolvedSpec, UserError

NAME = "ATTRIBUTION.md"
UNKNOWN = "not known"
_LENGTH = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Credit:
    """The credits of an asset; texts may be empty.

    Attributes:
      source: its origin, as a name or an address.
      license: the licence's name or address.
      author: its author.
    """

    source: str = ""
    license: str = ""
    author: str = ""


def credit_of(entry: Mapping[str, Any]) -> Credit:
    """Reads the credits of a manifest's entry, by Kubric's keys or DySO's.

    Kubric puts `license` beside the metadata, and `authors`, a list, and `url` into it.
    """
    metadata = entry.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return Credit(
        source=_text(metadata.get("source") or metadata.get("url")),
        license=_text(entry.get("license") or metadata.get("license")),
        author=_text(metadata.get("author") or metadata.get("authors")),
    )


def read_credits(location: str, wanted: Collection[str]) -> dict[str, Credit]:
    """Returns the credits of assets of a manifest by their ids.

    Raises:
      UserError: see `dyso.assets.manifest.read_manifest`.
    """
    entries = read_manifest(location)["assets"]
    return {
        asset_id: credit_of(entry)
        for asset_id in wanted
        if isinstance(entry := entries.get(asset_id), Mapping)
    }


def attribution(
    resolved: ResolvedSpec, objects: Collection[int], backgrounds: Collection[int]
) -> str:
    """Returns the text of ATTRIBUTION.md.

    If a manifest is no longer readable, its assets are listed without credits.

    Args:
      resolved: the dataset.
      objects: indices in the catalog of the objects that scenes show.
      backgrounds: indices in the catalog of the HDRIs that scenes show.
    """
    lines = [
        f"# Attribution of {_escaped(resolved.spec.name)}",
        "",
        "The scenes show the assets below, which are others' work. Whoever passes the",
        "dataset on passes their licences on with it.",
    ]
    credits = _credits(resolved, objects, backgrounds)
    lines += ["", *_section("Objects", resolved.objects, credits[0])]
    lines += ["", *_section("HDRIs", resolved.backgrounds, credits[1])]
    return "\n".join(lines) + "\n"


def licenses(
    resolved: ResolvedSpec, objects: Collection[int], backgrounds: Collection[int]
) -> list[str]:
    """Returns the known licences of the assets of `attribution`, sorted."""
    used = itertools.chain(*map(dict.values, _credits(resolved, objects, backgrounds)))
    return sorted({credit.license for credit in used} - {""})


def _credits(
    resolved: ResolvedSpec, objects: Collection[int], backgrounds: Collection[int]
) -> list[dict[str, Credit]]:
    """Returns the credits of the used assets of both catalogs, by their ids."""
    catalogs = resolved.objects, resolved.backgrounds
    try:
        locations: tuple[str, ...] = manifests(resolved)
    except UserError:
        locations = tuple(catalog.manifest for catalog in catalogs)
    return [
        _credits_of(catalog, sorted(used), location)
        for catalog, used, location in zip(
            catalogs, (objects, backgrounds), locations, strict=True
        )
    ]


def _credits_of(
    catalog: Catalog | ProceduralCatalog, used: list[int], location: str
) -> dict[str, Credit]:
    if isinstance(catalog, ProceduralCatalog):
        return {str(index): Credit() for index in used}
    names = [catalog.assets[index].id for index in used]
    try:
        known = read_credits(location, names)
    except UserError:
        known = {}
    return {name: known.get(name, Credit()) for name in names}


def _section(
    title: str, catalog: Catalog | ProceduralCatalog, credits: Mapping[str, Credit]
) -> Iterator[str]:
    if isinstance(catalog, ProceduralCatalog):
        yield f"## {title}: {len(credits)} of {catalog.count} procedural ones"
        yield ""
        yield "Made from numbers by DySO; nobody else has rights in them."
        return
    yield f"## {title}: {len(credits)} of {_escaped(catalog.name)}"
    yield ""
    yield "| asset | source | licence | author |"
    yield "|---|---|---|---|"
    for name, credit in credits.items():
        cells = (name, credit.source, credit.license, credit.author)
        yield f"| {' | '.join(_escaped(cell) or UNKNOWN for cell in cells)} |"


def _text(value: Any) -> str:
    """Returns an untrusted text as one line."""
    if isinstance(value, Mapping):  # Poly Haven: contributions by author
        value = list(value)
    if isinstance(value, list):
        value = ", ".join(each for each in value if isinstance(each, str))
    if not isinstance(value, str):
        return ""
    line = " ".join(value.split())
    return "".join(c for c in line if c.isprintable())[:_LENGTH]


def _escaped(text: str) -> str:
    """Escapes a text for a Markdown table."""
    return re.sub(r"([\\`*\[\]<>|&#])", r"\\\1", text)
