"""Divides a dataset's scenes into shards, and shards into parts.

A shard is a file of the finished dataset; its range of scenes never changes. A part is
the range of scenes that one worker renders in one task. The size of a part changes no
record, so a job may resume with parts of another size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dyso.records import shard_name

SCENES_PER_SHARD = 1024
SCENES_PER_PART = 32
PARTS_PER_WORKER = 8


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Scenes [start, stop) of a split, the shard `number` of the split's `of`."""

    split: str
    number: int
    of: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """A name that is unique in the dataset."""
        return f"{self.split}-{self.number:05}-of-{self.of:05}"

    def filename(self, dataset: str) -> str:
        """Returns the file name, as TFDS expects it."""
        return shard_name(dataset, self.split, self.number, self.of)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Scenes [start, stop) of a split, all within one shard."""

    shard: Shard
    start: int
    stop: int

    @property
    def name(self) -> str:
        """A name that is unique in the shard."""
        return f"{self.start:09}-{self.stop:09}"


def plan_shards(splits: Mapping[str, int], scenes_per_shard: int) -> Iterator[Shard]:
    """Yields all shards in order. In a split, their sizes differ by at most one scene.

    Args:
      splits: number of scenes in each split.
      scenes_per_shard: maximum number of scenes in a shard.
    """
    for split, scenes in splits.items():
        count = -(-scenes // scenes_per_shard)
        for number in range(count):
            yield Shard(
                split=split,
                number=number,
                of=count,
                start=scenes * number // count,
                stop=scenes * (number + 1) // count,
            )


def plan_parts(
    shard: Shard, scenes_per_part: int, done: Iterable[tuple[int, int]] = ()
) -> Iterator[Part]:
    """Yields parts that cover a shard exactly, in order.

    Args:
      shard: the shard.
      scenes_per_part: maximum number of scenes in a new part.
      done: [start, stop) of the finished parts. They are kept, except those that
        overlap an earlier one.
    """
    start = shard.start
    for done_start, done_stop in [*sorted(done), (shard.stop, shard.stop)]:
        if done_start < start:
            continue
        while start < done_start:
            stop = min(start + scenes_per_part, done_start)
            yield Part(shard=shard, start=start, stop=stop)
            start = stop
        if done_stop > start:
            yield Part(shard=shard, start=start, stop=done_stop)
            start = done_stop


def part_size(scenes: int, workers: int) -> int:
    """Returns the number of scenes in a part, such that each worker gets several."""
    return max(1, min(SCENES_PER_PART, scenes // (workers * PARTS_PER_WORKER)))
