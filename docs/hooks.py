"""Writes the reference from the code, each time the manual is built."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from dyso import cli
from dyso.spec.json_schema import json_schema

PACKAGES = (
    "dyso.reading",
    "dyso.geometry",
    "dyso.records",
    "dyso.spec",
    "dyso.sampling",
    "dyso.export",
    "dyso.scoring",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, which are not on the disk."""
    schema = json_schema()
    pages = {
        "reference/cli.md": cli_page(),
        "reference/spec.md": spec_page(schema),
        "reference/spec.schema.json": json.dumps(schema, indent=2),
        **{f"reference/{name}.md": api_page(name) for name in PACKAGES},
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def cli_page() -> str:
    """Returns what every command's `--help` prints."""
    parts = ["# Command line", "", *_fenced(cli.usage())]
    for command, about in cli.COMMANDS.items():
        module = importlib.import_module(f"dyso.cli.{command}")
        parts += ["", f"## dyso {command}", "", f"{about[0].upper()}{about[1:]}.", ""]
        parts += _fenced(printed_help(command))
        for action in getattr(module, "_ACTIONS", {}):
            parts += ["", f"### dyso {command} {action}", ""]
            parts += _fenced(printed_help(command, action))
    return "\n".join(parts) + "\n"


def printed_help(*words: str) -> str:
    """Returns what `dyso WORDS --help` prints on a terminal of 88 columns."""
    out = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["dyso", *words, "--help"]),
        mock.patch.dict(os.environ, {"COLUMNS": "88"}),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        cli.main()
    return out.getvalue()


def _fenced(text: str) -> list[str]:
    return ["```text", text.rstrip(), "```"]


def spec_page(schema: dict[str, Any]) -> str:
    """Returns the tables of a spec's keys."""
    parts = [
        "# Specs",
        "",
        "A spec is a YAML file. `name` and `splits` must be given, every other key has",
        "a default. A range is `[low, high]`, from which a value is drawn uniformly;",
        "one number stands for both. Unknown keys are errors.",
        "",
        "[The JSON Schema](spec.schema.json) lets an editor complete, explain and",
        "check keys: [Write a spec](../tutorials/write-a-spec.md) says how.",
    ]
    for path, definition in _sections(schema, schema, ()):
        parts += ["", f"## {'.'.join(path) or 'Top level'}", ""]
        parts += [definition["description"], ""]
        parts += ["| key | value | default | meaning |", "|---|---|---|---|"]
        for key, entry in definition["properties"].items():
            cells = _cells(key, entry, path, key in definition.get("required", ()))
            parts.append("| " + " | ".join(cells) + " |")
    return "\n".join(parts) + "\n"


def _sections(
    schema: dict[str, Any], definition: dict[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    yield path, definition
    for key, entry in definition["properties"].items():
        if "$ref" in entry:
            inner = schema["definitions"][entry["$ref"].rpartition("/")[2]]
            yield from _sections(schema, inner, (*path, key))


def _cells(
    key: str, entry: dict[str, Any], path: tuple[str, ...], required: bool
) -> list[str]:
    if "$ref" in entry:
        anchor = "".join((*path, key)).lower()
        return [f"`{key}`", f"[section](#{anchor})", "", ""]
    default = "required" if required else f"`{json.dumps(entry.get('default'))}`"
    meaning = entry.get("description", "")
    return [f"`{key}`", _values(entry), default, meaning.replace("|", "\\|")]


def _values(entry: dict[str, Any]) -> str:
    """Returns the values that a JSON Schema allows, in words."""
    if "anyOf" in entry:
        return " or ".join(map(_values, entry["anyOf"]))
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    kind = entry["type"]
    if isinstance(kind, list):
        return " or ".join(_values({**entry, "type": each}) for each in kind)
    if kind == "array" and isinstance(entry["items"], list):
        return f"[{', '.join(map(_values, entry['items']))}]"
    if kind == "array":
        return f"list of {_values(entry['items'])}"
    if kind == "object":
        [value] = entry["patternProperties"].values()
        return f"name: {_values(value)}"
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    words = {"string": "text", "boolean": "true or false", "null": "null"}
    bounds = [
        f"{sign} {_number(entry[key])}" for key, sign in signs.items() if key in entry
    ]
    return " ".join([words.get(kind, kind), ", ".join(bounds)]).strip()


def _number(value: float) -> str:
    if value > 1e6 and math.log2(value).is_integer():
        return f"2^{math.log2(value):.0f}"
    return f"{value:g}"


def api_page(package: str) -> str:
    """Returns a page that mkdocstrings fills with a package's public names."""
    names = sorted(importlib.import_module(package).__all__, key=str.lower)
    members = "".join(f"        - {name}\n" for name in names)
    return f"# {package}\n\n::: {package}\n    options:\n      members:\n{members}"
