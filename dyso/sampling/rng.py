"""Named random streams, one for each factor of a scene."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The streams of one attempt at one scene.

    A stream depends only on these fields and on its name. Draws for one factor do not
    affect another, and scenes do not depend on the order in which they are sampled.

    Attributes:
      seed: the spec's.
      split: the split's name.
      index: the scene's index in its split.
      attempt: how often the scene was sampled before.
      shared: names of the streams that scenes 2k and 2k + 1 have in common.
    """

    seed: int
    split: str
    index: int
    attempt: int
    shared: Collection[str] = ()

    def named(self, name: str) -> np.random.Generator:
        """Returns a new generator; equal names give equal streams."""
        index = self.index - self.index % 2 if name in self.shared else self.index
        key = f"{self.seed}/{self.split}/{index}/{self.attempt}/{name}"
        # Python's hash() of a string differs between processes.
        entropy = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
        # PCG64 explicitly: numpy may change the generator behind `default_rng`.
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
