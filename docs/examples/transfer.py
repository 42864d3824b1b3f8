"""Measure how a model of any kind transfers camera and dynamics between twin scenes.

    python docs/examples/transfer.py data/transfer transfer-tasks

Writes each scene with its twin and an unrelated scene as a plain .npz file, then loops
over the files with a model, and writes the table of docs/transfer.md. The loop needs
numpy alone: put your model in the place of `predict`.
"""

import csv
import sys
from pathlib import Path

import numpy as np

ORIGINS = [
    ("target", "target"),
    ("own", "own"),
    ("twin", "own"),
    ("own", "twin"),
    ("twin", "twin"),
    ("unrelated", "own"),
    ("own", "unrelated"),
    ("unrelated", "unrelated"),
]


def export(folder, out):
    """Writes the tasks of the split `test`, one .npz file a scene."""
    from dyso.reading import Dataset
    from dyso.train.transfer_views import tasks

    out.mkdir(parents=True, exist_ok=True)
    for number, task in enumerate(tasks(Dataset(folder)["test"])):
        renamed = {name.replace("/", "_"): values for name, values in task.items()}
        np.savez(out / f"{number:04}.npz", **renamed)


def sources(task, camera, dynamics):
    """Returns for each target the views that its two latents are estimated from.

    Each is the scene's name in the task and the index of the view in its targets.
    """
    cameras, steps = task["own_cameras"], task["own_dynamics"]
    found = []
    for place in range(len(cameras)):
        same_camera = (cameras == cameras[place]) & (steps != steps[place])
        same_step = (cameras != cameras[place]) & (steps == steps[place])
        found.append(
            tuple(
                ("own", place) if origin == "target" else (origin, match.argmax())
                for origin, match in ((camera, same_camera), (dynamics, same_step))
            )
        )
    return found


def predict(task, camera, dynamics):
    """Predicts the images of `own_targets`, [4, H, W, 3] in [0, 1]: a model to replace.

    A model encodes `own_inputs`. It estimates the camera latent from the first view and
    the dynamics latent from the second, each relative to the first input of the scene
    that the view is in: `ORIGIN_inputs[0]`. This one copies the first view.
    """
    images = []
    for (origin, view), _ in sources(task, camera, dynamics):
        images.append(task[f"{origin}_targets"][view] / 255)
    return np.stack(images)


def psnr(true, predicted):
    """Returns the mean PSNR of images, in dB."""
    error = ((true - predicted) ** 2).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(np.maximum(error, 1e-10))).mean())


def main(data, out):
    """Exports the tasks, measures the model, and writes and prints the table."""
    export(data, out)
    scores = {origins: [] for origins in ORIGINS}
    for path in sorted(out.glob("*.npz")):
        task = dict(np.load(path))
        true = task["own_targets"] / 255
        for origins in ORIGINS:
            scores[origins].append(psnr(true, predict(task, *origins)))
    with (out / "transfer.csv").open("w", newline="") as file:
        table = csv.writer(file)
        columns = ["model", "camera", "dynamics", "pairs", "psnr", "psnr_error"]
        table.writerow(columns)
        for (camera, dynamics), values in scores.items():
            by_pair = np.reshape(values, (-1, 2)).mean(
                axis=1
            )  # twins follow each other
            error = by_pair.std(ddof=1) / len(by_pair) ** 0.5
            row = [f"{by_pair.mean():.4f}", f"{error:.4f}"]
            table.writerow(["copy", camera, dynamics, len(by_pair), *row])
    print((out / "transfer.csv").read_text(), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
