"""Keys of a spec that had another name before version 0.1.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Key = tuple[str, ...]

FORMER: dict[Key, str] = {
    ("dynamics", "spawn_radius"): "area",
    ("visibility", "share_of_views"): "views",
    ("cameras", "patterns", "rig"): "dome",
}
"""The last part of a key's former name. Identities are hashes over the former names, so
datasets keep their identity when a key is renamed."""
CURRENT: dict[Key, str] = {
    (*section, old): new for (*section, new), old in FORMER.items()
}
"""The last part of a key's name today, by the former key."""


def current_name(key: Key) -> str | None:
    """Returns a former key's name today, with dots; None for any other key."""
    name = CURRENT.get(key)
    return name and ".".join((*key[:-1], name))


def rename(spec: dict[str, Any], names: Mapping[Key, str]) -> None:
    """Renames keys of a spec in place; the order of the keys stays.

    Args:
      spec: nested dictionaries, as in YAML.
      names: each key's new last part: `FORMER` or `CURRENT`.
    """
    for (*sections, name), new in names.items():
        inner: Any = spec
        for section in sections:
            inner = inner.get(section) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            items = [(new if k == name else k, value) for k, value in inner.items()]
            inner.clear()
            inner.update(items)
