"""What it costs that objects change their shapes: bytes and core-seconds of a scene.

    python benchmarks/deform.py --scenes 8
    python benchmarks/deform.py --spec specs/articulated.yaml --scenes 8

Renders scenes of a spec, and the same scenes of rigid objects without the layer
`surface`; prints both and their ratio.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from pathlib import Path

from dyso import records
from dyso.assets import resolve
from dyso.render import Renderer
from dyso.sampling import Scene, sample_scene
from dyso.spec import load_spec


def main() -> None:
    """Prints a line for each scene, then the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spec", type=Path, default=Path("specs/deform.yaml"))
    parser.add_argument("--scenes", type=int, default=8)
    arguments = parser.parse_args()
    resolved = resolve(load_spec(arguments.spec), arguments.spec.parent)
    split = next(iter(resolved.spec.splits))
    costs: dict[str, list[tuple[int, float]]] = {"rigid": [], "changing": []}
    with Renderer(
        objects=resolved.objects.manifest, backgrounds=resolved.backgrounds.manifest
    ) as renderer:
        for index in range(arguments.scenes):
            scene = sample_scene(resolved, split, index)
            still = rigid(scene)
            # Makes the assets and loads them once, so that neither pays for it.
            renderer.render(dataclasses.replace(still, cameras=still.cameras[:1]))
            for name, each in (("rigid", still), ("changing", scene)):
                views = renderer.render(each)
                size = len(records.encode(each, views))
                costs[name].append((size, views.timings["cpu"]))
            print(f"scene {index}: {line(costs['rigid'][-1], costs['changing'][-1])}")
    means = [
        tuple(map(statistics.mean, zip(*own, strict=True))) for own in costs.values()
    ]
    print(f"mean: {line(*means)}")


def rigid(scene: Scene) -> Scene:
    """Returns the scene with objects in their rest shapes, without surfaces."""
    layers = tuple(name for name in scene.render.layers if name != "surface")
    return dataclasses.replace(
        scene,
        objects=tuple(
            dataclasses.replace(
                item, deformation=None, gait=None, articulation=None, animation=None
            )
            for item in scene.objects
        ),
        render=dataclasses.replace(scene.render, layers=layers),
    )


def line(still: tuple[float, ...], moving: tuple[float, ...]) -> str:
    """Returns bytes and core-seconds of both, and their ratios."""
    return (
        f"{still[0]:,.0f} and {moving[0]:,.0f} bytes (x {moving[0] / still[0]:.2f}), "
        f"{still[1]:.1f} and {moving[1]:.1f} core-seconds "
        f"(x {moving[1] / still[1]:.2f})"
    )


if __name__ == "__main__":
    main()
