"""Checks before an export: shapes as in the spec, and finite numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from dyso import records
from dyso.spec import Spec


def check_record(
    record: Mapping[str, Any], spec: Spec, views: int | None = None
) -> None:
    """Checks the fields of a decoded record.

    Args:
      record: a whole record, or some of its fields and views.
      spec: the dataset's spec.
      views: the number of views that were read; None means a whole record.

    Raises:
      RecordError: a field is missing, has another shape than the spec, contains NaN or
        infinity, or is no JSON where it must be; the message names the field. Only
        depth may be infinite.
    """
    sizes: dict[str | int, int] = {
        "V": spec.views if views is None else views,
        "H": spec.resolution[0],
        "W": spec.resolution[1],
        "T": spec.dynamics.steps,
    }
    for field in records.fields_of(spec):
        if views is not None and field.name not in record:
            continue
        shape = record[field.name].shape if field.name in record else None
        if shape and field.shape[0] in ("N", "J", "P", "B"):
            sizes.setdefault(field.shape[0], shape[0])
        if shape and field.encoding == "packed" and len(shape) == len(field.shape):
            for axis, size in zip(field.shape, shape, strict=True):
                if axis in ("F", "K"):
                    sizes.setdefault(axis, size)
        expected = tuple(sizes.get(axis, axis) for axis in field.shape)
        if shape != expected:
            raise records.RecordError(
                f"{field.name!r} must have the spec's shape {expected}, got {shape}"
            )
        value = record[field.name]
        if value.dtype.kind != "f":
            continue
        bad = np.isnan(value) if field.encoding == "depth" else ~np.isfinite(value)
        if bad.any():
            raise records.RecordError(
                f"{field.name!r} contains {value[bad][0]}, first at "
                f"{np.argwhere(bad)[0].tolist()}"
            )
    if "scene" in record:
        records.parse_scene(str(record["scene"]))
    try:
        json.loads(str(record.get("versions", "{}")))
    except ValueError as error:
        raise records.RecordError("damaged field 'versions': not JSON") from error
