"""Reads datasets: random access without TensorFlow, and a Grain loader."""

from dyso.reading.captioning import CAPTION_FIELDS, COLORS, captions
from dyso.reading.dataset import Dataset, Split
from dyso.reading.loading import Source, loader
from dyso.reading.motion import (
    MOTION_FIELDS,
    flow,
    motion_masks,
    parts,
    surface_faces,
    tracks,
    view_of,
    views_of,
    world_vertices,
)
from dyso.reading.objects import (
    OBJECT_FIELDS,
    Velocities,
    amodal_boxes,
    box_corner_pixels,
    box_corners,
    boxes,
    silhouettes,
    surfaces,
    velocities,
    visible_fractions,
)

__all__ = [
    "CAPTION_FIELDS",
    "COLORS",
    "MOTION_FIELDS",
    "OBJECT_FIELDS",
    "Dataset",
    "Source",
    "Split",
    "Velocities",
    "amodal_boxes",
    "box_corner_pixels",
    "box_corners",
    "boxes",
    "captions",
    "flow",
    "loader",
    "motion_masks",
    "parts",
    "silhouettes",
    "surface_faces",
    "surfaces",
    "tracks",
    "velocities",
    "view_of",
    "views_of",
    "visible_fractions",
    "world_vertices",
]
