"""Describes datasets and exports in Croissant, MLCommons' metadata format.

croissant.json follows Croissant 1.1 (http://mlcommons.org/croissant/1.1), with the
Responsible AI vocabulary (http://mlcommons.org/croissant/RAI/1.0), and with PROV-O for
what a dataset was made from. Whoever publishes a dataset adds what DySO cannot know:
`url`, `creator` and `datePublished`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dyso
from dyso.records.fields import Field
from dyso.spec import Catalog, ProceduralCatalog, ResolvedSpec

CROISSANT = "croissant.json"

CITATION = (
    "@software{dyso, title={DySO: dynamic multi-view datasets}, "
    f"version={{{dyso.__version__}}}}}"
)

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_RESPONSIBLE_AI = {
    "rai:dataCollection": (
        "Rendered by path tracing from a specification. Every annotation (depth, "
        "instances, categories, poses) is computed from the same scene description as "
        "the image; nothing was annotated by people or models."
    ),
    "rai:dataCollectionType": "Simulation",
    "rai:dataUseCases": [
        "Training and testing models of dynamic 3D scenes: novel view synthesis, "
        "separation of content, camera and motion, 4D reconstruction, optical and "
        "scene flow, point tracking."
    ],
    "rai:dataLimitations": [
        "Synthetic: objects are rigid, motion is not natural, and the cameras are "
        "ideal pinholes. Results need not transfer to photographs."
    ],
    "rai:dataBiases": [
        "Shapes, materials and places have the frequencies of the asset catalogs, "
        "which are not those of the world."
    ],
    "rai:personalSensitiveInformation": [
        "None by construction, unless the assets show people or private places."
    ],
}


def describe(
    resolved: ResolvedSpec,
    *,
    distribution: Iterable[Mapping[str, Any]],
    record_sets: Iterable[Mapping[str, Any]] = (),
    licenses: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Returns the description of a dataset, or of one of its exports.

    Args:
      resolved: the spec with its catalogs.
      distribution: the files, as Croissant's FileObject and FileSet.
      record_sets: Croissant's RecordSets, which a program can load.
      licenses: the licences of the assets that the scenes show.
      versions: of the software that rendered the scenes.
    """
    spec = resolved.spec
    counts = ", ".join(f"{count} {split}" for split, count in spec.splits.items())
    software = ", ".join(
        f"{name} {number}" for name, number in (versions or {}).items()
    )
    description = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": spec.name,
        "description": (
            f"{spec.description or spec.name} Scenes: {counts}; {spec.dynamics.steps} "
            f"dynamics steps and {spec.cameras.count} cameras a scene."
        ),
        "version": spec.version,
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "keywords": ["synthetic", "multi-view", "dynamic scenes", "3D", "4D"],
        "identifier": f"spec {resolved.hash}",
        "license": list(licenses),
        "citeAs": CITATION,
        **_RESPONSIBLE_AI,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"dyso generate, spec {resolved.hash}; {software}",
        },
        "prov:wasDerivedFrom": [
            {"@type": "prov:Entity", "prov:label": _catalog(kind, catalog)}
            for kind, catalog in (
                ("Objects", resolved.objects),
                ("Backgrounds", resolved.backgrounds),
            )
        ],
        "distribution": list(distribution),
        "recordSet": list(record_sets),
    }
    return {key: value for key, value in description.items() if value}


def _catalog(kind: str, catalog: Catalog | ProceduralCatalog) -> str:
    if isinstance(catalog, ProceduralCatalog):
        return f"{kind}: {catalog.count} procedural ones, made from numbers"
    return f"{kind}: catalog {catalog.name}, {len(catalog.assets)} assets"


def licenses_in(folder: Path) -> tuple[str, ...]:
    """Returns the licences that a dataset's croissant.json names; none without it."""
    try:
        found = json.loads((folder / CROISSANT).read_text(encoding="utf-8"))["license"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ()
    return tuple(each for each in found if isinstance(each, str))


def to_text(description: Mapping[str, Any]) -> str:
    """Returns the text of croissant.json."""
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"


def shard_files(shards: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the shards of metadata.json as Croissant's FileObjects."""
    return [
        file_object(
            shard["file"],
            "application/x-arrayrecord",
            description=f"ArrayRecord of {shard['count']} {shard['split']} scenes.",
            contentSize=f"{shard['bytes']} B",
            sha256=shard["sha256"],
        )
        for shard in shards
    ]


def file_object(path: str, encoding: str, **more: Any) -> dict[str, Any]:
    """Returns Croissant's FileObject of a file beside croissant.json."""
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "encodingFormat": encoding,
        **more,
    }


def file_set(name: str, encoding: str, *includes: str, **more: Any) -> dict[str, Any]:
    """Returns Croissant's FileSet of the files that match a pattern."""
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "encodingFormat": encoding,
        "includes": list(includes) if len(includes) > 1 else includes[0],
        **more,
    }


def record_set(name: str, description: str, fields: Sequence[Mapping[str, Any]]) -> Any:
    """Returns Croissant's RecordSet."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": list(fields),
    }


def column(records: str, field: Field, source: Mapping[str, Any]) -> dict[str, Any]:
    """Returns Croissant's Field for a field of the records; see `source_field`."""
    axes = [axis for axis in field.shape if axis != "V"]
    more: dict[str, Any] = {}
    if axes and field.encoding not in ("image", "depth"):
        sizes = (str(axis) if isinstance(axis, int) else "-1" for axis in axes)
        more = {"isArray": True, "arrayShape": ",".join(sizes)}
    name = field.name.replace("/", "_")
    return source_field(records, name, field.meaning, data_type(field), source, **more)


def source_field(
    records: str,
    name: str,
    about: str,
    kind: str,
    source: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Returns Croissant's Field of a RecordSet.

    Args:
      records: the name of the RecordSet.
      name: the field's name.
      about: the meaning of the values.
      kind: Croissant's dataType.
      source: the values' place in the files.
      more: further properties.
    """
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{name}",
        "name": name,
        "description": about,
        "dataType": kind,
        "source": dict(source),
        **more,
    }


def data_type(field: Field) -> str:
    """Returns Croissant's dataType of a record's field."""
    if field.encoding in ("image", "depth"):
        return "sc:ImageObject"
    if field.dtype == "str":
        return "sc:Text"
    return "sc:Float" if field.dtype.startswith("float") else "sc:Integer"
