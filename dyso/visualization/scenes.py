"""The choice of scenes, steps and cameras to show, and their images."""

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
from dyso.visualization.pictures import IDS, pictures

MOST = 10
"""The most dynamics steps and the most cameras shown; evenly chosen."""
FRAMES = 100
"""The most frames of a video shown; evenly chosen."""
SIDE = 256
"""Longest side of a shown view, in pixels; larger views are scaled down."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneView:
    """The shown views of one scene: T steps x C cameras, at most `MOST` of each.

    For a video, whose cameras are paired with steps, T x 1 with at most `FRAMES` steps.

    Attributes:
      split: the split's name.
      index: the record's position in the split.
      record: the decoded record, with only the shown views.
      steps: the shown dynamics steps.
      cameras: the shown cameras; empty for a video, where each step has its own.
      layers: RGB images by layer, in the order of display.
    """

    split: str
    index: int
    record: Mapping[str, Any]
    steps: tuple[int, ...]
    cameras: tuple[int, ...]
    layers: Mapping[str, UInt8[np.ndarray, "T C H W 3"]]

    @property
    def is_video(self) -> bool:
        """Whether the views are the frames of a video, in the order of time."""
        return not self.cameras

    @property
    def title(self) -> str:
        """A line that describes the scene; see `title`."""
        return title(self.split, self.index, self.record)


def title(split: str, index: int, record: Mapping[str, Any]) -> str:
    """Returns a line with the scene's number, camera pattern, objects and HDRI."""
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
    """Returns the dynamics steps and the cameras to show; see `SceneView`."""
    if layout.paired:
        return evenly(layout.steps, FRAMES), ()
    return evenly(layout.steps, MOST), evenly(layout.cameras, MOST)


def load(dataset: Dataset, split: str, index: int) -> SceneView:
    """Reads the views of a scene that are shown.

    Args:
      dataset: the dataset.
      split: the split's name.
      index: the record's position in the split.

    Raises:
      RecordError: the scene is damaged.
    """
    layout = dataset.resolved.spec.layout
    steps, cameras = shown(layout)
    views = [layout.view(s, c) for s in steps for c in (cameras or (s,))]
    record = dataset[split].read(index, views=views)
    shape = (len(steps), len(views) // len(steps))
    return SceneView(
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
    small = fitted(images, SIDE, smooth=name not in IDS)
    return small.reshape(*shape, *small.shape[1:])


def evenly(count: int, most: int) -> tuple[int, ...]:
    """Returns at most `most` evenly spaced numbers of range(count), with both ends."""
    numbers = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    return tuple(numbers.tolist())


def choose(dataset: Dataset, scenes: int) -> list[tuple[str, int]]:
    """Returns splits and positions of scenes, equally many per split, spread over it.

    A larger number of scenes contains those of a smaller number.

    Args:
      dataset: the dataset.
      scenes: the number of scenes in total.
    """
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    counts = dict.fromkeys(sizes, 0)
    while sum(counts.values()) < min(scenes, sum(sizes.values())):
        # The split with the fewest chosen scenes that has more; the first of equals.
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
    """Returns `most` numbers of range(count), sorted, spread by halving the gaps.

    Numbers are taken in the order of the van der Corput sequence: their bits reversed.
    """
    bits = (count - 1).bit_length()
    # Reversed even numbers are below 2 ** (bits - 1), and thus below `count`: among
    # the first 2 * most numbers, at least `most` are usable.
    numbers = np.arange(min(1 << bits, 2 * most))
    flipped = sum(((numbers >> i) & 1) << (bits - 1 - i) for i in range(bits))
    flipped = np.broadcast_to(flipped, numbers.shape)
    return sorted(flipped[flipped < count][:most].tolist())


def spread(dataset: Dataset, scenes: int) -> list[tuple[str, int]]:
    """Returns splits and positions of scenes, evenly spaced over the whole dataset."""
    sizes = [len(split) for split in dataset.splits.values()]
    total = sum(sizes)
    count = min(scenes, total)
    ends = list(itertools.accumulate(sizes))
    names = list(dataset.splits)
    chosen = []
    for number in range(count):
        # Python's integers, as numpy's overflow: a dataset may claim any size.
        index = number * total // count
        split = bisect.bisect_right(ends, index)
        chosen.append((names[split], index - ends[split] + sizes[split]))
    return chosen


def fitted(
    images: UInt8[np.ndarray, "... H W 3"], side: int, *, smooth: bool = True
) -> UInt8[np.ndarray, "... h w 3"]:
    """Scales images down until no side is longer than `side`; never scales up."""
    *lead, height, width, _ = images.shape
    factor = side / max(height, width)
    if factor >= 1:
        return images
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    flat = images.reshape(-1, height, width, 3)
    scaled = [np.asarray(Image.fromarray(image).resize(size, method)) for image in flat]
    return np.stack(scaled).reshape(*lead, size[1], size[0], 3)


def tiled(images: UInt8[np.ndarray, "R C H W 3"], gap: int = 0, color: int = 0) -> Any:
    """Tiles images in rows and columns; returns uint8 [height, width, 3]."""
    images = np.pad(
        images,
        ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)),
        constant_values=color,
    )
    rows, columns, height, width, _ = images.shape
    sheet = images.swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return sheet[: rows * height - gap, : columns * width - gap]
