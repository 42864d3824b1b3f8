"""Named settings of a fit."""

from __future__ import annotations

from dyso.fit.gaussians.config import Config, Densification, Neighbors, Rates
from dyso.fit.presets import Preset

PRESETS = {
    "dynamic-gaussians": Preset(
        "Dynamic 3D Gaussians with the paper's settings, for a GPU", Config()
    ),
    "dynamic-gaussians-tiny": Preset(
        "the same with fewer Gaussians and steps, for about 100 x 160 pixels on a CPU",
        Config(
            gaussians=6_000,
            initial=0.8,
            foreground=0.35,
            first_iterations=1_000,
            iterations=200,
            # Neighbours on an object of 0.8 m are about 4 cm apart; the paper's, 1 cm.
            neighbors=Neighbors(falloff=200.0),
            # A tenth of the iterations needs larger steps to follow the same motion.
            rates=Rates(means=5e-4, rotations=4e-3),
            densification=Densification(
                start=200,
                stop=600,
                every=100,
                large_from=400,
                last_opacity=0.1,
                reset=0,
            ),
        ),
    ),
}
