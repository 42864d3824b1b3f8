"""Random orders of scenes that read a few shards at a time."""

from __future__ import annotations

import functools

import numpy as np

from dyso.reading.dataset import Split


class WindowedOrder:
    """Orders of a split for training from a bucket.

    In each epoch the shards are shuffled and divided into windows. The scenes of a
    window are shuffled together. So a cache that holds two windows downloads each shard
    once an epoch, and the next window while this one is read.
    """

    def __init__(self, split: Split, seed: int, window: int):
        """Reads nothing yet.

        Args:
          split: the scenes.
          seed: determines the orders, together with the epoch.
          window: number of shards in a window.
        """
        self._split, self._seed, self._window = split, seed, window
        self._windows = functools.lru_cache(2)(self._shuffle)
        self._begin = functools.lru_cache(2)(self._prefetch)

    def __len__(self) -> int:
        return len(self._split)

    def __call__(self, position: int) -> int:
        """Returns the scene at a position in the endless order of all epochs.

        The first call in a window starts to download the next one.
        """
        epoch, place = divmod(position, len(self._split))
        order, stops = self._windows(epoch)
        self._begin(epoch, int(np.searchsorted(stops, place, side="right")))
        return int(order[place])

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns an epoch's scenes in order, and the place after each window."""
        rng = np.random.default_rng([self._seed, epoch])
        shards = self._split.shards_of(np.arange(len(self._split)))
        names, shards = np.unique(shards, return_inverse=True)
        ranks = rng.permutation(len(names))[shards] // self._window
        order = rng.permutation(len(shards))
        order = order[np.argsort(ranks[order], kind="stable")]
        return order, np.cumsum(np.bincount(ranks))

    def _prefetch(self, epoch: int, window: int) -> None:
        order, stops = self._windows(epoch)
        bounds = [0, *stops.tolist()]
        if window + 1 < len(stops):
            following = order[bounds[window + 1] : bounds[window + 2]]
        else:
            order, stops = self._windows(epoch + 1)
            following = order[: stops[0]]
        self._split.prefetch(following)

    def __reduce__(self) -> tuple[type[WindowedOrder], tuple[Split, int, int]]:
        return WindowedOrder, (self._split, self._seed, self._window)
