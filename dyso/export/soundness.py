"""What a record must be to be exported: of the spec's shapes, with finite numbers."""

from __future__ import annotations

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
      record: whole, or some of its fields and views.
      spec: the dataset's.
      views: how many it was read with; None means whole, with every field.

    Raises:
      RecordError: a field is missing, has another shape than the spec says, or holds
        NaN or infinity; the line names it. Depth alone may be infinite.
    """
    sizes: dict[str | int, int] = {
        "V": spec.views if views is None else views,
        "H": spec.resolution[0],
        "W": spec.resolution[1],
        "T": spec.dynamics.steps,
    }
    for field in records.fields_of(spec.render.layers):
        if views is not None and field.name not in record:
            continue
        found = record[field.name].shape if field.name in record else None
        if found and field.shape[:1] == ("N",):
            sizes.setdefault("N", found[0])
        shape = tuple(sizes.get(axis, axis) for axis in field.shape)
        if found != shape:
            raise records.RecordError(
                f"{field.name!r} must have the spec's shape {shape}, got {found}"
            )
        value = record[field.name]
        if value.dtype.kind != "f":
            continue
        bad = np.isnan(value) if field.encoding == "depth" else ~np.isfinite(value)
        if bad.any():
            raise records.RecordError(
                f"{field.name!r} holds {value[bad][0]}, first at "
                f"{np.argwhere(bad)[0].tolist()}"
            )
