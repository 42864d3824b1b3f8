"""Manifests, their catalogs, and the starter assets."""

from dyso.assets.resolve import load, resolve

__all__ = ["load", "resolve"]
