"""Manifests, their catalogs, and the starter assets."""

from dyso.assets.resolve import load, manifests, resolve

__all__ = ["load", "manifests", "resolve"]
