"""Writes docs/format.md from the field table.

python -m dyso.records.document > docs/format.md
"""

from __future__ import annotations

from dyso.records.depth import DEPTH_ERROR, FAR, INFINITE, NEAR
from dyso.records.fields import BONES, CLIPS, FIELDS, JOINTS, Field
from dyso.spec import REQUIRED_LAYERS

_PAGE = """\
# The format

This page is generated: `python -m dyso.records.document > docs/format.md`.

A dataset is a folder that both `dyso.reading` and tfds open:

| file | content |
|---|---|
| `<name>-<split>.array_record-00000-of-00004` | a shard, in ArrayRecord |
| `dataset_info.json`, `features.json` | splits and features, as tfds reads them |
| `spec.json` | the resolved spec: the spec and the catalogs it names |
| `metadata.json` | counts, failures and other notes of the job |
| `croissant.json` | the dataset, described in MLCommons Croissant 1.1 |
| `README.md` | the dataset card, as the Hugging Face Hub reads it |
| `ATTRIBUTION.md` | the assets that the scenes show, with source, licence and author |

A record is one scene, as one serialized `tf.train.Example`. The same scene has
the same bytes on every machine with the same versions. Conventions: metres, radians,
z up in the world with the floor at z = 0, quaternions (w, x, y, z), OpenCV camera axes
(x right, y down, z forward).

A scene has N objects, T dynamics steps, C cameras and V views of H x W pixels. V = T x
C, and view = dynamics step * cameras + camera. If the spec's cameras are `paired`, as
in videos, camera i sees only dynamics step i: V = T = C, and the views are in order of
time.

The last `cameras.held_out` cameras of every scene are for testing, the others for
training. The positions of both are mixed. In a video, H held-out cameras stand beside
the path of the moving one and see every step: C = T + H, V = T x (1 + H), and view =
dynamics step * (1 + H), plus 1 to H for the held-out cameras. If `dynamics.motion` is
`physics`, there are `dynamics.frame_rate` dynamics steps per second.

## Fields

{table}

*If in the spec*: present if the spec's `render.layers` name it. *If joints move*:
present if the spec has `dynamics.articulate`; all objects together then have J joints
and P = N + J parts. *If bones are kept*: present if it has `dynamics.gait.bones`; all
creatures together then have B bones. *If clips play*: present if it has
`dynamics.animate`. A slash in a name is a nested dictionary in tfds.

## Encodings

- **WebP**, **PNG**: one lossless image per view in `bytes_list`.
- **numbers**: `float_list` for floating point, `int64_list` for integers, in C order.
- **packed**: numbers as multiples of `NAME/unit`, of the shape `NAME/shape`, in
  `NAME/code`: the integers' differences along the first axis, of `mesh/vertices` then
  along the second axis too; each difference n as 2 n, or -2 n - 1 if it is negative;
  their four bytes as four planes, lowest first; compressed by zlib.
- **text**: UTF-8 in `bytes_list`.
- **depth**: one 16-bit grey PNG per view in `depth/code`, and the focal length f in
  pixels in `depth/focal_length`. The running sum along each row, modulo {modulus}, is
  the code of each pixel. A code represents the distance along the optical axis

      z = {near:g} m * {ratio:.0f} ** (code / {last})      {infinite} is infinity

  and the depth of the pixel in row i, column j is
  z * sqrt(1 + ((j + 0.5 - W / 2)^2 + (i + 0.5 - H / 2)^2) / f^2). It represents z from
  {near:g} m to {far:g} m with a relative error of at most {error:g}.
"""


def document() -> str:
    """Returns the text of docs/format.md."""
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
    if field.layer == JOINTS:
        return f"{encoding}, if joints move"
    if field.layer == BONES:
        return f"{encoding}, if bones are kept"
    if field.layer == CLIPS:
        return f"{encoding}, if clips play"
    optional = field.layer is not None and field.layer not in REQUIRED_LAYERS
    return f"{encoding}, if in the spec" if optional else encoding


if __name__ == "__main__":
    print(document(), end="")
