"""Which scenes of a dataset to look at, and what to show of each."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dyso.reading import Dataset
from dyso.spec import Layout
from dyso.visualization.pictures import pictures

MOST = 10
"""Dynamics steps and cameras that are shown at most, evenly chosen."""
FRAMES = 100
"""Of a video that are shown at most, evenly chosen."""
SIDE = 256
"""Longest side of a view that is shown, in pixels; larger ones are scaled down."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What is shown of one scene: T x C views, of all or of `MOST` steps and cameras.

    Of a video, whose cameras are paired with steps, T x 1: all frames, or `FRAMES`.

    Attributes:
      split: the split's name.
      index: the record's position in the split.
      record: decoded, with the shown views alone.
      steps: the dynamics steps shown.
      cameras: the cameras shown of each step; of a video none, for each has its own.
      layers: pictures by layer, in the order of display.
    """

    split: str
    index: int
    record: Mapping[str, Any]
    steps: tuple[int, ...]
    cameras: tuple[int, ...]
    layers: Mapping[str, UInt8[np.ndarray, "T C H W 3"]]

    @property
    def is_video(self) -> bool:
        """Whether the views are one camera's, in the order of time."""
        return not self.cameras

    @property
    def title(self) -> str:
        """One line for people."""
        return title(self.split, self.index, self.record)


def title(split: str, index: int, record: Mapping[str, Any]) -> str:
    """Gives one line for people: which scene it is, and what it shows."""
    names = ", ".join(
        f"{asset} ({category})" if category else str(asset)
        for asset, category in zip(
            record["objects/asset_id"][:3], record["objects/category"][:3], strict=True
        )
    )
    more = len(record["objects/asset_id"]) - 3
    return "  ·  ".join(
        [
            f"{split} {index}",
            str(record["camera_pattern"]),
            names + (f" and {more} more" if more > 0 else ""),
            str(record["background/asset_id"]),
        ]
    )


def shown(layout: Layout) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Gives the dynamics steps that are shown, and their cameras; see `Sight`."""
    if layout.paired:
        return evenly(layout.steps, FRAMES), ()
    return evenly(layout.steps, MOST), evenly(layout.cameras, MOST)


def look(dataset: Dataset, split: str, index: int) -> Sight:
    """Reads what is to be shown of a scene.

    Args:
      dataset: the dataset.
      split: the split's name.
      index: the record's position in it.

    Raises:
      RecordError: the scene is damaged.
    """
    layout = dataset.resolved.spec.layout
    steps, cameras = shown(layout)
    views = [layout.view(s, c) for s in steps for c in (cameras or (s,))]
    record = dataset[split].read(index, views=views)
    shape = (len(steps), len(views) // len(steps))
    return Sight(
        split=split,
        index=index,
        record=record,
        steps=steps,
        cameras=cameras,
        layers={
            name: _shaped(name, images, shape)
            for name, images in pictures(record).items()
        },
    )


def _shaped(name: str, images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    small = fitted(images, SIDE, smooth=name not in ("instance", "category"))
    return small.reshape(*shape, *small.shape[1:])


def evenly(count: int, most: int) -> tuple[int, ...]:
    """Gives at most `most` of range(count), evenly chosen, the first and last among."""
    places = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    return tuple(places.tolist())


def choose(dataset: Dataset, scenes: int) -> list[tuple[str, int]]:
    """Gives splits and positions of scenes: as many of each split, spread over it.

    More scenes are the same ones and others between them.

    Args:
      dataset: the dataset.
      scenes: how many in all.
    """
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    counts = dict.fromkeys(sizes, 0)
    while sum(counts.values()) < min(scenes, sum(sizes.values())):
        # The fullest of those that were given least; earlier splits first.
        name = min(
            (name for name in sizes if counts[name] < sizes[name]),
            key=lambda name: counts[name],
        )
        counts[name] += 1
    return [
        (name, index)
        for name, count in counts.items()
        for index in halving(sizes[name], count)
    ]


def halving(count: int, most: int) -> list[int]:
    """Gives `most` of range(count), sorted, spread by halving the gaps between them.

    The order of van der Corput ("Verteilungsfunktionen", 1935): bits reversed.
    """
    bits = (count - 1).bit_length()
    # Even numbers, reversed, are all below `count`, so twice as many are enough.
    numbers = np.arange(min(1 << bits, 2 * most))
    places = sum(((numbers >> i) & 1) << (bits - 1 - i) for i in range(bits))
    places = np.broadcast_to(places, numbers.shape)
    return sorted(places[places < count][:most].tolist())


def spread(dataset: Dataset, scenes: int) -> list[tuple[str, int]]:
    """Gives splits and positions of scenes, evenly chosen over the whole dataset."""
    sizes = [len(split) for split in dataset.splits.values()]
    total = sum(sizes)
    count = min(scenes, total)
    ends = list(itertools.accumulate(sizes))
    names = list(dataset.splits)
    found = []
    for number in range(count):
        # Not numpy's, which overflow: a stranger's dataset may claim any size.
        index = number * total // count
        which = bisect.bisect_right(ends, index)
        found.append((names[which], index - ends[which] + sizes[which]))
    return found


def fitted(
    images: UInt8[np.ndarray, "... H W 3"], side: int, *, smooth: bool = True
) -> UInt8[np.ndarray, "... h w 3"]:
    """Scales images down so that no side is longer than `side`; never up."""
    *lead, height, width, _ = images.shape
    factor = side / max(height, width)
    if factor >= 1:
        return images
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    flat = images.reshape(-1, height, width, 3)
    scaled = [np.asarray(Image.fromarray(image).resize(size, how)) for image in flat]
    return np.stack(scaled).reshape(*lead, size[1], size[0], 3)


def tiled(images: UInt8[np.ndarray, "R C H W 3"], gap: int = 0, color: int = 0) -> Any:
    """Lays images out in rows and columns; gives uint8 [height, width, 3]."""
    images = np.pad(
        images,
        ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)),
        constant_values=color,
    )
    rows, columns, height, width, _ = images.shape
    sheet = images.swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return sheet[: rows * height - gap, : columns * width - gap]
