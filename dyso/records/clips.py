"""Clips of videos: one is one `tf.train.Example`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from jaxtyping import UInt8
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from dyso.images import DAMAGED, open_image
from dyso.records.errors import RecordError

# Videos have lost more by compression already. Without the halved resolution of colour
# these are 25 % more bytes and 3 dB nearer to the frame. WebP of that quality takes a
# third less room and three times as long to read; without loss, two times the room.
_JPEG = {"quality": 95, "subsampling": 0}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames of one video; its length is their number.

    Attributes:
      name: of the video, a path in the folder that it is from.
      label: what is seen; may be empty.
      category: the kind of action; may be empty.
      category_id: its number; -1 if unknown.
      times: of the frames, in seconds from the first.
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
        """Frames a second, on average; 0 of a single frame."""
        return (len(self) - 1) / self.times[-1] if len(self) > 1 else 0.0

    def decode(
        self, frames: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "F H W 3"]:
        """Decodes the frames at some indices, in this order; None is all.

        Raises:
          RecordError: a frame is damaged.
        """
        chosen = range(len(self)) if frames is None else frames
        return np.stack([_decode_frame(self.images[frame]) for frame in chosen])


def encode_frame(image: Image.Image) -> bytes:
    """Makes a frame's JPEG."""
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
    """Makes the record of a clip; the same bytes from the same values, always."""
    example = tf_example_pb2.Example()
    features = example.features.feature
    features["frames"].bytes_list.value.extend(clip.images)
    features["times"].float_list.value.extend(clip.times)
    features["category_id"].int64_list.value.append(clip.category_id)
    for key in ("name", "label", "category"):
        # A file's name may be of bytes that are no text.
        text = getattr(clip, key).encode(errors="backslashreplace")
        features[key].bytes_list.value.append(text)
    # Without this the order of the keys differs from process to process.
    return example.SerializeToString(deterministic=True)


def decode_clip(data: bytes) -> Clip:
    """Reads a record; decodes no frame.

    Raises:
      RecordError: it is not a clip.
    """
    try:
        features = tf_example_pb2.Example.FromString(data).features.feature
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
