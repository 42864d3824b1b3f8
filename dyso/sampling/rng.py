"""Random streams, each named by what it decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The streams of one attempt at one scene.

    A stream depends on these fields and its name alone, so what one factor draws moves
    nothing in another, and no scene depends on which were sampled before.

    Attributes:
      seed: the spec's.
      split: the split's name.
      index: the scene's index in its split.
      attempt: how often the scene was sampled before.
    """

    seed: int
    split: str
    index: int
    attempt: int

    def named(self, name: str) -> np.random.Generator:
        """Starts a stream; two calls give two streams alike."""
        key = f"{self.seed}/{self.split}/{self.index}/{self.attempt}/{name}"
        # Python's own hash() of a text differs from process to process.
        entropy = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
        # Named, for numpy may change the generator that `default_rng` gives.
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
