"""Turns the catalogs that a spec names into plain data."""

from __future__ import annotations

from pathlib import Path

from dyso.spec import ResolvedSpec, Spec, load_spec


def load(path: str | Path) -> ResolvedSpec:
    """Reads a spec and the catalogs it names; see `resolve`."""
    return resolve(load_spec(path), Path(path).parent)


def resolve(spec: Spec, folder: Path) -> ResolvedSpec:
    """Reads the catalogs that a spec names.

    Args:
      spec: the spec.
      folder: where its relative paths start.

    Raises:
      UserError: a manifest is missing or broken, or leaves a split without assets.
    """
    raise NotImplementedError
