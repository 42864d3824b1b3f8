"""Examples of trainers for view synthesis: many views of one scene at rest."""

from __future__ import annotations

from collections.abc import Iterator

from dyso.spec import Spec


def examples_of(spec: Spec) -> Iterator[tuple[str, range]]:
    """Yields the examples of a scene: a name, and the views in their order.

    Each dynamics step is an example, since these trainers take the views of an example
    for a scene at rest. The video of one moving camera is a single example, without the
    cameras held out.
    """
    steps, cameras = spec.layout.shape
    if spec.cameras.paired:
        yield "video", range(0, steps * cameras, cameras)
        return
    for step in range(steps):
        yield f"step_{step:03}", range(step * cameras, (step + 1) * cameras)
