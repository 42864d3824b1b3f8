"""Captions as numbers of words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int32

from dyso.errors import UserError

NOTHING = 0
"""The number where a caption has ended, or is left out; words count from 1."""


def words_of(text: str) -> list[str]:
    """Returns the words of a text in lower case, without punctuation."""
    return re.findall(r"[a-z0-9'-]+", text.lower())


def vocabulary(captions: Iterable[str]) -> tuple[str, ...]:
    """Returns all words of some captions, sorted."""
    return tuple(sorted({word for text in captions for word in words_of(text)}))


def encode(
    texts: Sequence[str], words: Sequence[str], tokens: int
) -> Int32[np.ndarray, "N {tokens}"]:
    """Returns the numbers of the words of texts; those beyond `tokens` are left out.

    Args:
      texts: captions, such as `a red wooden chair moving to the left`.
      words: the vocabulary.
      tokens: of a caption.

    Raises:
      UserError: a word is not in the vocabulary.
    """
    numbers = {word: number for number, word in enumerate(words, NOTHING + 1)}
    found = np.full((len(texts), tokens), NOTHING, np.int32)
    for row, text in zip(found, texts, strict=True):
        parts = words_of(text)
        unknown = [word for word in parts if word not in numbers]
        if unknown:
            raise UserError(
                f"{text!r}: the model does not know {', '.join(unknown)}; its "
                f"{len(words)} words are in `model.words` of its config.json"
            )
        values = [numbers[word] for word in parts[:tokens]]
        row[: len(values)] = values
    return found
