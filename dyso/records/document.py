"""Writes the format's page from the field table.

python -m dyso.records.document > docs/format.md
"""

from __future__ import annotations

from dyso.records.depth import DEPTH_ERROR, FAR, INFINITE, NEAR
from dyso.records.fields import FIELDS, Field
from dyso.spec import REQUIRED_LAYERS

_PAGE = """\
# The format

This page is generated: `python -m dyso.records.document > docs/format.md`.

A dataset is a folder that `dyso.reading` and tfds open alike:

| file | what it is |
|---|---|
| `<name>-<split>.array_record-00000-of-00004` | a shard, in ArrayRecord |
| `dataset_info.json`, `features.json` | what tfds reads: splits and features |
| `spec.json` | the resolved spec: the spec and the catalogs it names |
| `metadata.json` | counts, failures and whatever else its maker noted |

A record is one scene, as one serialized `tf.train.Example`. The same scene gives the
same bytes wherever it is made with the same versions. Conventions: metres, radians,
z up in the world with the floor at z = 0, quaternions (w, x, y, z), OpenCV camera axes
(x right, y down, z forward).

V views, V = T x C: view = dynamics step * cameras + camera. Where the spec's cameras
are `paired`, as in videos, camera i sees dynamics step i alone: V = T = C, and the
views are in the order of time. H x W pixels, N objects, T dynamics steps, C cameras.

Where the spec's `cameras.held_out` is above 0, the last so many cameras of every scene
are for testing and the others for training; they stand among the others. Where its
`dynamics.motion` is `physics`, the dynamics steps are `dynamics.frame_rate` a second.

## Fields

{table}

*If in the spec*: there where the spec's `render.layers` name it. A slash in a name is a
nested dictionary in tfds.

## Encodings

- **WebP**, **PNG**: one lossless image a view in `bytes_list`.
- **numbers**: `float_list` for floating point, `int64_list` for integers, in C order.
- **text**: UTF-8 in `bytes_list`.
- **depth**: one 16-bit grey PNG a view in `depth/code`, and the focal length in pixels,
  f, in `depth/focal_length`. A running sum along each row, modulo {modulus}, gives
  codes; a code stands for the distance along the optical axis

      z = {near:g} m * {ratio:.0f} ** (code / {last})      {infinite} is infinity

  and the depth of the pixel in row i, column j is
  z * sqrt(1 + ((j + 0.5 - W / 2)^2 + (i + 0.5 - H / 2)^2) / f^2). It holds z from
  {near:g} m to {far:g} m with a relative error of at most {error:g}.
"""


def document() -> str:
    """Gives docs/format.md."""
    rows = ["| field | dtype | shape | stored as | meaning |", "|---|---|---|---|---|"]
    rows += [
        f"| `{field.name}` | {field.dtype} | {_shape(field)} | {_stored(field)} "
        f"| {field.meaning} |"
        for field in FIELDS
    ]
    return _PAGE.format(
        table="\n".join(rows),
        near=NEAR,
        far=FAR,
        ratio=FAR / NEAR,
        last=INFINITE - 1,
        infinite=INFINITE,
        modulus=INFINITE + 1,
        error=DEPTH_ERROR,
    )


def _shape(field: Field) -> str:
    return f"[{', '.join(map(str, field.shape))}]" if field.shape else "scalar"


def _stored(field: Field) -> str:
    image = "WebP" if field.shape[-1:] == (3,) else "PNG"
    encoding = {"image": image, "values": "numbers"}.get(field.encoding, field.encoding)
    optional = field.layer is not None and field.layer not in REQUIRED_LAYERS
    return f"{encoding}, if in the spec" if optional else encoding


if __name__ == "__main__":
    print(document(), end="")
