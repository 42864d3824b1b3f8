"""The JSON Schema of specs, with which editors complete, explain and check them.

    python -m dyso.spec.json_schema > specs/schema.json

It covers all checks except those between the values of a range or of two sections.
"""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

import docstring_parser
import pydantic
from annotated_types import Predicate

from dyso.spec.schema import Spec
from dyso.spec.values import asked


def json_schema() -> dict[str, Any]:
    """Returns the schema, with each key's meaning as its description."""
    schema = pydantic.TypeAdapter(Spec).json_schema()
    for kind in _sections(Spec):
        _explain(schema if kind is Spec else schema["$defs"][kind.__name__], kind)
    # Editors support draft 7 best, where `prefixItems` is called `items`.
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_renamed(schema)}


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = {"prefixItems": "items", "$defs": "definitions"}
    renamed = {names.get(key, key): _renamed(each) for key, each in value.items()}
    if "$ref" in renamed:
        renamed["$ref"] = renamed["$ref"].replace("$defs", "definitions")
    if "patternProperties" in renamed:
        renamed["additionalProperties"] = False
    return renamed


def _sections(kind: type) -> list[type]:
    inner = [hint for hint in get_type_hints(kind).values() if is_dataclass(hint)]
    return [kind, *(each for hint in inner for each in _sections(hint))]  # type: ignore[arg-type]


def _explain(definition: dict[str, Any], kind: type) -> None:
    """Adds descriptions from docstrings; removes titles, which repeat the names."""
    text = docstring_parser.parse(kind.__doc__ or "")
    paragraphs = (text.short_description, text.long_description)
    definition["description"] = " ".join(" ".join(filter(None, paragraphs)).split())
    meanings = {each.arg_name: each.description or "" for each in text.params}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        about = " ".join(meanings.get(name, "").split())
        rules = [rule for rule in map(_rule, _metadata(hint)) if rule]
        about = " ".join(filter(None, [about, *rules]))
        entry = definition["properties"][name]
        entry.pop("title", None)
        if about:
            entry["description"] = about


def _metadata(hint: Any) -> tuple[Any, ...]:
    inner = (each for part in get_args(hint) for each in _metadata(part))
    return (*getattr(hint, "__metadata__", ()), *inner)


def _rule(check: Any) -> str:
    if not isinstance(check, Predicate):
        return ""
    return f"It must be {asked(check.func)}."


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
