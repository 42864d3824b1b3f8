"""Reads specs from YAML, and resolved specs from the JSON kept with the data.

All errors of a spec are reported at once, as `file:line: key: what is wrong`, or as
`--set key: what is wrong` if the command line set the key.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from dyso.errors import UserError
from dyso.spec import cameras, dynamics, schema, values
from dyso.spec.errors import SpecError
from dyso.spec.renamed import CURRENT, current_name, rename
from dyso.spec.resolved import ResolvedSpec
from dyso.spec.schema import Spec

MAX_BYTES = 1 << 18
"""Largest spec in bytes. Reading this much YAML takes some seconds."""
MAX_RESOLVED = 1 << 28
"""Largest spec.json in bytes. An asset takes about 200."""
MAX_DEPTH = 20
"""Deepest nesting of lists and mappings. YAML takes time quadratic in the depth."""
_Used = TypeVar("_Used")
_Location = tuple[str | int, ...]
_OVERRIDE = 0
"""In place of a line's number: the command line set the key."""
_NAMED = vars(schema) | vars(cameras) | vars(dynamics) | vars(values)
_STARTS = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_ENDS = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """Reads and validates a spec.

    Args:
      path: a YAML file of at most `MAX_BYTES`.
      overrides: `key=value` each, such as `splits.train=100`: a key with dots and its
        value as YAML, in place of the file's. Of two for one key, the last holds.

    Raises:
      UserError: the file cannot be read or is not a valid spec; one line per error.
    """
    return load_with(path, lambda spec: spec, overrides)


def load_with(
    path: str | Path, use: Callable[[Spec], _Used], overrides: Sequence[str] = ()
) -> _Used:
    """Reads and validates a spec, and returns what `use` makes of it.

    Args:
      path: see `load_spec`.
      use: takes the spec. If it raises a `SpecError`, the lines of its keys are added.
      overrides: see `load_spec`.

    Raises:
      UserError: see `load_spec`.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: a spec is at most {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}") from error
    root, data = _parse(text, str(path))
    lines: dict[_Location, int] = {(): 1}
    problems = _index_lines(root, (), lines)
    if isinstance(data, dict):
        for override in overrides:
            _override(data, lines, override)
    try:
        # Through JSON: in strict mode, only JSON input may be a list for a tuple.
        spec = pydantic.TypeAdapter(Spec).validate_json(_as_json(path, data))
        if not problems:
            return use(spec)
    except pydantic.ValidationError as error:
        problems += [_problem(data, item) for item in error.errors()]
    except SpecError as error:
        problems = [
            (tuple(key.split(".")), f"{key}: {text}") for key, text in error.problems
        ]
    # Without repetitions: a number that stands for both ends is reported once.
    located = [(_line(lines, location), text) for location, text in problems]
    messages = dict.fromkeys(
        f"--set {text}" if line == _OVERRIDE else f"{path}:{line}: {text}"
        for line, text in sorted(located, key=lambda item: item[0])
    )
    raise UserError("\n".join(messages))


def _override(data: Any, lines: dict[_Location, int], override: str) -> None:
    """Sets one key of a spec, and the keys' lines.

    Args:
      data: the whole spec, a mapping; changed in place.
      lines: each key's line; changed in place.
      override: `key=value`.

    Raises:
      UserError: the override is not of this form, or the key is below a value that is
        not a mapping.
    """
    key, equals, text = override.partition("=")
    *sections, name = location = tuple(key.split("."))
    if not equals or not all(location):
        raise UserError(
            f"--set {_short(override)}: must be KEY=VALUE, such as splits.train=100"
        )
    _, value = _parse(text, f"--set {key}")
    inner = data
    for depth, section in enumerate(sections, 1):
        if inner.get(section) is None:
            inner[section] = {}
            lines[location[:depth]] = _OVERRIDE
        inner = inner[section]
        if not isinstance(inner, dict):
            raise UserError(
                f"--set {key}: {'.'.join(sections[:depth])} is {_short(inner)}, not a "
                "mapping with keys to set"
            )
    for known in [each for each in lines if each[: len(location)] == location]:
        del lines[known]
    inner[name] = value
    lines[location] = _OVERRIDE


def _parse(text: str, origin: str) -> tuple[yaml.Node | None, Any]:
    try:
        depth = 0
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            depth += isinstance(token, _STARTS) - isinstance(token, _ENDS)
            line = token.start_mark.line + 1
            if depth > MAX_DEPTH:
                raise UserError(f"{origin}:{line}: nested more than {MAX_DEPTH} deep")
            # Aliases could make a small file grow without bound; no spec needs them.
            if isinstance(token, yaml.AliasToken):
                raise UserError(f"{origin}:{line}: YAML aliases are not supported")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return root, yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{origin}:{line}: not valid YAML: {problem}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{origin}: not valid YAML: {error}") from error


def _as_json(path: Path, data: Any) -> str:
    try:
        return json.dumps(data, default=lambda value: {"not JSON": str(value)})
    except (TypeError, ValueError) as error:  # odd keys, and very large numbers
        raise UserError(f"{path}: not a valid spec: {error}") from error


def _index_lines(
    node: yaml.Node | None, location: _Location, lines: dict[_Location, int]
) -> list[tuple[_Location, str]]:
    """Fills `lines` with each key's line; returns the repeated keys."""
    repeated: list[tuple[_Location, str]] = []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            inner = (*location, str(key.value))
            if inner in seen:
                repeated.append((inner, f"{_dotted(inner)}: is given twice"))
            seen.add(inner)
            lines[inner] = key.start_mark.line + 1
            repeated += _index_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*location, index)] = value.start_mark.line + 1
            repeated += _index_lines(value, (*location, index), lines)
    return repeated


def _problem(data: Any, error: Any) -> tuple[_Location, str]:
    if error["type"] == "value_error":  # from checks between sections
        text = str(error["ctx"]["error"])
        return tuple(text.partition(":")[0].split(".")), text
    location = _given(data, error["loc"])
    got = error["input"]
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            current = current_name(tuple(map(str, location)))
            message = f"is now {current}" if current else "unknown key"
            message += "" if current else _did_you_mean(data, location)
        case "patterns" if former := _former_names(got, location):
            message = former
        case "missing":
            message = "is required"
        case "predicate_failed":
            message = f"must be {_predicate_text(error['msg'])}, got {_short(got)}"
        case "dataclass_type" | "dataclass_exact_type":
            message = f"must be a mapping of keys to values, got {_short(got)}"
        case "too_short":
            message = f"must have at least {error['ctx']['min_length']} items"
        case "tuple_type":
            message = f"must be a list, got {_short(got)}"
            if isinstance(got, str):
                message += f"; write [{got[:60]}]"
        case _:
            text = error["msg"].removeprefix("Input should be ")
            message = f"must be {text}, got {_short(got)}"
    return location, f"{_dotted(location)}: {message}"


def _given(data: Any, location: _Location) -> _Location:
    """Returns a location without markers or indices into a pair given as one number."""
    parts: list[str | int] = []
    for part in location:
        if part == "[key]" or (isinstance(part, int) and not isinstance(data, list)):
            continue
        parts.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
    return tuple(parts)


def _predicate_text(message: str) -> str:
    """Returns the requirement of a predicate of the schema."""
    name = message.split("'")[1].rpartition(".")[2]
    return values.asked(_NAMED[name])


def _did_you_mean(data: Any, location: _Location) -> str:
    fields = {
        name
        for kind in _NAMED.values()
        if isinstance(kind, type)
        for name in getattr(kind, "__dataclass_fields__", {})
    }
    close = difflib.get_close_matches(str(location[-1]), fields, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _former_names(value: list[Any], location: _Location) -> str:
    keys = [(*map(str, location), str(name)) for name in value]
    names = [f"{key[-1]} is now {CURRENT[key]}" for key in keys if key in CURRENT]
    return ", ".join(names)


def _line(lines: dict[_Location, int], location: _Location) -> int:
    while location not in lines:
        location = location[:-1]
    return lines[location]


def _dotted(location: _Location) -> str:
    return ".".join(str(part) for part in location) or "spec"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def save_resolved(resolved: ResolvedSpec) -> bytes:
    """Returns the JSON stored with the data as `spec.json`."""
    return pydantic.TypeAdapter(ResolvedSpec).dump_json(resolved)


def load_resolved(path: str | Path) -> ResolvedSpec:
    """Reads the `spec.json` of a dataset.

    Raises:
      UserError: the file is missing or not a resolved spec.
    """
    path = Path(path)
    try:
        # An untrusted path may be a pipe or a huge sparse file.
        if not path.is_file() or path.stat().st_size > MAX_RESOLVED:
            path.stat()
            raise UserError(f"{path}: not a file of at most {MAX_RESOLVED} bytes")
        return parse_resolved(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def parse_resolved(text: bytes, where: str) -> ResolvedSpec:
    """Parses a resolved spec; its keys may have their former names.

    Args:
      text: the JSON that `save_resolved` returned.
      where: where the text is from, for the error.

    Raises:
      UserError: the text is not a resolved spec.
    """
    adapter = pydantic.TypeAdapter(ResolvedSpec)
    try:
        try:
            return adapter.validate_json(text)
        except pydantic.ValidationError:
            data = json.loads(text)
            rename(data["spec"], CURRENT)
            return adapter.validate_json(json.dumps(data))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(f"{where}: not a resolved spec") from error
