"""Specs: the complete description of a dataset in one YAML file."""

from dyso.errors import UserError
from dyso.spec.asset import Asset, Clip, Joint
from dyso.spec.cameras import Cameras, Handheld, Patterns, Rig
from dyso.spec.catalog import Catalog
from dyso.spec.dynamics import Animate, Articulate, Deform, Dynamics, Gait
from dyso.spec.errors import SpecError
from dyso.spec.layout import Layout
from dyso.spec.loader import (
    load_resolved,
    load_spec,
    load_with,
    parse_resolved,
    save_resolved,
)
from dyso.spec.procedural import ProceduralCatalog, ProceduralEnvironments
from dyso.spec.resolved import ResolvedSpec
from dyso.spec.schema import (
    LAYERS,
    REQUIRED_LAYERS,
    Backgrounds,
    Objects,
    Render,
    Spec,
    Visibility,
)
from dyso.spec.values import PHYSICS_RATE

__all__ = [
    "LAYERS",
    "PHYSICS_RATE",
    "REQUIRED_LAYERS",
    "Animate",
    "Articulate",
    "Asset",
    "Backgrounds",
    "Cameras",
    "Catalog",
    "Clip",
    "Deform",
    "Dynamics",
    "Gait",
    "Handheld",
    "Joint",
    "Layout",
    "Objects",
    "Patterns",
    "ProceduralCatalog",
    "ProceduralEnvironments",
    "Render",
    "ResolvedSpec",
    "Rig",
    "Spec",
    "SpecError",
    "UserError",
    "Visibility",
    "load_resolved",
    "load_spec",
    "load_with",
    "parse_resolved",
    "save_resolved",
]
