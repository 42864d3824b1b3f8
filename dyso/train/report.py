"""The report of an evaluation: one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from dyso.train import labels
from dyso.train.evaluation import Evaluation

SIDE = 112
"""Height of the page's views, in its pixels."""
_MAP = np.array(  # from near to far
    [[22, 17, 50], [92, 35, 108], [178, 60, 96], [237, 123, 62], [252, 222, 139]], float
)
_HEADINGS = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "R_cam": "R<sub>cam</sub>",
    "R_dyn": "R<sub>dyn</sub>",
}
_STYLE = """
:root { --ground: #f6f5f2; --line: #dedcd6; --text: #1c1d20; --quiet: #666a70;
  color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ground: #0e0f11; --line: #2a2d32;
  --text: #ecece8; --quiet: #9a9da3; } }
body { background: var(--ground); color: var(--text); margin: 0 auto;
  padding: 24px; max-width: 1280px; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 17px; margin: 36px 0 8px; }
p { max-width: 75ch; margin: 8px 0; } .quiet { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: 5px 14px 5px 0; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td.number { font-variant-numeric: tabular-nums; }
img { display: block; image-rendering: pixelated; max-width: 100%; }
.strip { display: flex; flex-wrap: wrap; gap: 10px 6px; margin: 0 0 22px; }
.strip figure { max-width: 112px; font-size: 12px; line-height: 1.3;
  color: var(--quiet); }
.strip figcaption { padding-top: 3px; }
.maps { display: flex; gap: 40px; flex-wrap: wrap; } figure { margin: 0; }
"""


def page(figures: dict[str, Any], evaluation: Evaluation) -> str:
    """Returns the page.

    Args:
      figures: the content of evaluation.json.
      evaluation: the pictures.
    """
    data, run = figures["data"], figures["run"]
    name, split = html.escape(data["name"]), html.escape(data["split"])
    parts = [
        f"<h1>{html.escape(run['name'])}, evaluated</h1>"
        f'<p class="quiet">step {run["step"]:,} · {figures["scenes"]:,} scenes of '
        f"{name} ({split}) · {html.escape(data['hash'])} · views drawn by seed "
        f"{figures['views_seed']}</p>",
        _views(figures),
        _examples(figures, evaluation),
        _recombinations(evaluation),
        _contrastiveness(figures["contrastiveness"]),
        _floors(figures),
        _probes(figures.get("probes", {})),
        _distances("views", figures["distances"]),
        _distances("frames", figures.get("video", {})),
        _traversals(figures["pca"], evaluation),
        _poses(figures.get("poses")),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(run['name'])}: evaluation</title>"
        f"<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _views(figures: dict[str, Any]) -> str:
    rows = figures["views"]
    measures = [name for name in ("psnr", "ssim", "lpips") if name in rows[0]]
    head = ["targets decoded with", "scored", "sees what is scored"]
    body = [
        [html.escape(row["how"]), row["scored"], _yes(row["sees_what_is_scored"])]
        + [_number(row, name) for name in measures]
        for row in rows
    ]
    skipped = "".join(
        f"<p>No {_HEADINGS.get(name, name)}: {html.escape(why)}.</p>"
        for name, why in figures["skipped"].items()
    )
    titles = [*head, *(_HEADINGS[name] for name in measures)]
    return (
        "<h2>New views</h2><p>Means over scenes, and their standard errors. A model "
        "that has seen the pixels that it is scored on makes another claim than "
        f"one that has not.</p>{_table(titles, body)}"
        f"{skipped}"
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _number(row: dict[str, Any], name: str) -> str:
    if row.get(name) is None:
        return ""
    digits = 2 if name == "psnr" else 3
    error = row[f"{name}_error"]
    spread = "" if error is None else f"&nbsp;±&nbsp;{error:.{digits}f}"
    return f"{row[name]:.{digits}f}{spread}"


def _table(head: list[str], body: list[list[str]]) -> str:
    rows = "".join(
        "<tr>" + "".join(f'<td class="number">{cell}</td>' for cell in row) + "</tr>"
        for row in body
    )
    titles = "".join(f"<th>{title}</th>" for title in head)
    return f'<div class="wide"><table><tr>{titles}</tr>{rows}</table></div>'


def _examples(figures: dict[str, Any], evaluation: Evaluation) -> str:
    short = []
    for row in figures["views"]:
        latents = [f"{k}: {row[k]}" for k in ("camera", "dynamics") if k in row]
        half = next((h for h in ("left half", "right half") if h in row["how"]), "")
        short.append("<br>".join([*latents, half] if latents else ["by true pose"]))
    if len(set(short)) < len(short):  # one image, scored in two regions
        short = short[:1]
    body = "".join(
        _strip(
            [
                *((f"input {i + 1}", view / 255) for i, view in enumerate(one.inputs)),
                ("target", one.target),
                *zip(short, one.predicted, strict=False),
            ]
        )
        for one in evaluation.examples
    )
    return f"<h2>Examples</h2>{body}"


def recombination(decoded: np.ndarray, true: np.ndarray) -> Image.Image:
    """Returns a picture of a scene's recombined latents beside the true views.

    Args:
      decoded: [camera, dynamics, H, W, 3] in [0, 1], see `Evaluation.recombinations`.
      true: the same views.
    """
    cameras, steps = true.shape[:2]
    both = np.concatenate([decoded, true], axis=1)
    return labels.table(
        (255 * np.clip(both, 0, 1) + 0.5).astype(np.uint8),
        [f"dynamics {i}" for i in range(steps)] + [f"true {i}" for i in range(steps)],
        [f"camera {i}" for i in range(cameras)],
    )


def _recombinations(evaluation: Evaluation) -> str:
    if not evaluation.recombinations:
        return ""
    sheets = [recombination(*pair) for pair in evaluation.recombinations]
    body = "".join(
        f"<figure>{_picture(np.asarray(sheet) / 255, sheet.height)}"
        f'<figcaption class="quiet">example {number}</figcaption></figure>'
        for number, sheet in enumerate(sheets, start=1)
    )
    return (
        "<h2>Recombined latents</h2><p>Rows: the camera latent of a camera's view at "
        "the first step. Columns: the dynamics latent of the first camera's view at "
        "another step. The views outside of the first row and column were not seen; "
        f"the true ones are beside them.</p>{body}"
    )


def _strip(pictures: Sequence[tuple[str, np.ndarray]]) -> str:
    """Returns pictures with captions, in as many lines as the window needs."""
    figures = "".join(
        f"<figure>{_picture(image)}<figcaption>{caption}</figcaption></figure>"
        for caption, image in pictures
    )
    return f'<div class="strip">{figures}</div>'


def _contrastiveness(found: dict[str, Any]) -> str:
    names = [name for name in ("R_cam", "R_dyn") if name in found]
    if not names:
        return ""
    rows = [
        [
            _HEADINGS[name],
            *(_number(found, name + end) for end in ("", "_median", "_both_differ")),
        ]
        for name in names
    ]
    head = [
        "",
        "non-matching view shares the other",
        "median over all triples",
        "non-matching view shares neither",
    ]
    patterns = [
        [pattern, str(figures["scenes"])]
        + [
            _number(found[f"{name}_by_pattern"][pattern], name + end)
            for name in names
            for end in ("", "_median")
        ]
        for pattern, figures in found[f"{names[0]}_by_pattern"].items()
    ]
    titles = ["cameras", "scenes"]
    for name in names:
        titles += [_HEADINGS[name], f"{_HEADINGS[name]}, median"]
    return (
        "<h2>Separation of camera and dynamics</h2><p>The distance of a view's latent "
        "to a matching view's, over that to a non-matching one's. 0 is perfect; above "
        "1, the latent holds what belongs in the other one, or nothing. The means are "
        "over the four targets of each scene, the medians over all triples of its grid "
        f"of views.</p>{_table(head, rows)}{_table(titles, patterns)}"
    )


def _floors(figures: dict[str, Any]) -> str:
    floors = figures.get("floors")
    if not floors:
        return ""
    rows = figures["views"]
    matching = [row for row in rows if row.get("camera") == row.get("dynamics")]
    main = next((row for row in matching if row.get("camera") == "matching"), rows[0])
    model = {**main, **figures["contrastiveness"], "how": "the model"}
    names = ["psnr", *(n for n in ("R_cam", "R_dyn") if n in model)]
    columns = [n for name in names for n in (name, f"{name}_median") if n in model]
    titles = [
        _HEADINGS[name.removesuffix("_median")]
        + (", median" if name.endswith("_median") else "")
        for name in columns
    ]
    body = [
        [html.escape(row["how"]), *(_number(row, name) for name in columns)]
        for row in (model, *floors.values())
    ]
    return (
        "<h2>Floors</h2><p>What an untrained model, predictors that are blind to one "
        "factor, and latents of known content score on the same views.</p>"
        + _table(["", *titles], body)
    )


def _probes(found: dict[str, Any]) -> str:
    if not found:
        return ""
    body = [
        [key.replace("_", " "), *(_number(found[name][key], "r2") for name in found)]
        for key in next(iter(found.values()))
    ]
    return (
        "<h2>Linear probes</h2><p>R² of ridge regressions from each latent, fitted on "
        "half of the scenes and tested on the other half: 1 is perfect, 0 no better "
        "than the mean.</p>" + _table(["", *(f"{n} latent" for n in found)], body)
    )


def _distances(between: str, found: dict[str, Any]) -> str:
    names = [name for name in ("camera", "dynamics") if name in found]
    if not names:
        return ""
    maps = []
    for name in names:
        latent = found[name]
        matrix = np.array(latent["matrix"])
        lines = ", ".join(
            f"{key.replace('_', ' ')} {value:.3g}"
            for key, value in latent.items()
            if key != "matrix"
        )
        maps.append(
            f"<figure>{_picture(_heat(matrix), 320)}<figcaption>{name} latent, 0 "
            f'(dark) to {matrix.max():.3g}<br><span class="quiet">{lines}</span>'
            "</figcaption></figure>"
        )
    about = {
        "views": "Between the views of a scene, ordered by camera and, within each, "
        "by dynamics; means over scenes.",
        "frames": f"Between the frames of {html.escape(found.get('name', ''))}.",
    }
    return (
        f"<h2>Latent distances of {between}</h2><p>{about[between]}</p>"
        f'<div class="maps">{"".join(maps)}</div>'
    )


def _heat(matrix: np.ndarray) -> np.ndarray:
    """Returns a matrix as an image in [0, 1]."""
    share = matrix / max(matrix.max(), 1e-9) * (len(_MAP) - 1)
    channels = [np.interp(share, np.arange(len(_MAP)), values) for values in _MAP.T]
    return np.stack(channels, axis=-1) / 255


def _traversals(pca: dict[str, Any], evaluation: Evaluation) -> str:
    parts = []
    for name, scenes in evaluation.traversals.items():
        for scene, number in zip(scenes, itertools.count(1), strict=False):
            for share, images in zip(pca[name]["explained"], scene, strict=False):
                places = np.linspace(-2, 2, len(images))
                parts.append(
                    f"<p>{name} latent of example {number}, a component with "
                    f"{100 * share:.0f} % of the variance</p>"
                    + _strip(
                        [
                            (f"{place:+.1f} σ", image)
                            for place, image in zip(places, images, strict=True)
                        ]
                    )
                )
    if not parts:
        return ""
    return (
        "<h2>Principal components</h2><p>A view decoded with its own latents, one of "
        "which moves along a component from -2 to 2 standard deviations; the other "
        "one does not change.</p>" + "".join(parts)
    )


def _poses(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    row = [f"{found['mse']:.4f}", f"{100 * found['r2']:.2f} %"]
    return (
        f"<h2>Explicit pose estimation</h2><p>{html.escape(found['how'])}; "
        f"{found['steps']:,} steps.</p>" + _table(["MSE, m²", "R²"], [row])
    )


def _picture(image: np.ndarray, height: int = SIDE) -> str:
    """Returns an image [H, W, 3] in [0, 1] as an HTML element."""
    file = io.BytesIO()
    pixels = (255 * np.clip(image, 0, 1) + 0.5).astype(np.uint8)
    Image.fromarray(pixels).save(
        file, format="WEBP", quality=90, lossless=height > SIDE
    )
    data = base64.b64encode(file.getvalue()).decode()
    width = round(height * image.shape[1] / image.shape[0])
    return (
        f'<img alt="" width="{width}" height="{height}" '
        f'src="data:image/webp;base64,{data}">'
    )
