"""Run as a script: the steps in brightness along the edges of path traced windows.

`python tests/helpers/seams.py SCENES OUTPUT.npz [GROUND]` renders one view each of that
many scenes, whose objects are matt, glossy, of glass or emissive, and on all starter
backgrounds.
"""

import dataclasses
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from dyso.assets import manifests, resolve
from dyso.sampling import sample_scene
from dyso.spec import Backgrounds, Cameras, Dynamics, Objects, Render, Spec
from dyso.worker import shadows
from dyso.worker.stage import SEAM, Stage

SEGMENT = 8  # pixels of an edge that are averaged


def steps(
    image: np.ndarray,
    shaded: np.ndarray,
    on_floor: np.ndarray,
    window: shadows.Window,
) -> list[tuple[float, float]]:
    """Returns the step and the pixel noise of each segment of a window's edges.

    Both are shares of the local radiance.

    Args:
      image: [H, W, 3], the view.
      shaded: [H, W, 3], the same without path tracing: what is outside the window, and
        its continuation into it, with all its shadows.
      on_floor: [H, W], the pixels that count.
      window: the path traced pixels.
    """
    light = image.mean(-1) / np.maximum(shaded.mean(-1), 1e-6)
    top, bottom, left, right = dataclasses.astuple(window)
    rows, columns = slice(top, bottom), slice(left, right)
    result = []
    for values, valid, lines in (
        (light[:, columns], on_floor[:, columns], (top + 1, top, top - 1)),
        (light[:, columns], on_floor[:, columns], (bottom - 2, bottom - 1, bottom)),
        (light[rows].T, on_floor[rows].T, (left + 1, left, left - 1)),
        (light[rows].T, on_floor[rows].T, (right - 2, right - 1, right)),
    ):
        if min(lines) < 0 or max(lines) >= len(values):
            continue
        lit, on = values[list(lines)], valid[list(lines)].all(0)
        for start in range(0, lit.shape[1] - SEGMENT + 1, SEGMENT):
            part = slice(start, start + SEGMENT)
            if on[part].all():
                inner, inside, outside = lit[:, part]
                noise = np.hypot(inner.std(), inside.std())
                result.append((abs((inside - outside).mean()), noise))
    return result


def main() -> None:
    count, ground = int(sys.argv[1]), (*sys.argv[3:], "photo")[0]
    spec = Spec(
        name="seams",
        splits={"train": count},
        resolution=(96, 96),
        objects=Objects(catalog="procedural"),
        backgrounds=Backgrounds(ground=ground),
        dynamics=Dynamics(steps=1),
        cameras=Cameras(count=1),
        render=Render(samples=32),
    )
    resolved = resolve(spec, Path())
    found: list[tuple[int, float, float]] = []
    whole = 0
    compose, shaded = shadows.compose, shadows.shaded
    floors: list[np.ndarray] = []

    def kept(*arguments: Any) -> Any:
        image, gap = shaded(*arguments)
        floors.append(image.copy())
        return image, gap

    def composed(empty: Any, shade: Any, traced: Any, instance: Any) -> Any:
        nonlocal whole
        image, gap = compose(empty, shade, traced, instance)
        if gap > SEAM:
            whole += 1
        else:
            near = ndimage.binary_dilation(instance > 0, iterations=3)
            on_floor = empty.on_floor & ~near
            found.extend(
                (number, *each)
                for each in steps(image, floors[-1], on_floor, shade.window)
            )
        return image, gap

    shadows.compose, shadows.shaded = composed, kept
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", folder)
        stage = Stage(*manifests(resolved), Path(folder), "cpu")
        for number in range(count):
            stage.render(sample_scene(resolved, "train", number))
        stage.close()
    np.savez(sys.argv[2], steps=np.array(found).reshape(-1, 3), whole=whole)


if __name__ == "__main__":
    main()
