"""Runs `python -m dyso.worker` and talks to it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from dyso.render.views import Views
from dyso.sampling.scene import Scene


class RenderError(Exception):
    """A scene could not be rendered.

    Attributes:
      reason: one word for counting: `crash`, `timeout`, `asset`, `error`.
      asset: the id of the asset that is to blame, or empty.
      stderr: the tail of the worker's stderr.
    """

    def __init__(self, reason: str, message: str, *, asset: str = "", stderr: str = ""):
        super().__init__(message)
        self.reason, self.asset, self.stderr = reason, asset, stderr


class Renderer:
    """One worker process; a context manager, not for sharing between threads."""

    def __init__(
        self,
        *,
        objects: str | Path,
        backgrounds: str | Path,
        timeout: float = 600.0,
        recycle: int = 200,
        cpu: int | None = None,
    ):
        """Starts nothing yet; the process starts with the first scene.

        Args:
          objects: the object catalog's manifest (`Catalog.manifest`).
          backgrounds: the HDRI catalog's manifest.
          timeout: seconds that one scene may take.
          recycle: scenes after which the process is replaced.
          cpu: pin the process to this CPU; None leaves it alone.
        """
        raise NotImplementedError

    def render(self, scene: Scene) -> Views:
        """Renders one scene.

        Raises:
          RenderError: the worker crashed, hung, or reported an error. The next call
            starts a fresh process.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Ends the process and removes its files; safe to call twice."""

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
