"""Starts what renders scenes: a worker process, on a CPU of its own."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from dyso import assets
from dyso.pipeline.cancellation import SceneRenderer
from dyso.render import Device, Renderer
from dyso.render.system import claimed_cpu
from dyso.spec import ResolvedSpec

StartRenderer = Callable[..., SceneRenderer]
"""Makes a renderer, given the `cpu` to pin it to or None."""

IDLE_SECONDS = 10.0


@contextmanager
def started(
    resolved: ResolvedSpec,
    *,
    pin: bool,
    timeout: float | None,
    device: Device,
    renderer: StartRenderer | None = None,
) -> Iterator[SceneRenderer]:
    """Gives a renderer of a dataset's scenes, and ends it.

    Args:
      resolved: the dataset.
      pin: bind the worker process to a CPU that no other one on this machine has.
      timeout: seconds that one scene may take; None: see `dyso.render.Renderer`.
      device: see `dyso.render.Renderer`.
      renderer: makes another one than `dyso.render.Renderer`.

    Raises:
      UserError: see `dyso.assets.manifests`.
    """
    if renderer is None:
        objects, backgrounds = assets.manifests(resolved)
    with claimed_cpu() if pin else nullcontext() as cpu:
        own = (
            renderer(cpu=cpu)
            if renderer is not None
            else Renderer(
                objects=objects,
                backgrounds=backgrounds,
                timeout=timeout,
                cpu=cpu,
                device=device,
            )
        )
        with closing(own):
            yield own


@dataclass(kw_only=True)
class _Idle:
    """A renderer that nobody uses for now."""

    renderer: SceneRenderer
    stack: ExitStack
    timer: threading.Timer = field(init=False)


_idle: dict[bytes, list[_Idle]] = {}
_lock = threading.Lock()


@contextmanager
def lent(resolved: ResolvedSpec, **settings: Any) -> Iterator[SceneRenderer]:
    """Gives a renderer as `started` does, but ends it only when it is idle.

    For engines that make a DoFn for every task: a worker process takes longer to start
    than a scene to render, so the next task in this process gets the same one.

    Args:
      resolved: the dataset.
      settings: see `started`.

    Raises:
      UserError: see `started`.
    """
    key = pickle.dumps((resolved.hash, sorted(settings.items())))
    with _lock:
        waiting = _idle.get(key)
        own = waiting.pop() if waiting else None
    if own is None:
        with ExitStack() as stack:
            renderer = stack.enter_context(started(resolved, **settings))
            own = _Idle(renderer=renderer, stack=stack.pop_all())
    else:
        own.timer.cancel()
    try:
        yield own.renderer
    finally:
        own.timer = threading.Timer(IDLE_SECONDS, _end, (key, own))
        own.timer.daemon = True
        with _lock:
            _idle.setdefault(key, []).append(own)
        own.timer.start()


def _end(key: bytes, own: _Idle) -> None:
    with _lock:
        if own not in _idle[key]:
            return
        _idle[key].remove(own)
    own.stack.close()
