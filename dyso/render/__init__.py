"""The client of worker processes, which render a `Scene` to `Views`."""

from dyso.render.client import Device, Renderer
from dyso.render.protocol import SCENE_REASONS, UNCERTAIN_REASONS, RenderError
from dyso.render.views import Views, image_bytes

__all__ = [
    "SCENE_REASONS",
    "UNCERTAIN_REASONS",
    "Device",
    "RenderError",
    "Renderer",
    "Views",
    "image_bytes",
]
