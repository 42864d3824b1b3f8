"""What a job and its DoFns share when they run in one process: a way to stop.

An engine's threads cannot be interrupted, and a local engine lets the other threads
finish all they have when one fails. So every DoFn asks its session before each scene,
and a stopped session ends the worker processes that scenes wait for; the job then runs
out of work and raises the error itself. On an engine of many processes DoFns find no
session: what they raise goes to the engine, which retries or stops.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dyso.pipeline.runners import abandoned
from dyso.render import Views
from dyso.sampling.scene import Scene


class SceneRenderer(Protocol):
    """What the pipeline asks of `dyso.render.Renderer`."""

    def render(self, scene: Scene, watch: Callable[[int], None] = ...) -> Views:
        """Renders one scene, and tells how many views of it there are so far.

        Raises:
          RenderError: of `dyso.render`.
        """

    def close(self) -> None:
        """Ends what was started."""


class Stopped(Exception):
    """The job was told to stop."""


class Session:
    """One job in this process.

    Attributes:
      error: what stopped the job first, if it was an error.
    """

    def __init__(self, *, watched: bool) -> None:
        """Starts with nothing to stop.

        Args:
          watched: whether the job is in this process and raises the `error`.
        """
        self.error: Exception | None = None
        self._watched = watched
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._renderers: list[SceneRenderer] = []

    def check(self) -> None:
        """Raises `Stopped` if the job shall stop."""
        if self._stopped.is_set() or (not self._watched and abandoned()):
            raise Stopped

    @property
    def stopped(self) -> bool:
        """Whether the job shall stop."""
        return self._stopped.is_set()

    def stop(self, error: Exception | None = None) -> None:
        """Ends the worker processes; scenes begun are given up."""
        with self._lock:
            if not self._stopped.is_set():
                self.error = error
            self._stopped.set()
            renderers = list(self._renderers)
        for renderer in renderers:
            renderer.close()

    def add(self, renderer: SceneRenderer) -> None:
        """Has `stop` close a renderer."""
        with self._lock:
            self._renderers.append(renderer)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Stops with what its block raises.

        Where the session is watched, the block then just ends: an engine would print
        pages of its own frames, once for every thread.
        """
        try:
            yield
        except Exception as error:
            self.stop(None if isinstance(error, Stopped) else error)
            if not self._watched:
                raise


_sessions: dict[str, Session] = {}


@contextmanager
def new_session() -> Iterator[tuple[str, Session]]:
    """Gives a session and the key by which DoFns of this process find it."""
    key = uuid.uuid4().hex
    _sessions[key] = Session(watched=True)
    try:
        yield key, _sessions[key]
    finally:
        del _sessions[key]


def find_session(key: str) -> Session:
    """Gives the session of this process, or a new one that nobody stops."""
    return _sessions.get(key) or Session(watched=False)
