"""The client of a worker process: start it, hand over a Scene, get Views back."""

from dyso.render.client import Device, Renderer
from dyso.render.process import SCENES, UNCERTAIN, RenderError
from dyso.render.views import Views, image_bytes

__all__ = [
    "SCENES",
    "UNCERTAIN",
    "Device",
    "RenderError",
    "Renderer",
    "Views",
    "image_bytes",
]
