"""The report of scores: one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from dyso.reading import Split
from dyso.report_page import document, strip, table
from dyso.scoring.definitions import SCORES, Score
from dyso.scoring.drawing import (
    LARGEST,
    depth_pictures,
    track_pictures,
    view_pictures,
)
from dyso.scoring.predictions import Predictions

SCENES = 3
"""The most scenes with pictures."""
EXAMPLES = 2
"""The views of each."""
_HEIGHT, _TRACKS = 150, 300
"""Of pictures on the page."""


def page(figures: dict[str, Any], split: Split, methods: Sequence[Predictions]) -> str:
    """Returns the page.

    Args:
      figures: the content of scores.json.
      split: the split that was scored.
      methods: the predictions, in the order of the figures.
    """
    data = figures["data"]
    title = " and ".join(each["method"] for each in figures["methods"])
    scenes = len(figures["scenes"])
    parts = [
        f"<h1>{html.escape(title)}</h1>"
        f'<p class="quiet">{scenes} {"scene" if scenes == 1 else "scenes"} of '
        f"{html.escape(data['name'])} ({html.escape(data['split'])}) · "
        f"{html.escape(data['hash'])}</p>",
        _methods(figures),
        *_tables(figures),
        "".join(
            f"<p>No {html.escape(name.upper())}: {html.escape(why)}.</p>"
            for name, why in figures["not_measured"].items()
        ),
        *(
            _scene(split, index, methods, figures["held_out_views"])
            for index in figures["scenes"][:SCENES]
        ),
        _by_scene(figures),
    ]
    return document(f"{title}: scores", parts)


def _methods(figures: dict[str, Any]) -> str:
    rows = [
        [
            html.escape(each["method"]),
            _listed(each["inputs"]["cameras"], "all that are not held out"),
            _listed(each["inputs"]["steps"], "all"),
        ]
        for each in figures["methods"]
    ]
    views = figures["held_out_views"]
    count = f"{len(views)} views of each scene are" if views else "No view is"
    return (
        "<h2>Inputs</h2><p>What each method has seen the colours of. "
        f"{count} held out from all.</p>"
        + table(["method", "cameras", "dynamics steps"], rows)
    )


def _listed(numbers: Sequence[int] | None, default: str) -> str:
    """Returns numbers as ranges: 0-3, 7."""
    if numbers is None:
        return default
    places = np.array(sorted(set(numbers)))
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return ", ".join(
        f"{run[0]}" if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs
    )


def _tables(figures: dict[str, Any]) -> list[str]:
    """Returns a table for each group of scores that a method has."""
    parts = []
    for group in dict.fromkeys(each.group for each in SCORES):
        columns = [
            each
            for each in SCORES
            if each.group == group
            and any(each.name in method["scores"] for method in figures["methods"])
        ]
        if not columns:
            continue
        head = ["method"] + [
            f'<span title="{html.escape(each.about)}">{html.escape(each.title)} '
            f"{'↑' if each.higher else '↓'}</span>"
            for each in columns
        ]
        best = {each.name: _best(each, figures["methods"]) for each in columns}
        body = [
            [html.escape(method["method"])]
            + [_cell(each, method["scores"], best[each.name]) for each in columns]
            for method in figures["methods"]
        ]
        about = "; ".join(f"{each.title}: {each.about}" for each in columns)
        parts.append(
            f"<h2>{group}</h2>{table(head, body)}"
            f'<p class="quiet">{html.escape(about)}.</p>'
        )
    return parts


def _best(score: Score, methods: Sequence[dict[str, Any]]) -> float | None:
    """Returns the best of several methods' means; None for a single method."""
    means = [
        float(each["scores"][score.name]["mean"])
        for each in methods
        if score.name in each["scores"]
    ]
    if len(methods) < 2:
        return None
    return max(means) if score.higher else min(means)


def _cell(score: Score, found: dict[str, Any], best: float | None) -> str:
    if score.name not in found:
        return '<span class="quiet">not measured</span>'
    mean, error = float(found[score.name]["mean"]), found[score.name]["error"]
    text = _number(mean, score)
    if error is not None:
        text += f"&nbsp;±&nbsp;{_number(error, score)}"
    return f"<b>{text}</b>" if mean == best else text


def _number(value: float, score: Score) -> str:
    return f"{value:.{score.digits}f}".replace("inf", "∞")


def _scene(
    split: Split, index: int, methods: Sequence[Predictions], held_out: Sequence[int]
) -> str:
    views = _examples(held_out or range(split.spec.views))
    parts = [f"<h2>Scene {index}</h2>"]
    own = [each.scene(index, split.spec.resolution) for each in methods]
    if any(each.has("color") for each in own):
        parts.append(
            f"<p>Held-out views. The lightest colour is an error of {LARGEST:g} or "
            "more, values being in [0, 1].</p>"
        )
        for view in views:
            parts.append(_place(split, view))
            parts.append(strip(view_pictures(split, index, methods, view), _HEIGHT))
    predicted = sorted(set().union(*(each.views("depth") for each in own)))
    if predicted:
        shared = [view for view in views if view in predicted]
        view = shared[0] if shared else _examples(predicted)[0]
        parts.append(
            f"<p>Depth. The lightest colour is a relative error of {LARGEST:g} or "
            f"more.</p>{_place(split, view)}"
        )
        parts.append(strip(depth_pictures(split, index, methods, view), _HEIGHT))
    if drawn := track_pictures(split, index, methods):
        parts.append(
            "<p>Tracks over the last frame of a camera: true in white, predicted in "
            "orange, a ring at the end.</p>"
        )
        parts.append(strip(drawn, _TRACKS))
    return "".join(parts)


def _examples(views: Sequence[int]) -> list[int]:
    """Returns some views, evenly spaced and not at the ends."""
    places = (np.arange(EXAMPLES) + 0.5) * len(views) / EXAMPLES
    return [views[place] for place in dict.fromkeys(places.astype(int).tolist())]


def _place(split: Split, view: int) -> str:
    step, camera = divmod(view, split.spec.layout.shape[1])
    return f"<h3>View {view}: camera {camera} at dynamics step {step}</h3>"


def _by_scene(figures: dict[str, Any]) -> str:
    """Returns the main scores of every scene, where there are several."""
    if len(figures["scenes"]) < 2:
        return ""
    methods = figures["methods"]
    main = ("psnr", "psnr_moving", "depth_abs_rel", "track_3d_mte", "track_2d_aj")
    columns = [
        each
        for each in SCORES
        if each.name in main and any(each.name in own["scores"] for own in methods)
    ]
    body = [
        [str(scene), html.escape(method["method"])]
        + [
            _number(float(method["by_scene"][i][each.name]), each)
            if each.name in method["by_scene"][i]
            else ""
            for each in columns
        ]
        for i, scene in enumerate(figures["scenes"])
        for method in methods
    ]
    titles = ["scene", "method", *(f"{html.escape(each.title)}" for each in columns)]
    return f"<h2>By scene</h2>{table(titles, body)}"
