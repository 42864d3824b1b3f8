"""Starts worker processes that render scenes, each pinned to a CPU.

Their number follows from memory and CPUs: `dyso.render.resources.default_workers`.
"""

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
from dyso.render.resources import claimed_cpu
from dyso.spec import ResolvedSpec

StartRenderer = Callable[..., SceneRenderer]
"""Makes a renderer, given the `cpu` to pin it to or None."""

IDLE_SECONDS = 10.0


@contextmanager
def new_renderer(
    resolved: ResolvedSpec,
    *,
    pin: bool,
    timeout: float | None,
    device: Device,
    renderer: StartRenderer | None = None,
) -> Iterator[SceneRenderer]:
    """Yields a new renderer for a dataset and closes it at the end.

    Args:
      resolved: the dataset.
      pin: pin the worker process to a CPU that no other worker on this machine uses.
      timeout: time limit for one scene in seconds; None: see `dyso.render.Renderer`.
      device: see `dyso.render.Renderer`.
      renderer: makes the renderer; None makes a `dyso.render.Renderer`.

    Raises:
      UserError: see `dyso.assets.manifests`.
    """
    if renderer is None:
        objects, backgrounds = assets.manifests(resolved)
    with claimed_cpu() if pin else nullcontext() as cpu:
        worker = (
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
        with closing(worker):
            yield worker


@dataclass(kw_only=True)
class _Pooled:
    """A renderer that is not in use."""

    renderer: SceneRenderer
    stack: ExitStack
    timer: threading.Timer = field(init=False)


_idle: dict[bytes, list[_Pooled]] = {}
_lock = threading.Lock()


@contextmanager
def pooled_renderer(resolved: ResolvedSpec, **settings: Any) -> Iterator[SceneRenderer]:
    """Yields a renderer of a pool; the pool closes it after `IDLE_SECONDS` without use.

    This is for runners that make a new DoFn for every task. The next task reuses the
    renderer, which saves the start of a worker process.

    Args:
      resolved: the dataset.
      settings: see `new_renderer`.

    Raises:
      UserError: see `new_renderer`.
    """
    key = pickle.dumps((resolved.hash, sorted(settings.items())))
    with _lock:
        idle = _idle.get(key)
        pooled = idle.pop() if idle else None
    if pooled is None:
        with ExitStack() as stack:
            renderer = stack.enter_context(new_renderer(resolved, **settings))
            pooled = _Pooled(renderer=renderer, stack=stack.pop_all())
    else:
        pooled.timer.cancel()
    try:
        yield pooled.renderer
    finally:
        pooled.timer = threading.Timer(IDLE_SECONDS, _close, (key, pooled))
        pooled.timer.daemon = True
        with _lock:
            _idle.setdefault(key, []).append(pooled)
        pooled.timer.start()


def _close(key: bytes, pooled: _Pooled) -> None:
    with _lock:
        if pooled not in _idle[key]:
            return
        _idle[key].remove(pooled)
    pooled.stack.close()
