"""Folders of videos as clips that a trainer reads: `dyso videos ingest`.

    metadata = ingest("ssv2", "data/clips", Options())
    clips = open_clips("data/clips", "train")
    frames = clips[0].decode([0, 7, 9])       # [3, H, W, 3], those alone are decoded

Decoding needs PyAV (`pip install dyso[train]`) while videos are ingested, and nothing
afterwards.
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
