"""Random access to clips: ingested videos, or a dataset of monocular videos."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from dyso import records
from dyso.reading import Dataset, Split
from dyso.reading.shards import Shards
from dyso.records import RecordError
from dyso.records.clips import Clip, decode_clip
from dyso.spec import UserError
from dyso.storage import require_folder
from dyso.videos.ingest import FORMAT, METADATA


@runtime_checkable
class Frames(Protocol):
    """The frames of a clip; `len` returns their number."""

    def __len__(self) -> int: ...

    def decode(
        self, frames: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "F H W 3"]:
        """Decodes the frames at these indices, in this order; None decodes all."""


@runtime_checkable
class Clips(Protocol):
    """Clips of one resolution; `len` returns their number.

    Attributes:
      resolution: height and width of the frames, in pixels.
      fewest_frames: the number of frames of the shortest clip.
    """

    @property
    def resolution(self) -> tuple[int, int]: ...

    @property
    def fewest_frames(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Frames: ...


def open_clips(folder: str | Path, split: str | None = None) -> Clips:
    """Opens a split of ingested videos, or of a dataset of monocular videos.

    Args:
      folder: the folder of clips, or of the dataset.
      split: the split's name; None opens the only split, or `train` of several.

    Raises:
      UserError: the folder holds neither, or there is no such split.
    """
    if not (Path(folder) / "dataset_info.json").exists():
        videos = ClipFolder(folder)
        return videos[split or _default(videos.splits)]
    dataset = Dataset(folder)
    return SceneClips(dataset[split or _default(dataset.splits)])


def is_clip_folder(folder: str | Path) -> bool:
    """Returns whether a folder has metadata, but no spec, which every dataset has."""
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    return METADATA in names and "spec.json" not in names


def _default(splits: Iterable[str]) -> str:
    names = list(splits)
    return names[0] if len(names) == 1 else "train"


class ClipFolder:
    """A folder that `dyso videos ingest` has written.

    Attributes:
      folder: the folder's path.
      metadata: the content of metadata.json, see `dyso.videos.ingest`.
      splits: the splits by name.
    """

    def __init__(self, folder: str | Path):
        """Reads the metadata; opens no shard.

        Raises:
          UserError: the folder is not a finished folder of clips.
        """
        self.folder = Path(folder)
        require_folder(folder)
        path = self.folder / METADATA
        try:
            self.metadata = records.read_json(path)
            if self.metadata["format"] != FORMAT:
                raise ValueError(self.metadata["format"])
            height, width = map(int, self.metadata["options"]["resolution"])
            fewest = int(self.metadata["fewest_frames"])
            self.splits = {
                name: ClipSplit(
                    tuple((self._shard(s["file"]), _count(s["count"])) for s in shards),
                    resolution=(height, width),
                    fewest_frames=fewest,
                )
                for name, shards in self.metadata["splits"].items()
            }
        except OSError as error:
            raise UserError(
                f"{folder}: not a finished folder of clips: {METADATA}: "
                f"{error.strerror}; run dyso videos ingest to make one"
            ) from error
        except (
            *(ValueError, LookupError, TypeError, AttributeError),
            OverflowError,
        ) as error:
            raise RecordError(f"{path}: is not metadata of clips") from error

    def _shard(self, name: str) -> Path:
        # The metadata may be untrusted: no path may leave the folder.
        return self.folder / Path(name).name

    def __getitem__(self, name: str) -> ClipSplit:
        """Returns a split.

        Raises:
          UserError: there is no such split.
        """
        if name not in self.splits:
            raise UserError(
                f"{self.folder}: no split {name!r}; the splits are "
                f"{', '.join(self.splits)}"
            )
        return self.splits[name]


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**40:
        raise ValueError(f"not a number of clips: {value!r:.80}")
    return value


class ClipSplit(Sequence[Clip]):
    """The clips of a split; pickled without open files.

    Attributes:
      resolution: height and width of the frames, in pixels.
      fewest_frames: the number of frames of the shortest clip.
    """

    def __init__(
        self,
        shards: tuple[tuple[Path, int], ...],
        *,
        resolution: tuple[int, int],
        fewest_frames: int,
    ):
        """Creates the split; opens no file.

        Args:
          shards: each file's path, and the number of clips that it must hold.
          resolution: see above.
          fewest_frames: see above.
        """
        self.resolution, self.fewest_frames = resolution, fewest_frames
        self._shards = Shards(shards)
        self._ends = list(itertools.accumulate(count for _, count in shards))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Clip:  # type: ignore[override]
        """Reads a clip without decoding frames.

        Raises:
          IndexError: there is no such clip.
          RecordError: the clip is damaged.
        """
        place = range(len(self))[index]
        shard = bisect.bisect_right(self._ends, place)
        position = place - (self._ends[shard - 1] if shard else 0)
        try:
            return decode_clip(self._shards.read(shard, position))
        except RecordError as error:
            raise RecordError(f"{self._shards.where(shard, position)}: {error}") from (
                error
            )


class SceneClips:
    """The scenes of a dataset of monocular videos, as clips.

    Attributes:
      resolution: height and width of the views, in pixels.
      fewest_frames: the number of views of each scene.
    """

    def __init__(self, split: Split):
        """Checks that the scenes of a split are videos of one camera.

        Raises:
          UserError: they are not.
        """
        spec = split.spec
        if spec.views != spec.dynamics.steps:
            raise UserError(
                f"videos: expected one view per dynamics step, got {spec.views} views "
                f"of {spec.dynamics.steps} steps in {spec.name!r}; see specs/video.yaml"
            )
        self._split = split
        self.resolution: tuple[int, int] = spec.resolution
        self.fewest_frames = spec.views

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> SceneFrames:
        """Returns a scene's frames, which are read only when they are decoded."""
        return SceneFrames(self._split, index)


class SceneFrames:
    """The views of a scene in temporal order."""

    def __init__(self, split: Split, index: int):
        """Stores which scene it is; reads nothing."""
        self._split, self._index = split, index

    def __len__(self) -> int:
        return self._split.spec.views

    def decode(
        self, frames: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "F H W 3"]:
        """See `Frames.decode`."""
        record = self._split.read(self._index, fields=["color"], views=frames)
        colors: np.ndarray = record["color"]
        return colors
