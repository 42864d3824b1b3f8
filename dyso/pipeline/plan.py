"""The plan: a dataset's scenes cut into shards, and shards into parts.

A shard is a file of the finished dataset; its cut is fixed for the dataset's life. A
part is what one worker renders in one go; its size changes no record, so a job may
resume with other parts than it began with.
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
        """Unique in the dataset."""
        return f"{self.split}-{self.number:05}-of-{self.of:05}"

    def filename(self, dataset: str) -> str:
        """Gives the file's name, as tfds expects it."""
        return shard_name(dataset, self.split, self.number, self.of)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Scenes [start, stop) of a split, all of one shard."""

    shard: Shard
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Unique in the shard."""
        return f"{self.start:09}-{self.stop:09}"


def plan_shards(splits: Mapping[str, int], scenes_per_shard: int) -> Iterator[Shard]:
    """Gives all shards in order, of sizes that differ by one scene at most.

    Args:
      splits: scenes in each split.
      scenes_per_shard: most scenes in a shard.
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
    """Gives parts that cover a shard exactly, in order.

    Args:
      shard: the shard.
      scenes_per_part: most scenes in a new part.
      done: [start, stop) of parts that are there already. They are kept as they are,
        but for those that overlap an earlier one.
    """
    start = shard.start
    for kept in [*sorted(done), (shard.stop, shard.stop)]:
        if kept[0] < start:
            continue
        while start < kept[0]:
            stop = min(start + scenes_per_part, kept[0])
            yield Part(shard=shard, start=start, stop=stop)
            start = stop
        if kept[1] > start:
            yield Part(shard=shard, start=start, stop=kept[1])
            start = kept[1]


def part_size(scenes: int, workers: int) -> int:
    """Gives scenes in a part so that every worker has several parts to do."""
    return max(1, min(SCENES_PER_PART, scenes // (workers * PARTS_PER_WORKER)))
