"""Settings of text to 4D with which a test is over in seconds."""

from dyso.fit.distillation.config import Config
from dyso.fit.hexplane.config import Background, Grid, Marching, Occupancy

SMALL = Config(
    static=1,
    dynamic=1,
    sample_every=0,
    grid=Grid(coarsest=4, finest=4, levels=1, channels=2, layers=1, hidden=8),
    background=Background(layers=1, hidden=4, frequencies=1),
    marching=Marching(candidates=12, points=6),
    occupancy=Occupancy(cells=8, samples=64),
)
