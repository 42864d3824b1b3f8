"""How well latents separate camera and dynamics: R_cam and R_dyn (DyST, eq. 9)."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from dyso.train.data import Batch
from dyso.train.latent_sources import partners
from dyso.train.metrics import (
    contrastiveness,
    mean_and_error,
    median_and_error,
    relations,
    triple_ratios,
)

SHORT = {"camera": "R_cam", "dynamics": "R_dyn"}


def separation(
    name: str,
    targets: Float[np.ndarray, "S T T"],
    grid: Float[np.ndarray, "S V V"],
    values: Batch,
) -> dict[str, Any]:
    """Returns R_cam or R_dyn with its variants, as in evaluation.json.

    Args:
      name: `camera` for R_cam, `dynamics` for R_dyn.
      targets: distances between the latents of each scene's targets.
      grid: distances between the latents of each scene's grid of views.
      values: of all scenes, `cameras`, `dynamics`, `grid_cameras` and `grid_dynamics`
        (see `evaluation_views.read`); with `pattern`, there are figures for each.
    """
    short, others = SHORT[name], partners(values, name)
    means = contrastiveness(targets, others["matching"], others["opposite"])
    differ = contrastiveness(targets, others["matching"], others["other"])
    # The grid has the same cameras and steps in every scene.
    pairs = relations(values["grid_cameras"][0], values["grid_dynamics"][0])
    same = pairs["same_camera"], pairs["same_dynamics"]
    matching, opposite = same if name == "camera" else same[::-1]
    ratios = triple_ratios(grid, matching, opposite)
    figures = {
        **mean_and_error(short, means),
        **median_and_error(f"{short}_median", ratios),
        **mean_and_error(f"{short}_both_differ", differ),
        f"{short}_triples": ratios.shape[1],
    }
    if "pattern" not in values:
        return figures
    by_pattern = {}
    for pattern in np.unique(values["pattern"]).tolist():
        rows = values["pattern"] == pattern
        by_pattern[pattern] = {
            "scenes": int(rows.sum()),
            **mean_and_error(short, means[rows]),
            **median_and_error(f"{short}_median", ratios[rows]),
        }
    return {**figures, f"{short}_by_pattern": by_pattern}
