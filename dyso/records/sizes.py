"""Measures the bytes of each field of a record."""

from __future__ import annotations

from dyso.records.codec import stored_keys
from dyso.records.example import Example
from dyso.records.fields import FIELDS


def stored_bytes(data: bytes) -> dict[str, int]:
    """Returns the bytes of each field that a record has, as serialized.

    Args:
      data: a valid record.
    """
    features = Example.FromString(data).features.feature
    return {
        field.name: sum(features[key].ByteSize() for key in stored_keys(field))
        for field in FIELDS
        if stored_keys(field)[0] in features
    }
