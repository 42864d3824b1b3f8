"""A PyTorch dataset of scenes, with views of its own in each epoch.

    scenes = Scenes(Source(split=split, fields=("color",), views=7))
    sampler = EpochSampler(scenes, seed=0)
    batches = DataLoader(
        scenes, batch_size=4, sampler=sampler, collate_fn=scenes.collate
    )
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for batch in batches: ...

PyTorch is not among the packages that DySO installs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from dyso import records
from dyso.reading.loading import Source
from dyso.reading.order import WindowedOrder


class Scenes(torch.utils.data.Dataset):
    """A map-style dataset: scenes as dictionaries of arrays.

    The seed of the source, the epoch and the index determine the views that are drawn
    of a scene. Worker processes may be forked or spawned, and may persist.
    """

    def __init__(self, source: Source):
        """Starts with epoch 0.

        Args:
          source: the scenes, with the fields and views to read.
        """
        self.source = source
        # In shared memory, because persistent workers have a copy of this object.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        spec = source.split.spec
        fewest, most = spec.objects.count
        self._ragged = frozenset(
            field.name
            for field in records.fields_of(spec)
            if ("N" in field.shape and fewest != most)
            or field.encoding == "packed"
            or field.layer in (records.JOINTS, records.BONES)
        )

    def set_epoch(self, epoch: int) -> None:
        """Has the next pass over the scenes draw the views of `epoch`."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Reads a scene, with the current epoch's views of it.

        Raises:
          IndexError: there is no such scene.
          RecordError: the scene is damaged.
        """
        seed = [self.source.seed, int(self._epoch), int(index) % len(self)]
        return self.source.draw(index, np.random.default_rng(seed))

    def collate(self, scenes: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Returns a batch, for `DataLoader(collate_fn=...)`.

        Numbers become a tensor with a leading axis of the scenes. Text becomes a list
        with an entry for each scene. Where the number of objects varies between the
        spec's scenes, the values of `objects/...` are a list of tensors; those of
        `mesh/...`, `joints/...`, `parts/...` and `bones/...` always are.
        """
        return {
            name: self._batched(name, [np.asarray(scene[name]) for scene in scenes])
            for name in scenes[0]
        }

    def _batched(self, name: str, values: list[np.ndarray]) -> Any:
        if values[0].dtype.kind == "U":
            return [value.tolist() for value in values]
        if name in self._ragged:
            return [torch.from_numpy(value) for value in values]
        return torch.from_numpy(np.stack(values))


class EpochSampler(torch.utils.data.Sampler[int]):
    """An order of the scenes that is new in each epoch and shared by all processes.

    The processes of a distributed job take turns in one common order. Each gets the
    same number of scenes, so up to `processes` - 1 scenes of an epoch are left out.

    The order does not depend on the number of processes. A job that stopped after
    `steps` steps of an epoch goes on with any number of processes, and sees each of the
    epoch's other scenes once:

        sampler.set_epoch(epoch, seen=steps * batch_size * processes)
    """

    def __init__(
        self,
        scenes: Scenes,
        *,
        seed: int,
        shuffle: bool = True,
        process: int = 0,
        processes: int = 1,
        window: int | None = None,
    ):
        """Starts with epoch 0.

        Args:
          scenes: the dataset that the sampler is for.
          seed: determines the orders, together with the epoch.
          shuffle: False keeps the order of the split.
          process: the number of this process, such as `torch.distributed.get_rank()`.
          processes: the number of processes.
          window: shuffle the scenes of this many shards at a time, for a dataset that
            is remote and larger than its cache; see `dyso.reading.order`.
        """
        if not 0 <= process < processes:
            raise ValueError(f"process must be 0 to {processes - 1}, got {process}")
        self._scenes, self._seed, self._shuffle = scenes, seed, shuffle
        self._process, self._processes = process, processes
        self._epoch = self._seen = 0
        self._windows = (
            None if window is None else WindowedOrder(scenes.source.split, seed, window)
        )

    def set_epoch(self, epoch: int, seen: int = 0) -> None:
        """Chooses the epoch of the next pass, for the order and the drawn views.

        Args:
          epoch: from 0.
          seen: how many scenes of the epoch all processes together have already used.
        """
        self._scenes.set_epoch(epoch)
        self._epoch, self._seen = epoch, seen

    def __len__(self) -> int:
        return max(0, len(self._scenes) - self._seen) // self._processes

    def __iter__(self) -> Iterator[int]:
        count = len(self._scenes)
        own = range(self._seen + self._process, count, self._processes)[: len(self)]
        if self._windows is not None:
            return (self._windows(self._epoch * count + place) for place in own)
        order = np.arange(count)
        if self._shuffle:
            order = np.random.default_rng([self._seed, self._epoch]).permutation(order)
        return iter(order[own].tolist())
