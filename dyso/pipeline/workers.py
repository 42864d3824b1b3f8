"""Starts what renders scenes: a worker process, on a CPU of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext

from dyso.pipeline.session import SceneRenderer
from dyso.render import Device, Renderer
from dyso.render.system import claimed_cpu
from dyso.spec import ResolvedSpec

StartRenderer = Callable[..., SceneRenderer]
"""Makes a renderer, given the `cpu` to pin it to or None."""


@contextmanager
def started(
    resolved: ResolvedSpec,
    *,
    pin: bool,
    timeout: float,
    device: Device,
    renderer: StartRenderer | None = None,
) -> Iterator[SceneRenderer]:
    """Gives a renderer of a dataset's scenes, and ends it.

    Args:
      resolved: the dataset.
      pin: bind the worker process to a CPU that no other one on this machine has.
      timeout: seconds that one scene may take.
      device: see `dyso.render.Renderer`.
      renderer: makes another one than `dyso.render.Renderer`.
    """
    with claimed_cpu() if pin else nullcontext() as cpu:
        own = (
            renderer(cpu=cpu)
            if renderer is not None
            else Renderer(
                objects=resolved.objects.manifest,
                backgrounds=resolved.backgrounds.manifest,
                timeout=timeout,
                cpu=cpu,
                device=device,
            )
        )
        with closing(own):
            yield own
