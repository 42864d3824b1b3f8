"""The report of an evaluation: one self-contained HTML page."""

from __future__ import annotations

import html
import itertools
from typing import Any

import numpy as np

from dyso.report_page import document, heat, picture, strip, table
from dyso.train.evaluation import Evaluation
from dyso.train.pictures import recombination

_HEADINGS = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "R_cam": "R<sub>cam</sub>",
    "R_dyn": "R<sub>dyn</sub>",
}


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
    return document(f"{run['name']}: evaluation", parts)


def _views(figures: dict[str, Any]) -> str:
    rows = figures["views"]
    measures = [name for name in ("psnr", "ssim", "lpips") if name in rows[0]]
    head = ["targets decoded with", "scored", "sees what is scored"]
    body = [
        [
            html.escape(row["how"]),
            row["scored"],
            "yes" if row["sees_what_is_scored"] else "no",
        ]
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
        f"one that has not.</p>{table(titles, body)}"
        f"{skipped}"
    )


def _number(row: dict[str, Any], name: str) -> str:
    if row.get(name) is None:
        return ""
    digits = 2 if name == "psnr" else 3
    error = row[f"{name}_error"]
    spread = "" if error is None else f"&nbsp;±&nbsp;{error:.{digits}f}"
    return f"{row[name]:.{digits}f}{spread}"


def _examples(figures: dict[str, Any], evaluation: Evaluation) -> str:
    short = []
    for row in figures["views"]:
        latents = [f"{k}: {row[k]}" for k in ("camera", "dynamics") if k in row]
        half = next((h for h in ("left half", "right half") if h in row["how"]), "")
        short.append("<br>".join([*latents, half] if latents else ["by true pose"]))
    if len(set(short)) < len(short):  # one image, scored in two regions
        short = short[:1]
    body = "".join(
        strip(
            [
                *((f"input {i + 1}", view / 255) for i, view in enumerate(one.inputs)),
                ("target", one.target),
                *zip(short, one.predicted, strict=False),
            ]
        )
        for one in evaluation.examples
    )
    return f"<h2>Examples</h2>{body}"


def _recombinations(evaluation: Evaluation) -> str:
    if not evaluation.recombinations:
        return ""
    sheets = [recombination(*pair) for pair in evaluation.recombinations]
    body = "".join(
        f"<figure>{picture(np.asarray(sheet) / 255, sheet.height)}"
        f'<figcaption class="quiet">example {number}</figcaption></figure>'
        for number, sheet in enumerate(sheets, start=1)
    )
    return (
        "<h2>Recombined latents</h2><p>Rows: the camera latent of a camera's view at "
        "the first step. Columns: the dynamics latent of the first camera's view at "
        "another step. The views outside of the first row and column were not seen; "
        f"the true ones are beside them.</p>{body}"
    )


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
        f"of views.</p>{table(head, rows)}{table(titles, patterns)}"
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
        + table(["", *titles], body)
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
        "than the mean.</p>" + table(["", *(f"{n} latent" for n in found)], body)
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
            f"<figure>{picture(heat(matrix), 320)}<figcaption>{name} latent, 0 "
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


def _traversals(pca: dict[str, Any], evaluation: Evaluation) -> str:
    parts = []
    for name, scenes in evaluation.traversals.items():
        for scene, number in zip(scenes, itertools.count(1), strict=False):
            for share, images in zip(pca[name]["explained"], scene, strict=False):
                places = np.linspace(-2, 2, len(images))
                parts.append(
                    f"<p>{name} latent of example {number}, a component with "
                    f"{100 * share:.0f} % of the variance</p>"
                    + strip(
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
        f"{found['steps']:,} steps.</p>" + table(["MSE, m²", "R²"], [row])
    )
