"""Named random streams: what one part of an object draws moves no other part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draw:
    """Draws of one name."""

    def __init__(self, key: tuple[int, ...], name: str = ""):
        """See `named`.

        Args:
          key: whole numbers that the draws follow from.
          name: the name of the stream.
        """
        self._key = key
        words = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        self.rng = np.random.default_rng(np.random.SeedSequence([*key, words]))

    def named(self, name: str) -> Draw:
        """Returns another stream of the same object."""
        return Draw(self._key, name)

    def real(self, low: float, high: float) -> float:
        """Returns a number in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def whole(self, low: int, high: int) -> int:
        """Returns a whole number in [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """Returns True with this probability."""
        return bool(self.rng.random() < share)

    def pick(self, options: Sequence[T]) -> T:
        """Returns one of them."""
        return options[int(self.rng.integers(len(options)))]
