"""Scenes for training: a random access source, and Grain's loader over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from dyso import records
from dyso.reading.dataset import Split
from dyso.spec import UserError

if TYPE_CHECKING:
    import grain


@dataclass(frozen=True, kw_only=True)
class Source:
    """A random access data source, for Grain, PyTorch or a loop.

    Attributes:
      split: the scenes.
      fields: names from docs/format.md; None is all.
      views: None keeps all views; a list keeps those; a number draws as many
        different ones for each scene. What is kept stands under the key `views`.
      seed: seeds the draw.
    """

    split: Split
    fields: tuple[str, ...] | None = None
    views: int | tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks fields and views before anything is read.

        Raises:
          UserError: the dataset has no such field or not as many views.
        """
        spec = self.split.spec
        known = [field.name for field in records.fields_of(spec.render.layers)]
        for name in self.fields or ():
            if name not in known:
                raise UserError(f"no field {name!r}; the fields are {', '.join(known)}")
        if isinstance(self.views, int) and not 1 <= self.views <= spec.views:
            raise UserError(f"views must be 1 to {spec.views}, got {self.views}")
        if isinstance(self.views, tuple) and not set(self.views) <= set(
            range(spec.views)
        ):
            raise UserError(
                f"views must be among 0 to {spec.views - 1}, got {self.views}"
            )

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        """Reads a scene; which views it draws follows from the seed and the index."""
        index = index.__index__()
        return self.draw(index, np.random.default_rng([self.seed, index]))

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Reads a scene with views that `rng` draws."""
        if self.views is None:
            return self.split.read(index, fields=self.fields)
        if isinstance(self.views, int):
            views = rng.choice(self.split.spec.views, self.views, replace=False)
        else:
            views = np.array(self.views)
        return {
            **self.split.read(index, fields=self.fields, views=views.tolist()),
            "views": views,
        }


def loader(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epochs: int | None = None,
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
    drop_remainder: bool = True,
) -> grain.IterDataset:
    """Gives batches of scenes, from a place that can be saved and come back to.

        batches = iter(loader(Source(split=split, views=7), batch_size=32, seed=0))
        batch = next(batches)
        state = batches.get_state()       # a small dictionary; `set_state` resumes

    Every epoch shuffles all scenes anew and draws other views; `seed` decides both.
    `set_state` gives exactly the batches that would have come, provided that the
    arguments are the same.

    Args:
      source: the scenes; its own seed plays no part.
      batch_size: scenes in a batch of this process. Fields that vary in length from
        scene to scene, as `objects/...` may, cannot be batched.
      seed: from 0 to 2**32 - 1.
      shuffle: False keeps the order of the split.
      epochs: None never ends.
      process: this process's number; it takes every `processes`-th scene of the
        common order.
      processes: how many processes share an epoch.
      workers: processes that read ahead; 0 reads in threads.
      drop_remainder: leave out a last batch that is not full.
    """
    import absl.flags

    grain = _import_grain()
    scenes = grain.MapDataset.range(len(source)).seed(seed)
    if shuffle:
        scenes = scenes.shuffle()
    # Before the slice, so that no two processes draw with the same generator.
    scenes = scenes.random_map(source.draw).repeat(epochs)[process::processes]
    batches = scenes.batch(batch_size, drop_remainder=drop_remainder).to_iter_dataset(
        # What is read ahead are whole batches.
        grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    )
    if workers:
        # Grain looks for its flags, which only a program of absl's has read.
        absl.flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return batches


def _import_grain() -> Any:
    """Imports Grain, which takes a second and warns of profilers that nobody starts."""
    import absl.logging

    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        import grain
    finally:
        absl.logging.set_verbosity(verbosity)
    return grain
