"""Random access to clips: of ingested videos, or of a dataset of monocular ones."""

from __future__ import annotations

import bisect
import itertools
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
    """The frames of a clip; its length is their number."""

    def __len__(self) -> int: ...

    def decode(
        self, frames: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "F H W 3"]:
        """Decodes the frames at some indices, in this order; None is all."""


@runtime_checkable
class Clips(Protocol):
    """Clips of one size; its length is their number.

    Attributes:
      resolution: height and width of the frames, in pixels.
      fewest_frames: that a clip has.
    """

    @property
    def resolution(self) -> tuple[int, int]: ...

    @property
    def fewest_frames(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Frames: ...


def open_clips(folder: str | Path, split: str | None = None) -> Clips:
    """Opens a split of ingested videos, or of a dataset whose scenes are such.

    Args:
      folder: the videos.
      split: its name; None takes the only one, or `train` of several.

    Raises:
      UserError: it is neither, or there is no such split.
    """
    if not (Path(folder) / "dataset_info.json").exists():
        videos = ClipFolder(folder)
        return videos[split or _default(videos.splits)]
    dataset = Dataset(folder)
    return SceneClips(dataset[split or _default(dataset.splits)])


def _default(splits: Iterable[str]) -> str:
    names = list(splits)
    return names[0] if len(names) == 1 else "train"


class ClipFolder:
    """A folder that `dyso videos ingest` made.

    Attributes:
      folder: where it is.
      metadata: what metadata.json says, see `dyso.videos.ingest`.
      splits: its splits by name.
    """

    def __init__(self, folder: str | Path):
        """Reads the metadata; opens no shard.

        Raises:
          UserError: it is not a finished folder of clips.
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
                    tuple((self._shard(s["file"]), _count(s["count"])) for s in own),
                    resolution=(height, width),
                    fewest_frames=fewest,
                )
                for name, own in self.metadata["splits"].items()
            }
        except OSError as error:
            raise UserError(
                f"{folder}: no finished folder of clips: {METADATA}: {error.strerror}; "
                "make one by dyso videos ingest"
            ) from error
        except (
            *(ValueError, LookupError, TypeError, AttributeError),
            OverflowError,
        ) as error:
            raise RecordError(f"{path}: not the metadata of clips") from error

    def _shard(self, name: str) -> Path:
        # Not a path out of the folder.
        return self.folder / Path(name).name

    def __getitem__(self, name: str) -> ClipSplit:
        """Gives a split.

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
        raise ValueError(f"no number of clips: {value!r:.80}")
    return value


class ClipSplit(Sequence[Clip]):
    """The clips of a split; pickles without its open files.

    Attributes:
      resolution: height and width of the frames, in pixels.
      fewest_frames: that a clip has.
    """

    def __init__(
        self,
        shards: tuple[tuple[Path, int], ...],
        *,
        resolution: tuple[int, int],
        fewest_frames: int,
    ):
        """Takes each file's path and the number of clips that it must hold."""
        self.resolution, self.fewest_frames = resolution, fewest_frames
        self._shards = Shards(shards)
        self._ends = list(itertools.accumulate(count for _, count in shards))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Clip:  # type: ignore[override]
        """Reads a clip; decodes no frame.

        Raises:
          IndexError: there is no such clip.
          RecordError: it is damaged.
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
    """Scenes of a dataset as clips, where each view is a later moment of one camera.

    Attributes:
      resolution: height and width of the views, in pixels.
      fewest_frames: the views of a scene.
    """

    def __init__(self, split: Split):
        """Takes the scenes.

        Raises:
          UserError: they are no videos.
        """
        spec = split.spec
        if spec.views != spec.dynamics.steps:
            raise UserError(
                f"videos: the scenes of {spec.name!r} have {spec.views} views of "
                f"{spec.dynamics.steps} moments, and a video has one of each; see "
                "specs/video.yaml"
            )
        self._split = split
        self.resolution: tuple[int, int] = spec.resolution
        self.fewest_frames = spec.views

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> SceneFrames:
        """Gives a scene's frames; reads nothing yet."""
        return SceneFrames(self._split, index)


class SceneFrames:
    """The views of a scene in the order of time."""

    def __init__(self, split: Split, index: int):
        """Takes a scene."""
        self._split, self._index = split, index

    def __len__(self) -> int:
        return self._split.spec.views

    def decode(
        self, frames: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "F H W 3"]:
        """See `Frames.decode`."""
        found = self._split.read(self._index, fields=["color"], views=frames)
        colors: np.ndarray = found["color"]
        return colors
