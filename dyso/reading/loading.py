"""Scenes for training: a random access source, and a Grain loader."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import weakref
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np

from dyso import records
from dyso.reading.dataset import Split
from dyso.reading.order import WindowedOrder
from dyso.spec import UserError

if TYPE_CHECKING:
    import grain


@runtime_checkable
class Drawable(Protocol):
    """What `loader` reads: `Source`, or a class of your own with these two methods."""

    def __len__(self) -> int: ...

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Returns the arrays of one scene; `rng` decides all that is random."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A random access data source, for Grain, PyTorch or a loop.

    Attributes:
      split: the scenes.
      fields: names from docs/format.md; None means all.
      views: None keeps all views; a tuple keeps these; a number draws that many
        distinct views for each scene. The kept views are under the key `views`.
      seed: seeds the drawn views.
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
        known = [field.name for field in records.fields_of(spec)]
        for name in self.fields or ():
            if name not in known and not name.endswith("?"):
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
        """Reads a scene; the seed and the index determine its drawn views."""
        index = index.__index__()
        return self.draw(index, np.random.default_rng([self.seed, index]))

    def draw(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Reads a scene, with views drawn by `rng`."""
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
    source: Drawable,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epochs: int | None = None,
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
    drop_remainder: bool = True,
    skip: int = 0,
    window: int | None = None,
) -> grain.IterDataset:
    """Returns batches of scenes, as an iterator whose state can be saved.

        batches = iter(loader(Source(split=split, views=7), batch_size=32, seed=0))
        batch = next(batches)
        state = batches.get_state()       # a small dictionary; `set_state` resumes

    Every epoch has a new order of scenes and new views; `seed` determines both. After
    `set_state` the same batches follow as after `get_state`, provided that the
    arguments are the same; `workers` may differ. `skip` resumes with another number of
    processes: after `steps` batches in each of them, a loader with
    `skip=steps * batch_size * processes` reads every scene that they did not.

    Args:
      source: the scenes; the seed of a `Source` is not used.
      batch_size: scenes per batch of this process. Fields whose length varies between
        scenes, as `objects/...` may, cannot be batched.
      seed: from 0 to 2**32 - 1.
      shuffle: False keeps the order of the split.
      epochs: number of epochs; None repeats without end.
      process: this process's number; it takes every `processes`-th scene of the
        common order.
      processes: number of processes that share an epoch.
      workers: processes that read ahead; 0 reads in threads. A script with workers
        must do its work under `if __name__ == "__main__":`, because each worker runs
        the script's top level.
      drop_remainder: leave out an incomplete last batch.
      skip: scenes of the common order, over all epochs, that are not read.
      window: shuffle the scenes of this many shards at a time, for a dataset that is
        remote and larger than its cache; see `dyso.reading.order`. `source` must be a
        `Source`.
    """
    grain = _import_grain()
    arguments = (
        *(source, batch_size, seed, shuffle, epochs, process, processes),
        *(drop_remainder, skip, window),
    )
    batches = _batches(*arguments)
    if workers:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # This worker runs the script's top level before it starts, and would
            # start more workers. The script's process reports the mistake.
            os._exit(1)
        batches = grain.MapDataset.range(len(batches)).map(_Workers(workers, arguments))
    # Reads ahead whole batches.
    return batches.to_iter_dataset(
        grain.ReadOptions(
            num_threads=workers or 2, prefetch_buffer_size=max(4, 2 * workers)
        )
    )


def _batches(
    source: Drawable,
    batch_size: int,
    seed: int,
    shuffle: bool,
    epochs: int | None,
    process: int,
    processes: int,
    drop_remainder: bool,
    skip: int,
    window: int | None,
) -> grain.MapDataset:
    """Returns the batches of `loader` by index."""
    datasets = _import_grain().MapDataset
    # Before the slice, so that no two processes draw with the same generator.
    if window is None:
        scenes = datasets.range(len(source)).seed(seed)
        if shuffle:
            scenes = scenes.shuffle()
        scenes = scenes.random_map(source.draw).repeat(epochs)
    else:
        assert isinstance(source, Source)
        order = WindowedOrder(source.split, seed, window)
        whole = sys.maxsize if epochs is None else epochs * len(source)
        scenes = datasets.range(whole).seed(seed).map(order).random_map(source.draw)
    scenes = scenes[skip + process :: processes]
    return scenes.batch(batch_size, drop_remainder=drop_remainder)


class _Workers:
    """Reads batches in other processes.

    This replaces Grain's `mp_prefetch`, which keeps batches in shared memory (64 MB in
    Docker), leaks that memory and prints tracebacks if a program ends with an open
    iterator, and whose state depends on the number of processes.
    """

    def __init__(self, count: int, arguments: tuple[Any, ...]):
        """Starts no process yet.

        Args:
          count: number of processes.
          arguments: the arguments of `_batches`.
        """
        context = multiprocessing.get_context("spawn")
        self._begun = context.Event()
        self._pool = ProcessPoolExecutor(
            count, context, _begin, (arguments, self._begun)
        )
        # Also at exit, before Python tears down its modules.
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def __call__(self, index: int) -> dict[str, Any]:
        """Reads a batch.

        Raises:
          SystemExit: the processes ended before they started to read.
          UserError: a process was killed.
        """
        try:
            return self._pool.submit(_read, index).result()
        except BrokenProcessPool as error:
            if not self._begun.is_set():
                raise SystemExit(
                    "loader: its workers run the script's top level and end there: put "
                    'the script\'s work under `if __name__ == "__main__":`'
                ) from None
            raise UserError(
                "loader: a worker was killed; if memory ran out, use fewer workers"
            ) from error


def _begin(arguments: tuple[Any, ...], begun: Any) -> None:
    """Makes this process a worker."""
    global _of_worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _of_worker = _batches(*arguments)
    begun.set()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


_of_worker: Any = None
"""The batches that this worker process reads."""


def _read(index: int) -> dict[str, Any]:
    batch: dict[str, Any] = _of_worker[index]
    return batch


def _import_grain() -> Any:
    """Imports Grain without its warnings of unused profilers; takes a second."""
    import absl.logging

    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        import grain
    finally:
        absl.logging.set_verbosity(verbosity)
    return grain
