"""Learning curves of runs, as an SVG that needs no library to draw or to show."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass
from pathlib import Path

from dyso.errors import UserError

_COLORS = ("#2a6fdb", "#d1495b", "#2f9e6e", "#b07d12", "#7b4bb8", "#3d8f9c")
_WIDTH, _HEIGHT, _GAP, _LEFT, _TOP = 250, 190, 26, 44, 34
_AVERAGED = 10
"""Logged lines that a point of the training's own curve averages."""


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One diagram.

    Attributes:
      title: above it.
      key: in metrics.jsonl.
      dashed: the key of a second, dashed curve.
      averaged: over how many lines.
    """

    title: str
    key: str
    dashed: str = ""
    averaged: int = 1


_PANELS = (
    _Panel(title="training, PSNR (dB)", key="scenes/psnr", averaged=_AVERAGED),
    _Panel(title="evaluation, PSNR (dB)", key="evaluation/psnr"),
    _Panel(
        title="R_cam (dashed: median)",
        key="evaluation/R_cam",
        dashed="evaluation/R_cam_median",
    ),
    _Panel(
        title="R_dyn (dashed: median)",
        key="evaluation/R_dyn",
        dashed="evaluation/R_dyn_median",
    ),
)

Points = list[tuple[float, float]]


def curves(runs: list[Path]) -> str:
    """Returns the learning curves of runs as the text of an SVG.

    Args:
      runs: their folders.

    Raises:
      UserError: a run has no metrics.
    """
    names = [run.resolve().name for run in runs]
    read = [_read(run) for run in runs]
    panels = [
        _drawn(panel, [_curves(panel, lines) for lines in read], column)
        for column, panel in enumerate(_PANELS)
    ]
    legend = "".join(
        f'<rect x="{x}" y="{_HEIGHT + _TOP + 32}" width="14" height="4" '
        f'fill="{_color(number)}"/>'
        f'<text x="{x + 20}" y="{_HEIGHT + _TOP + 38}">{html.escape(name)}</text>'
        for number, name in enumerate(names)
        for x in [_LEFT + sum(40 + 7 * len(each) for each in names[:number])]
    )
    width = len(_PANELS) * (_WIDTH + _LEFT + _GAP)
    height = _HEIGHT + _TOP + 52
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="#333"><rect width="{width}" height="{height}" '
        f'fill="#fff"/>{"".join(panels)}{legend}</svg>\n'
    )


def _read(run: Path) -> list[dict[str, float]]:
    path = run / "metrics.jsonl"
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not the metrics of a run") from error


def _curves(panel: _Panel, lines: list[dict[str, float]]) -> list[Points]:
    """Returns the curve of a run, and the dashed one, where it has them."""
    found = []
    for key in filter(None, (panel.key, panel.dashed)):
        points = [(line["step"], line[key]) for line in lines if key in line]
        found.append(
            [
                tuple(sum(axis) / len(axis) for axis in zip(*part, strict=True))
                for start in range(0, len(points), panel.averaged)
                for part in [points[start : start + panel.averaged]]
            ]
        )
    return found


def _drawn(panel: _Panel, runs: list[list[Points]], column: int) -> str:
    """Returns a panel: title, axes and every run's curves."""
    left = column * (_WIDTH + _LEFT + _GAP) + _LEFT
    points = [point for run in runs for curve in run for point in curve]
    parts = [f'<text x="{left}" y="20" font-weight="600">{panel.title}</text>']
    if not points:
        parts.append(f'<text x="{left}" y="{_TOP + 20}">not measured</text>')
        return "".join(parts)
    steps, values = zip(*points, strict=True)
    across = _ticks(0, max(steps), 4)
    upwards = _ticks(min(values), max(values), 5)
    low, high = upwards[0], upwards[-1]

    def place(step: float, value: float) -> tuple[float, float]:
        x = left + _WIDTH * step / max(across[-1], 1)
        return x, _TOP + _HEIGHT * (high - value) / (high - low)

    for value in upwards:
        _, y = place(0, value)
        parts.append(
            f'<path d="M{left} {y:.1f}h{_WIDTH}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for step in across:
        x, _ = place(step, low)
        parts.append(
            f'<text x="{x:.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">'
            f"{step / 1000:g}k</text>"
        )
    for number, run in enumerate(runs):
        for curve, dash in zip(run, ("", ' stroke-dasharray="4 3"'), strict=False):
            line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in curve)
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{_color(number)}" '
                f'stroke-width="1.5"{dash}/>'
            )
    return "".join(parts)


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Returns round numbers from at most `low` to at least `high`."""
    rough = max(high - low, 1e-6) / count
    size = 10.0 ** math.floor(math.log10(rough))
    size *= next(factor for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough)
    first, last = math.floor(low / size), math.ceil(high / size)
    return [number * size for number in range(first, max(last, first + 1) + 1)]
