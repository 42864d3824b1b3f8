"""Errors of the tracks of a fit at each time step, also of one that is not finished.

    python benchmarks/drift.py data/small_panoptic predictions/gaussians

The points are those that `dyso score` measures. Distances are in metres: how far the
points of an object have moved since the first step (median), and how far the tracks are
from them (median, 90th percentile).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dyso.fit.data import MultiView
from dyso.fit.gaussians import predictions, run
from dyso.fit.predictions import scene_folder
from dyso.reading import Dataset
from dyso.scoring import queries_of, true_tracks


def main() -> None:
    """Prints a line for each time step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("fit", type=Path, help="the predictions of `dyso fit`")
    parser.add_argument("--scene", type=int, default=0)
    arguments = parser.parse_args()
    data = Dataset(arguments.dataset)
    split = data[next(iter(data.splits))]
    scene = MultiView.open(split, arguments.scene)
    folder = scene_folder(arguments.fit, arguments.scene) / "fit"
    track = run.read_track(folder, len(list((folder / "steps").iterdir())))
    queries = queries_of(split, scene.scene)
    truth = true_tracks(split, scene.scene, queries).points
    found = predictions.follow(
        track.first, np.stack(track.means), np.stack(track.rotations), queries.point
    )
    for step, points in enumerate(found):
        parts = []
        for instance in np.unique(queries.instance):
            chosen = queries.instance == instance
            moved = np.linalg.norm(truth[step] - truth[0], axis=-1)[chosen]
            errors = np.linalg.norm(points - truth[step], axis=-1)[chosen]
            parts.append(
                f"object {instance}: moved {np.median(moved):.3f}, "
                f"error {np.median(errors):.4f}, {np.quantile(errors, 0.9):.4f}"
            )
        print(f"step {step}: {'; '.join(parts)}")


if __name__ == "__main__":
    main()
