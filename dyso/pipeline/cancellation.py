"""Cancels a job whose DoFns run in the same process.

The threads of a runner cannot be interrupted, and when one thread fails, a local runner
lets the others finish all their elements. Therefore every DoFn checks a shared
`Cancellation` before each scene. Cancelling also ends the worker processes, even in the
middle of a scene. The job then runs out of work and raises the first error itself.

With a runner of several processes, DoFns find no shared `Cancellation`. Exceptions that
they raise go to the runner, which retries or stops.
"""

from __future__ import annotations

import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dyso.render import Views
from dyso.sampling.scene import Scene


class SceneRenderer(Protocol):
    """The methods of `dyso.render.Renderer` that the pipeline calls."""

    def render(self, scene: Scene, watch: Callable[[int], None] = ...) -> Views:
        """Renders one scene; calls `watch` with the number of views rendered so far.

        Raises:
          dyso.render.RenderError: the scene could not be rendered.
        """

    def close(self) -> None:
        """Ends the worker process."""


class Cancelled(Exception):
    """The job has been cancelled."""


class Cancellation:
    """The cancellation state of one job in this process.

    Attributes:
      error: the error that cancelled the job; None if there was no error.
    """

    def __init__(self, *, watched: bool) -> None:
        """Creates a state that is not cancelled.

        Args:
          watched: whether the job runs in this process and raises `error` itself.
        """
        self.error: Exception | None = None
        self._watched = watched
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._renderers: list[SceneRenderer] = []

    def check(self) -> None:
        """Raises `Cancelled` if the job has been cancelled."""
        if self._cancelled.is_set() or (not self._watched and _abandoned()):
            raise Cancelled

    @property
    def cancelled(self) -> bool:
        """Whether the job has been cancelled."""
        return self._cancelled.is_set()

    def cancel(self, error: Exception | None = None) -> None:
        """Cancels the job and ends its worker processes, in the middle of a scene."""
        with self._lock:
            if not self._cancelled.is_set():
                self.error = error
            self._cancelled.set()
            renderers = list(self._renderers)
        for renderer in renderers:
            renderer.close()

    def add(self, renderer: SceneRenderer) -> None:
        """Registers a renderer for `cancel` to close."""
        with self._lock:
            self._renderers.append(renderer)

    @contextmanager
    def cancel_on_error(self) -> Iterator[None]:
        """Cancels the job if the block raises an exception.

        If `watched`, the exception is suppressed, because the job raises it and the
        runner would print long tracebacks, once for every thread.
        """
        try:
            yield
        except Exception as error:
            self.cancel(None if isinstance(error, Cancelled) else error)
            if not self._watched:
                raise


_cancellations: dict[str, Cancellation] = {}


@contextmanager
def new_cancellation() -> Iterator[tuple[str, Cancellation]]:
    """Yields a new `Cancellation` and the key for `find_cancellation`."""
    key = uuid.uuid4().hex
    _cancellations[key] = Cancellation(watched=True)
    try:
        yield key, _cancellations[key]
    finally:
        del _cancellations[key]


def find_cancellation(key: str) -> Cancellation:
    """Returns the `Cancellation` of a key; in other processes a new, unwatched one."""
    return _cancellations.get(key) or Cancellation(watched=False)


def _abandoned() -> bool:
    """Returns whether this thread runs a Dask task whose job was cancelled or is gone.

    Dask withdraws the tasks of such a job, but cannot interrupt a running task.
    """
    dask = sys.modules.get("distributed.worker")
    if dask is None:
        return False
    try:
        worker = dask.get_worker()
    except ValueError:  # not in a task
        return False
    task = worker.state.tasks.get(getattr(dask.thread_state, "key", None))
    return task is not None and task.state == "cancelled"


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM raise KeyboardInterrupt in the main thread, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
