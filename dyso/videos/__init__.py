"""Converts folders of videos to clips for training, and reads them.

    metadata = ingest("ssv2", "data/clips", Options())
    clips = open_clips("data/clips", "train")
    frames = clips[0].decode([0, 7, 9])       # [3, H, W, 3], only these are decoded

Ingesting needs PyAV (`pip install dyso[train]`); reading clips does not.
"""

from dyso.records.clips import Clip
from dyso.videos.ingest import ingest
from dyso.videos.listing import Video, list_videos
from dyso.videos.options import Options
from dyso.videos.reading import ClipFolder, Clips, ClipSplit, Frames, open_clips

__all__ = [
    "Clip",
    "ClipFolder",
    "ClipSplit",
    "Clips",
    "Frames",
    "Options",
    "Video",
    "ingest",
    "list_videos",
    "open_clips",
]
