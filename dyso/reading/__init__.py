"""Reads datasets: random access without TensorFlow, and a Grain loader."""

from dyso.reading.dataset import Dataset, Split
from dyso.reading.loading import Source, loader
from dyso.reading.motion import (
    MOTION_FIELDS,
    flow,
    motion_masks,
    tracks,
    view_of,
    views_of,
)

__all__ = [
    "MOTION_FIELDS",
    "Dataset",
    "Source",
    "Split",
    "flow",
    "loader",
    "motion_masks",
    "tracks",
    "view_of",
    "views_of",
]
