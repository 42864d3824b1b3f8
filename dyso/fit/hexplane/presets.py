"""Named settings of a HexPlane."""

from __future__ import annotations

from dyso.fit.hexplane.config import Config, Grid, Marching, Occupancy
from dyso.fit.presets import Preset

PRESETS = {
    "hexplane": Preset(
        "a HexPlane with MAV3D's levels, of several cameras or a video, for a GPU",
        Config(),
    ),
    "hexplane-tiny": Preset(
        "the same with fewer cells and steps, for about 100 x 160 pixels on a CPU",
        Config(
            iterations=2_000,
            rays=512,
            grid=Grid(finest=256, levels=5, channels=4, layers=1, hidden=32),
            marching=Marching(candidates=192, points=48),
            occupancy=Occupancy(
                cells=48, every=8, samples=16_384, decay=0.8, least=0.03
            ),
        ),
    ),
}
