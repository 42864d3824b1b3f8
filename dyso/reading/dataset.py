"""Random access to a dataset folder."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar, overload

import numpy as np

from dyso import records
from dyso.reading.remote import CACHE_SIZE, is_remote, open_cache
from dyso.reading.shards import Shards
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec, Spec, UserError, load_resolved

_T = TypeVar("_T")


class Dataset:
    """A dataset folder, on a disk, in a bucket or on a web server.

        dataset = Dataset("data/demo")  # or "s3://bucket/demo"
        scene = dataset["train"][3]     # everything, decoded
        views = dataset["train"].read(3, fields=["color"], views=[0, 6])

    Attributes:
      folder: the dataset's path; of a remote dataset, a local folder with its metadata.
      resolved: the spec with its catalogs, from spec.json.
      splits: the splits by name.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        cache_dir: str | Path | None = None,
        cache_size: int = CACHE_SIZE,
    ):
        """Reads the metadata; opens no shard.

        Args:
          folder: a path, `s3://bucket/prefix`, `gs://bucket/prefix` or
            `https://host/folder`. Shards of a remote dataset are downloaded when they
            are first read.
          cache_dir: where downloaded shards are kept; None means
            `$XDG_CACHE_HOME/dyso/shards`. Processes of a machine may share it.
          cache_size: bytes of shards to keep; the least recently opened are removed.

        Raises:
          UserError: the folder is not a finished dataset, or cannot be read.
        """
        cache = None
        if is_remote(folder):
            cache, folder = open_cache(str(folder), cache_dir, cache_size)
        self.folder = Path(folder)
        shards = records.read_splits(self.folder)
        self.resolved: ResolvedSpec = load_resolved(self.folder / "spec.json")
        spec = self.resolved.spec
        self.splits = {
            name: Split(name, spec, Shards(files, cache))
            for name, files in shards.items()
        }

    def __repr__(self) -> str:
        spec = self.resolved.spec
        splits = ", ".join(f"{name} {len(part)}" for name, part in self.splits.items())
        height, width = spec.resolution
        size = f"{spec.views} views, {height} x {width}"
        return f"Dataset({str(self.folder)!r}: {spec.name}, {splits} scenes of {size})"

    def __getitem__(self, name: str) -> Split:
        """Returns a split, such as `train`, or a part of it, such as `train[2:10]`.

        Raises:
          UserError: there is no such split.
        """
        match = re.fullmatch(r"(\w+)(?:\[(-?\d*):(-?\d*)\])?", name)
        if not match or match[1] not in self.splits:
            raise UserError(
                f"{self.folder}: no split {name!r}; the splits are "
                f"{', '.join(self.splits)}, and parts of them as in 'train[2:10]'"
            )
        split = self.splits[match[1]]
        if match[2] is None:
            return split
        start, stop = (int(bound) if bound else None for bound in match.groups()[1:])
        return split[start:stop]


class Split(Sequence[dict[str, Any]]):
    """The scenes of a split, or of a part of it. Pickling leaves out open files.

    Attributes:
      name: the whole split's name.
      spec: the dataset's spec.
    """

    def __init__(
        self, name: str, spec: Spec, shards: Shards, indices: range | None = None
    ):
        """Takes the shards, and the split's record indices across all of them."""
        self.name, self.spec = name, spec
        self._shards = shards
        self._ends = list(itertools.accumulate(count for _, count in shards.shards))
        self._indices = range(self._ends[-1]) if indices is None else indices

    def __len__(self) -> int:
        return len(self._indices)

    def __repr__(self) -> str:
        span = self._indices
        whole = span == range(self._ends[-1])
        step = "" if span.step == 1 else f":{span.step}"
        part = "" if whole else f"[{span.start}:{span.stop}{step}]"
        return f"Split({self.name}{part}: {len(self)} scenes of {self.spec.name})"

    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Split: ...
    def __getitem__(self, index: Any) -> Any:
        """Decodes one whole scene, or returns a part of the split; see `read`.

        Raises:
          IndexError: there is no such scene.
          RecordError: the scene is damaged.
        """
        if isinstance(index, slice):
            return Split(self.name, self.spec, self._shards, self._indices[index])
        return self.read(index)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.read(index) for index in range(len(self)))

    def read(
        self,
        index: SupportsIndex,
        *,
        fields: Iterable[str] | None = None,
        views: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Decodes the requested fields and views of one scene.

        Args:
          index: the scene's index in the split; negative counts from the end.
          fields: names from docs/format.md; None means all.
          views: indices, view = dynamics step * cameras + camera; None means all.

        Returns:
          Arrays by field name, as in docs/format.md; axis V has the chosen views.

        Raises:
          IndexError: there is no such scene.
          UserError: there is no such field or view.
          RecordError: the scene is damaged.
        """
        return self._with(
            index,
            lambda data: records.decode(
                data, fields=fields, views=views, spec=self.spec
            ),
        )

    def scene(self, index: SupportsIndex) -> Scene:
        """Returns the `Scene` that one scene was rendered from; see `read`."""
        return self._with(index, lambda data: records.scene_of(data, self.spec))

    def shards_of(self, indices: np.ndarray) -> np.ndarray:
        """Returns the number of the shard that holds each scene; both int [...]."""
        records = np.asarray(self._indices)[indices]
        return np.searchsorted(self._ends, records, side="right")

    def prefetch(self, indices: np.ndarray) -> None:
        """Starts to download the shards of scenes, in this order.

        Does nothing unless the dataset is remote.
        """
        self._shards.prefetch(dict.fromkeys(self.shards_of(indices).tolist()))

    def record(self, index: SupportsIndex) -> bytes:
        """Returns one scene's `tf.train.Example`; see `read`."""
        return self._shards.read(*self._locate(index))

    def _with(self, index: SupportsIndex, decode: Callable[[bytes], _T]) -> _T:
        place = self._locate(index)
        data = self._shards.read(*place)
        try:
            return decode(data)
        except records.RecordError as error:
            raise records.RecordError(
                f"{self._shards.where(*place)}: {error}"
            ) from error

    def _locate(self, index: SupportsIndex) -> tuple[int, int]:
        """Returns the shard and the position in it."""
        try:
            record = self._indices[index]
        except IndexError:
            raise IndexError(
                f"no scene {index} in {self.name!r}, which has {len(self)} here"
            ) from None
        shard = bisect.bisect_right(self._ends, record)
        return shard, record - (self._ends[shard - 1] if shard else 0)
