"""Datasets that are decoded once and stay on the device (`dyso train --in-memory`).

The pictures of a dataset are one uint8 array, with a copy on every device. Batches have
the numbers of pictures, which the jitted step looks up. The loader draws them as it
does from files, so a run makes the same steps either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, SupportsIndex

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from dyso import terminal
from dyso.errors import UserError
from dyso.train.data import Batch, Scenes
from dyso.train.video_data import Clips

if TYPE_CHECKING:
    from dyso.spec import Spec

SHARE = 0.5
"""Of the free memory, that pictures may take; the rest is the model's."""

Progress = Callable[[range], Iterable[int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class InMemory:
    """A decoded dataset.

    Attributes:
      source: scenes or clips whose batches have numbers of pictures, int32, in place of
        pictures.
      pictures: what the numbers stand for.
    """

    source: Scenes | Clips
    pictures: UInt8[np.ndarray, "N H W 3"]


def load(source: Scenes | Clips, progress: Progress = iter) -> InMemory:
    """Decodes all scenes or clips of a source, in as many threads as there are CPUs.

    Args:
      source: the scenes or clips.
      progress: is given the numbers of the scenes or clips, and yields them.

    Raises:
      UserError: they need more than half of the memory that is free, here or on the
        device.
    """
    if isinstance(source, Scenes):
        return _load_scenes(source, progress)
    clips = [source.clips[index] for index in range(len(source))]
    ends = np.cumsum([len(clip) for clip in clips])
    pictures = _reserved(int(ends[-1]), source.clips.resolution)
    begins = np.concatenate([[0], ends[:-1]])

    def decode(index: int) -> None:
        pictures[begins[index] : ends[index]] = clips[index].decode()

    _in_threads(decode, progress(range(len(clips))))
    numbered = NumberedClips(
        resolution=source.clips.resolution,
        fewest_frames=source.clips.fewest_frames,
        ends=ends,
    )
    return InMemory(source=replace(source, clips=numbered), pictures=pictures)


def _load_scenes(source: Scenes, progress: Progress) -> InMemory:
    spec, count = source.split.spec, len(source)
    pictures = _reserved(count * spec.views, spec.resolution)
    fields = source.fields
    rest: list[Batch] = [{}] * count

    def decode(index: int) -> None:
        record = source.split.read(index, fields=fields)
        pictures[index * spec.views :][: spec.views] = record.pop("color")
        rest[index] = record

    _in_threads(decode, progress(range(count)))
    split = NumberedViews(
        spec=spec,
        count=count,
        fields={
            name: np.stack([each[name] for each in rest])
            for name in fields
            if name != "color"
        },
    )
    return InMemory(source=replace(source, split=split), pictures=pictures)


def _in_threads(decode: Callable[[int], None], indices: Iterable[int]) -> None:
    """Decodes at several indices at a time; WebP and JPEG decoders release the GIL."""
    from dyso.render.resources import usable_cpus

    threads = len(usable_cpus())
    with ThreadPoolExecutor(threads) as pool:
        ahead = []
        for index in indices:
            ahead.append(pool.submit(decode, index))
            if len(ahead) > 2 * threads:
                ahead.pop(0).result()
        for each in ahead:
            each.result()


def _reserved(count: int, size: tuple[int, int]) -> UInt8[np.ndarray, "N H W 3"]:
    """Returns an array for pictures.

    Raises:
      UserError: it needs more than `SHARE` of the free memory.
    """
    from dyso.render.resources import usable_memory

    shape = (count, *size, 3)
    needed = int(np.prod(shape, dtype=np.int64))
    device = jax.local_devices()[0]
    stats = device.memory_stats() or {}
    free = {"this machine": usable_memory()}
    if "bytes_limit" in stats:
        free[str(device)] = stats["bytes_limit"] - stats["bytes_in_use"]
    for place, available in free.items():
        if needed > SHARE * available:
            raise UserError(
                f"in-memory: {count} pictures of {terminal.size(*size)} take "
                f"{needed / 1e9:.1f} GB, expected at most "
                f"{SHARE * available / 1e9:.1f} GB, half of what is free on {place}: "
                "train on fewer scenes, as with --split 'train[:1000]', or without "
                "--in-memory"
            )
    return np.empty(shape, np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberedViews:
    """Scenes whose views are numbers; stands in for a `Split` in `Scenes`.

    Attributes:
      spec: the dataset's.
      count: of the scenes.
      fields: [S, N, ...], what else is read of each view, by name.
    """

    spec: Spec
    count: int
    fields: dict[str, Float[np.ndarray, "S N ..."]]

    def __len__(self) -> int:
        return self.count

    def read(
        self,
        index: SupportsIndex,
        *,
        fields: Iterable[str] | None = None,
        views: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Returns the fields of some views; `color` is the numbers of pictures, [V]."""
        index = index.__index__()
        views = list(range(self.spec.views) if views is None else views)
        numbers = index * self.spec.views + np.array(views, np.int32)
        return {
            name: numbers if name == "color" else self.fields[name][index, views]
            for name in (["color", *self.fields] if fields is None else fields)
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberedClips:
    """Clips whose frames are numbers; stands in for `dyso.videos.Clips`.

    Attributes:
      resolution: height and width of the frames, in pixels.
      fewest_frames: of a clip.
      ends: the number after the last frame of each clip.
    """

    resolution: tuple[int, int]
    fewest_frames: int
    ends: Int[np.ndarray, " C"]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> NumberedFrames:
        """Returns the frames of a clip."""
        begin = int(self.ends[index - 1]) if index else 0
        return NumberedFrames(range(begin, int(self.ends[index])))


@dataclass(frozen=True)
class NumberedFrames:
    """The frames of a clip as numbers."""

    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def decode(self, frames: Sequence[int] | None = None) -> Int[np.ndarray, " F"]:
        """Returns the numbers of some frames, or of all."""
        numbers = np.array(self.numbers, np.int32)
        return numbers if frames is None else numbers[list(frames)]
