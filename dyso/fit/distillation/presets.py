"""Named settings of text to 4D."""

from __future__ import annotations

from dyso.fit.distillation.config import Bias, Cameras, Config
from dyso.fit.hexplane.config import Background, Grid, Marching, Occupancy, Rates
from dyso.fit.presets import Preset

PRESETS = {
    "text-to-4d": Preset(
        "a moving scene from a text, by a video prior, for a GPU", Config()
    ),
    "text-to-4d-tiny": Preset(
        "the same with fewer cells and steps, for 32 x 32 pixels on a CPU",
        Config(
            static=300,
            dynamic=100,
            guidance=6.0,
            levels=(0.1, 0.9),
            rate=6.0,
            sample_every=100,
            cameras=Cameras(elevation=(25.0, 45.0)),
            bias=Bias(end=0.5),
            smooth=0.0003,
            rates=Rates(planes=0.03, background=0.001),
            grid=Grid(finest=64, levels=3, channels=4, layers=1, hidden=32),
            background=Background(layers=1, hidden=32, frequencies=2),
            marching=Marching(candidates=64, points=24),
            occupancy=Occupancy(cells=32, every=8, samples=8192, decay=0.8),
        ),
    ),
}
