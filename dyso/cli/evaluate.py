"""`dyso evaluate`: measures a trained model."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import tyro

from dyso import records
from dyso.cli.bar import each
from dyso.spec import UserError


def main(
    model: tyro.conf.Positional[Path],
    /,
    *,
    data: Path | None = None,
    split: str = "test",
    scenes: int = 300,
    step: int | None = None,
    lpips: Path | None = None,
    video: Path | None = None,
    pose_split: str | None = None,
    pose_steps: int = 10_000,
    transfer: bool = False,
    out: Path | None = None,
) -> int:
    """Measure a trained model; write evaluation.json and evaluation.html.

    They have PSNR, SSIM and LPIPS for every source of a target's latents; how well
    camera and dynamics are separated; floors, which are the scores of an untrained
    model and of predictors that ignore the camera or the dynamics; linear probes;
    latent distances and principal components; and, for models of static scenes with
    latents (`rust`), explicit pose estimation. docs/training.md defines the figures.
    All models with the same number of inputs are measured on the same views.

    Args:
      model: the folder of a run of `dyso train`, a file of `dyso weights`, or the name
        of a model that comes with this program: dyst-tiny.
      data: the folder of a dataset; default, for a model that comes with this program:
        the few scenes that come with it.
      split: the split to measure on.
      scenes: the largest number of scenes to measure on.
      step: the checkpoint to measure; default: the newest.
      lpips: weights of LPIPS as .npz, see docs/training.md; default: no LPIPS.
      video: also report the latent distances between this video's frames.
      pose_split: the split to train explicit pose estimation on; default: the first.
      pose_steps: gradient steps of pose estimation; 0 leaves it out.
      transfer: measure instead how latents transfer between twin scenes, such as those
        of specs/transfer.yaml; write transfer.json and transfer.csv (docs/transfer.md).
      out: the folder for the report; default: the run's folder, or NAME-evaluation for
        a model that is no run.
    """
    if scenes < 2:
        raise UserError(f"scenes: must be at least 2, got {scenes}")
    if video is not None and importlib.util.find_spec("av") is None:
        raise UserError("video: needs PyAV: pip install 'dyso[train]'")
    from dyso.reading import Dataset
    from dyso.train import lpips as weights
    from dyso.train import poses, trained
    from dyso.train.evaluation import evaluate
    from dyso.train.metrics import MEASURES
    from dyso.train.pictures import pictures
    from dyso.train.predict import Predictor
    from dyso.train.report import page
    from dyso.train.transfer import measure_transfer, table_of

    loaded = trained.load(model, step)
    config, folder = loaded.config, data or loaded.scenes
    if folder is None:
        raise UserError("data: needs the folder of a dataset")
    dataset = Dataset(folder)
    testing = dataset[split]
    measures, net = dict(MEASURES), None
    if lpips is not None:
        net, measures["lpips"] = weights.load(lpips)
    predictor = Predictor(config, loaded.params)
    progress = functools.partial(each, unit="batches of scenes")
    out = out or loaded.folder
    about: dict[str, Any] = {
        "run": {
            "name": loaded.name,
            "step": loaded.step,
            "config": dataclasses.asdict(config),
        },
        "data": {
            "name": testing.spec.name,
            "hash": dataset.resolved.hash,
            "split": split,
        },
    }
    if transfer:
        moved = measure_transfer(predictor, testing, scenes // 2, progress)
        table = table_of(moved, loaded.name)
        _write(out, {"transfer.json": _json(about | moved), "transfer.csv": table})
        print(table, end="")
        print(f"{out}/transfer.json, {out}/transfer.csv")
        return 0
    found = evaluate(predictor, testing, scenes, measures, progress)
    figures = {**about, **found.figures, "lpips_net": net}
    if lpips is None:
        figures["skipped"]["lpips"] = "needs weights, given by --lpips"
    if config.training.static and config.model.latents and pose_steps:
        figures["poses"] = poses.estimate_poses(
            predictor,
            dataset[pose_split or next(iter(dataset.splits))],
            testing,
            scenes,
            pose_steps,
            functools.partial(each, unit="steps of pose estimation"),
        )
    if video is not None:
        figures["video"] = _frame_distances(predictor, video)
    _write(
        out,
        {"evaluation.json": _json(figures), "evaluation.html": page(figures, found)},
    )
    for name, picture in pictures(figures, found).items():
        with records.replacing(out / f"{name}.png") as temporary:
            picture.save(temporary, format="PNG")
    print("\n".join(describe(figures)))
    print(f"{out}/evaluation.json, {out}/evaluation.html")
    return 0


def _json(figures: dict[str, Any]) -> str:
    return json.dumps(figures, indent=1, allow_nan=False) + "\n"


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Writes text files.

    Raises:
      UserError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with records.replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from error


def _frame_distances(predictor: Any, video: Path) -> dict[str, Any]:
    from dyso.train.manipulation import Video, read_frames
    from dyso.train.metrics import pairwise_distances

    frames, _ = read_frames(video, predictor.config.model.resolution, 64)
    latents = Video(predictor, frames).latents
    matrices = {
        name: {"matrix": pairwise_distances(values).astype(float).round(6).tolist()}
        for name, values in latents.items()
    }
    return {"name": video.name, "frames": len(frames), **matrices}


def describe(figures: dict[str, Any]) -> list[str]:
    """Returns the report's main figures, one per line."""
    lines = []
    for row in figures["views"]:
        seen = ", which it has seen" if row["sees_what_is_scored"] else ""
        lines.append(f"{_scores(row)}: {row['scored']}{seen}; {row['how']}")
    for name, why in figures["skipped"].items():
        lines.append(f"no {name.upper()}: {why}")
    for name in ("R_cam", "R_dyn"):
        if name in figures["contrastiveness"]:
            separation = figures["contrastiveness"]
            lines.append(
                f"{name} {separation[name]:.3f}; median over all triples "
                f"{separation[f'{name}_median']:.3f}"
            )
    for name, floor in figures["floors"].items():
        lines.append(f"floor {name}: {_scores(floor)}")
    if "poses" in figures:
        poses = figures["poses"]
        lines.append(
            f"relative positions: MSE {poses['mse']:.4f} m², R² {poses['r2']:.4f}"
        )
    return lines


def _scores(row: dict[str, Any]) -> str:
    """Returns the scores that a row of the report has, in one line."""
    scores = [
        ("psnr", "PSNR", 2),
        ("ssim", "SSIM", 3),
        ("lpips", "LPIPS", 3),
        ("R_cam", "R_cam", 3),
        ("R_dyn", "R_dyn", 3),
    ]
    return ", ".join(
        f"{title} {row[name]:.{digits}f}"
        for name, title, digits in scores
        if name in row
    )
