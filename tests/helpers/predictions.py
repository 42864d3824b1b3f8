"""Predictions of a dataset: its truth, which tests then change."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from dyso.reading import Dataset
from dyso.scoring import held_out_views, queries_of, score, true_tracks
from dyso.scoring.predictions import Predictions
from dyso.scoring.scores import scored_scenes


def write_truth(
    folder: Path, dataset: Dataset, method="perfect", scenes=(0,), **manifest
) -> Path:
    """Writes a dataset's truth as predictions, of all views."""
    split = dataset["test"]
    for index in scenes:
        scene = folder / f"scene_{index}"
        for kind in ("color", "depth"):
            (scene / kind).mkdir(parents=True)
        record = split[index]
        held_out = held_out_views(split.spec)
        for view in held_out:
            Image.fromarray(record["color"][view]).save(scene / f"color/{view:05}.png")
        for view, depth in enumerate(record["depth"][..., 0]):
            np.savez_compressed(scene / f"depth/{view}.npz", depth=depth)
        true = true_tracks(split, index, queries_of(split, index))
        np.savez_compressed(scene / "tracks_3d.npz", points=true.points)
        np.savez_compressed(
            scene / "tracks_2d.npz", pixels=true.pixels, visible=true.visible
        )
        views = np.arange(split.spec.views)
        np.savez_compressed(
            scene / "cameras.npz", views=views, extrinsics=record["extrinsics"]
        )
    about = {"method": method, "dataset": dataset.resolved.hash, "split": "test"}
    (folder / "predictions.json").write_text(json.dumps(about | manifest))
    return folder


def scores_of(dataset, *folders, **options):
    methods = [Predictions.open(folder, dataset.resolved) for folder in folders]
    scenes = scored_scenes(dataset, methods, None)
    return score(dataset, methods, scenes, **options)


def change(path, **arrays):
    """Replaces arrays of an .npz by functions of them; None leaves one out."""
    kept = dict(np.load(path))
    kept |= {name: function(kept[name]) for name, function in arrays.items()}
    np.savez(path, **kept)
