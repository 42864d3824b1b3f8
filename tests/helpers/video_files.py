"""Video files for tests, by PyAV."""

from fractions import Fraction

import av
import numpy as np

NAMES = ("a.webm", "b.mp4", "deep/c.avi", "deep/er/d.MOV", "e.mkv", "f.mp4", "z.mp4")
"""Of a folder of videos, in order."""

CODECS = {
    ".webm": "libvpx-vp9",
    ".mp4": "libx264",
    ".mov": "libx264",
    ".avi": "mpeg4",
    ".mkv": "libvpx",
}
FAST = {
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libx264": {"preset": "ultrafast", "crf": "10"},
    "mpeg4": {"qscale": "2"},
}


def numbered(count, size=(64, 64)):
    """Frames with eight stripes, black or white: the bits of their number."""
    stripe = np.arange(size[1]) * 8 // size[1]
    rows = [np.where(i >> stripe & 1, 235, 20) for i in range(count)]
    return [np.broadcast_to(r[:, None], (*size, 3)).astype(np.uint8) for r in rows]


def numbers_of(frames):
    """Which of the frames that `numbered` gave these are."""
    rows = np.asarray(frames, float).mean(axis=(1, 3))
    bits = rows.reshape(len(rows), 8, -1).mean(axis=2) > 128
    return (bits @ (1 << np.arange(8))).tolist()


def film(path, frames, rate=12, codec=None, aspect=None, **options):
    """Writes frames [H, W, 3] as a video; its ending says of which kind."""
    codec = codec or CODECS[path.suffix]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        stream.options = FAST[codec] | options
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path
