"""Captioned videos of a dataset, in memory, and batches of their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dyso.errors import UserError
from dyso.reading import CAPTION_FIELDS, Split, captions
from dyso.spec import Catalog, ProceduralCatalog
from dyso.train.prior.config import Config, Network
from dyso.train.prior.diffusion import averaged
from dyso.train.prior.vocabulary import NOTHING, encode

PHRASES = 2
"""Of a scene's captions, those that say nothing of how the cameras differ."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Videos:
    """All videos of a split: what each camera that sees all dynamics steps sees.

    Attributes:
      frames: [N, F, H, W, 3], sRGB.
      captions: of each video, `PHRASES` texts, from what its first frame shows.
      rate: frames per second.
    """

    frames: UInt8[np.ndarray, "N F H W 3"]
    captions: tuple[tuple[str, ...], ...]
    rate: float

    @classmethod
    def read(
        cls,
        split: Split,
        objects: Catalog | ProceduralCatalog,
        model: Network,
        progress: Callable[[range], Iterable[int]] = iter,
    ) -> Videos:
        """Reads a split; in a video of a moving camera, it is the first camera.

        Args:
          split: the scenes.
          objects: the dataset's catalog, see `dyso.reading.captions`.
          model: has the resolution and the number of frames.
          progress: is given the numbers of the scenes, and yields them.

        Raises:
          UserError: videos are too short or of another shape.
          RecordError: a scene is damaged.
        """
        spec = split.spec
        steps, cameras = spec.layout.shape
        if steps < model.frames:
            raise UserError(
                f"model.frames: {model.frames}, but {spec.name} has dynamics.steps "
                f"{steps}; see specs/captioned_videos.yaml"
            )
        factors = {
            has / wanted
            for has, wanted in zip(spec.resolution, model.resolution, strict=True)
        }
        factor = int(min(factors))
        if factors != {float(factor)}:
            height, width = spec.resolution
            raise UserError(
                f"model.resolution: {spec.name} has {height} {width}, which is no "
                "whole multiple of it"
            )
        frames, texts = [], []
        for index in progress(range(len(split))):
            for camera in range(1 if spec.cameras.paired else cameras):
                views = range(camera, steps * cameras, cameras)
                record = split.read(index, fields=CAPTION_FIELDS, views=views)
                frames.append(_smaller(record["color"], factor))
                texts.append(captions(record, objects)[:PHRASES])
        return cls(
            frames=np.stack(frames),
            captions=tuple(texts),
            rate=float(spec.dynamics.frame_rate),
        )

    def __len__(self) -> int:
        return len(self.frames)


def _smaller(
    color: UInt8[np.ndarray, "F H W 3"], factor: int
) -> UInt8[np.ndarray, "F h w 3"]:
    if factor == 1:
        return color
    return np.rint(averaged(color, factor)).astype(np.uint8)


class Batches:
    """Batches of videos, which depend only on the seed and on the batch's number."""

    def __init__(self, videos: Videos, config: Config, *, single: bool):
        """See the class.

        Args:
          videos: to draw from.
          config: the run.
          single: of single frames.
        """
        self._videos, self._config, self._single = videos, config, single
        texts = [text for texts in videos.captions for text in texts]
        words = encode(texts, config.model.words, config.model.tokens)
        self._words = words.reshape(len(videos), -1, config.model.tokens)
        self._number = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        training, videos = self._config.training, self._videos
        rng = np.random.default_rng([training.seed, self._single, self._number])
        self._number += 1
        # As many frames as in a batch of videos.
        length = self._config.model.frames
        batch = training.batch_size * (length if self._single else 1)
        chosen = rng.integers(len(videos), size=batch)
        words = self._words[chosen, rng.integers(self._words.shape[1], size=batch)]
        words = np.where(rng.random((batch, 1)) < training.no_caption, NOTHING, words)
        steps = videos.frames.shape[1]
        if self._single:
            frames = rng.integers(steps, size=(batch, 1))
            rates = np.zeros(batch)
        else:
            most = (steps - 1) // max(length - 1, 1)
            stride = rng.integers(
                1, min(training.strides, max(most, 1)) + 1, size=batch
            )
            last = steps - stride * (length - 1)
            start = rng.integers(last)
            frames = start[:, None] + stride[:, None] * np.arange(length)
            rates = videos.rate / stride
        return {
            "video": chosen.astype(np.int32),
            "frames": frames.astype(np.int32),
            "rates": rates.astype(np.float32),
            "words": words.astype(np.int32),
        }

    def get_state(self) -> dict[str, int]:
        """Returns what `set_state` continues at."""
        return {"number": self._number}

    def set_state(self, state: dict[str, int]) -> None:
        """Continues after the batches before a state."""
        self._number = int(state["number"])
