"""Clips of videos, each stored as one `tf.train.Example`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from jaxtyping import UInt8
from PIL import Image

from dyso.images import DAMAGED, open_image
from dyso.records.errors import RecordError
from dyso.records.example import Example

# Video compression has already lost more than this. Full colour resolution costs 25 %
# more bytes and is 3 dB closer to the frame. WebP of the same quality is a third
# smaller and three times slower to read; lossless WebP is twice as large.
_JPEG = {"quality": 95, "subsampling": 0}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames of one video; `len` is their number.

    Attributes:
      name: the video's path in its source folder.
      label: a description of the content; may be empty.
      category: the kind of action; may be empty.
      category_id: the category's number; -1 if unknown.
      times: the frames' times, in seconds from the first.
      images: the frames, as JPEG files.
    """

    name: str
    label: str
    category: str
    category_id: int
    times: tuple[float, ...]
    images: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fps(self) -> float:
        """Average frames per second; 0 for a single frame."""
        return (len(self) - 1) / self.times[-1] if len(self) > 1 else 0.0

    def decode(
        self, frames: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "F H W 3"]:
        """Decodes the frames at the given indices, in this order; None means all.

        Raises:
          RecordError: a frame is damaged.
        """
        chosen = range(len(self)) if frames is None else frames
        return np.stack([_decode_frame(self.images[frame]) for frame in chosen])


def encode_frame(image: Image.Image) -> bytes:
    """Returns a frame as JPEG."""
    file = io.BytesIO()
    image.save(file, format="JPEG", **_JPEG)
    return file.getvalue()


def _decode_frame(data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    try:
        with open_image(io.BytesIO(data), ("JPEG",)) as image:
            if image.mode != "RGB":
                raise ValueError(f"mode {image.mode}")
            return np.asarray(image)
    except DAMAGED as error:
        raise RecordError(f"not a frame: {error}") from error


def encode_clip(clip: Clip) -> bytes:
    """Returns the record of a clip; equal values have equal bytes."""
    example = Example()
    features = example.features.feature
    features["frames"].bytes_list.value.extend(clip.images)
    features["times"].float_list.value.extend(clip.times)
    features["category_id"].int64_list.value.append(clip.category_id)
    for key in ("name", "label", "category"):
        # A file name may contain bytes that are not text.
        text = getattr(clip, key).encode(errors="backslashreplace")
        features[key].bytes_list.value.append(text)
    # Otherwise the order of the keys differs between processes.
    return example.SerializeToString(deterministic=True)


def decode_clip(data: bytes) -> Clip:
    """Parses a clip's record without decoding its frames.

    Raises:
      RecordError: the record is not a clip.
    """
    try:
        features = Example.FromString(data).features.feature
        texts = {
            key: features[key].bytes_list.value[0].decode()
            for key in ("name", "label", "category")
        }
        clip = Clip(
            **texts,
            category_id=features["category_id"].int64_list.value[0],
            times=tuple(features["times"].float_list.value),
            images=tuple(features["frames"].bytes_list.value),
        )
    except (DecodeError, IndexError, UnicodeDecodeError) as error:
        raise RecordError("not a clip") from error
    if len(clip.times) != len(clip.images):
        raise RecordError(f"not a clip: {len(clip)} frames, {len(clip.times)} times")
    return clip
