"""Predictions of a fit that stands still: its views of dynamics step 0 at all steps.

    python benchmarks/still.py data/small_panoptic predictions/fit predictions/still
    dyso score predictions/still predictions/fit --data data/small_panoptic

A method that follows motion must score better than these. Tracks are written for fits
that have some.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from dyso.fit.data import MultiView
from dyso.fit.gaussians.predictions import write_tracks
from dyso.fit.predictions import scene_folder, write_manifest
from dyso.reading import Dataset
from dyso.scoring import queries_of


def main() -> None:
    """Writes the predictions for one scene, and the cameras that `dyso fit` chooses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("fit", type=Path, help="the predictions of `dyso fit`")
    parser.add_argument("out", type=Path)
    parser.add_argument("--scene", type=int, default=0)
    arguments = parser.parse_args()
    data = Dataset(arguments.dataset)
    scene = MultiView.open(data[next(iter(data.splits))], arguments.scene)
    write_manifest(
        arguments.out,
        method="still",
        dataset=data.resolved.hash,
        split=scene.split.name,
        cameras=scene.training,
        steps=scene.steps,
    )
    source, folder = (
        scene_folder(out, arguments.scene) for out in (arguments.fit, arguments.out)
    )
    for kind, suffix in (("color", "png"), ("depth", "npz")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for step in range(scene.steps):
            for camera in scene.held_out:
                shutil.copyfile(
                    source / f"{kind}/{scene.view(0, camera):05}.{suffix}",
                    folder / f"{kind}/{scene.view(step, camera):05}.{suffix}",
                )
    if (source / "tracks_3d.npz").exists():
        points = queries_of(scene.split, scene.scene).point
        write_tracks(folder, np.stack([points] * scene.steps))


if __name__ == "__main__":
    main()
