"""Named settings of a fit of a monocular video."""

from __future__ import annotations

from dyso.fit.motion.config import Config, Grid
from dyso.fit.presets import Preset

PRESETS = {
    "small-motion": Preset(
        "a dynamic field of a monocular video with DDR, for a GPU",
        Config(grid=Grid(cells=(320, 180, 128), levels=3, channels=16, hidden=64)),
    ),
    "small-motion-tiny": Preset(
        "the same with fewer cells and steps, for about 64 x 96 pixels on a CPU",
        Config(iterations=300, rays=512, coarse=24, fine=24),
    ),
}
