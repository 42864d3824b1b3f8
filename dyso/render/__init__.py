"""The client of a worker process: start it, hand over a Scene, get Views back."""

from dyso.render.client import Device, Renderer, RenderError
from dyso.render.views import Views

__all__ = ["Device", "RenderError", "Renderer", "Views"]
