"""Captions as numbers."""

import pytest

from dyso.errors import UserError
from dyso.train.prior.vocabulary import encode, vocabulary

TEXTS = ["A red, brick-patterned car.", "a blue car moving"]


def test_words_are_numbered_in_order():
    words = vocabulary(TEXTS)
    assert words == ("a", "blue", "brick-patterned", "car", "moving", "red")
    assert encode(TEXTS, words, 5).tolist() == [[1, 6, 3, 4, 0], [1, 2, 4, 5, 0]]
    assert encode(TEXTS[1:], words, 3).tolist() == [[1, 2, 4]]


def test_an_unknown_word_is_named():
    with pytest.raises(UserError, match="does not know purple, boat; its 6 words"):
        encode(["a purple boat"], vocabulary(TEXTS), 5)
