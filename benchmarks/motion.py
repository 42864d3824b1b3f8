"""Depth regularisation of monocular videos with small camera motion.

    for b in 1 2 5; do
      dyso generate specs/tiny_motion.yaml --out data/motion_$b \\
        --set "cameras.patterns.handheld.baseline=[$b, $b]"
    done
    python benchmarks/motion.py data/motion predictions/motion
    python benchmarks/motion.py data/motion predictions/motion --table
    python benchmarks/motion.py data/motion predictions/motion --picture weights.webp

Fits videos with exact depth and poses and each of the three values of `depth.loss`, at
baselines of 1, 2 and 5 percent; then with degraded depth, and from perturbed poses, at
the smallest baseline. `--table` prints the scores of what is finished. A fit that is
finished is not done again. Other arguments are passed on to the fits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fits import DYSO, fit
from PIL import Image

from dyso.fit.motion.video import Video
from dyso.reading import Dataset

DEGRADED = "--depth.scale 1.1 --depth.shift 0.05 --depth.blur 1.5 --depth.noise 0.05"
PERTURBED = "--cameras.rotation 0.5 --cameras.translation 1"
LOSSES = ("none", "expectation", "ddr")
SCORES = {
    "psnr": "PSNR, dB",
    "psnr_moving": "PSNR of moving pixels, dB",
    "depth_abs_rel": "relative depth error",
    "depth_abs_rel_moving": "relative depth error of moving pixels",
    "depth_abs_rel_scaled": "relative depth error, scaled",
    "input_depth_abs_rel": "relative depth error of the frames",
    "camera_rotation_aligned": "rotation error, degrees",
    "camera_translation_aligned": "position error, m",
}


def runs() -> Iterator[tuple[str, str, str]]:
    """Yields the name of each run, its baseline, and its settings."""
    for baseline in ("1", "5", "2"):
        for loss in LOSSES:
            exact = f"--depth.loss {loss} --cameras.no-learn"
            yield f"{baseline}-exact-{loss}", baseline, exact
        if baseline == "1":
            yield "1-poses", "1", f"--cameras.learn {PERTURBED}"
            for loss in LOSSES[1:]:
                degraded = f"--depth.loss {loss} --cameras.no-learn {DEGRADED}"
                yield f"1-degraded-{loss}", "1", degraded


def fit_all(data: str, out: Path, scenes: list[int], extra: list[str]) -> None:
    """Fits all runs, one scene after another, in the order of `runs`.

    Raises:
      SystemExit: a fit failed, and has printed why.
    """
    for name, baseline, settings in runs():
        for scene in scenes:
            options = [f"{data}_{baseline}", "--scene", str(scene)]
            options += ["--out", str(out / name)]
            fit("small-motion-tiny", *options, *settings.split(), *extra)


def scores_of(folder: Path, data: str) -> dict[str, list[float]]:
    """Returns each score of each scene, and the reports of the fits."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.html"
        command = [DYSO, "score", str(folder)]
        command += ["--data", data, "--out", str(report)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(report.with_suffix(".json").read_text())
    scenes: list[dict[str, Any]] = found["methods"][0]["by_scene"]
    result = {key: [each[key] for each in scenes if key in each] for key in SCORES}
    for journal in sorted(folder.glob("scene_*/fit/journal.jsonl")):
        last = json.loads(journal.read_text().splitlines()[-1])
        if last["unit"] == "report":
            for key, value in last["report"].items():
                result.setdefault(f"fit: {key}", []).append(value)
    return result


def table(data: str, out: Path) -> None:
    """Prints the mean over scenes, and the range."""
    for name, baseline, _ in runs():
        if not (out / name / "predictions.json").exists():
            continue
        print(f"\n{name}")
        for key, values in scores_of(out / name, f"{data}_{baseline}").items():
            if values:
                spread = f"{min(values):.4g} to {max(values):.4g}"
                print(f"  {SCORES.get(key, key):42} {np.mean(values):8.4f}  {spread}")


def picture(data: str, out: Path, scene: int, step: int, file: Path) -> None:
    """Draws a held-out view and rendering weights, of the truth and of each loss."""
    views = Video.read(Dataset(f"{data}_1")["videos"], scene)
    height, width = views.frames.depth.shape[1:]
    size = (4 * width, 4 * height)
    columns = []
    for loss in LOSSES:
        folder = out / f"1-exact-{loss}" / f"scene_{scene}"
        view = Image.open(folder / f"color/{views.view(step, 1):05}.png")
        weights = np.asarray(Image.open(folder / "fit/weights.png"))
        if not columns:
            true = Image.fromarray(views.held_out.color[step, 0])
            above = np.asarray(true.resize(size, Image.Resampling.NEAREST))
            columns.append(np.concatenate([above, weights[: size[1]]]))
        above = np.asarray(view.resize(size, Image.Resampling.NEAREST))
        columns.append(np.concatenate([above, weights[size[1] :]]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(file, lossless=True)


def main() -> None:
    """Fits, or prints the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="the folders' names, before _1, _2 and _5")
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--picture", type=Path, help="of the last of the scenes")
    arguments, extra = parser.parse_known_args()
    if arguments.picture:
        scene = arguments.scenes[-1]
        picture(arguments.data, arguments.out, scene, 8, arguments.picture)
    elif arguments.table:
        table(arguments.data, arguments.out)
    else:
        fit(arguments.data, arguments.out, arguments.scenes, extra)


if __name__ == "__main__":
    main()
