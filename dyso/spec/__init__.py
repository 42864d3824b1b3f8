"""Specs: what a dataset is, said whole in one YAML file."""

from dyso.spec.catalog import Asset, Catalog, ResolvedSpec
from dyso.spec.errors import UserError
from dyso.spec.layout import Layout
from dyso.spec.loader import load_resolved, load_spec, parse_resolved, save_resolved
from dyso.spec.schema import (
    REQUIRED_LAYERS,
    Backgrounds,
    Cameras,
    Dynamics,
    Handheld,
    Objects,
    Patterns,
    Render,
    Spec,
    Visibility,
)

__all__ = [
    "REQUIRED_LAYERS",
    "Asset",
    "Backgrounds",
    "Cameras",
    "Catalog",
    "Dynamics",
    "Handheld",
    "Layout",
    "Objects",
    "Patterns",
    "Render",
    "ResolvedSpec",
    "Spec",
    "UserError",
    "Visibility",
    "load_resolved",
    "load_spec",
    "parse_resolved",
    "save_resolved",
]
