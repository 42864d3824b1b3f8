"""Points on meshes that may deform: which face a pixel shows, and where in the face.

A pixel's ray hits a face of a mesh at barycentric coordinates, the weights of the
face's corners (Syn4D, 2026, describes tracks likewise). The same face and weights give
the point at every other dynamics step, however the mesh moves or deforms.

Only the face of a pixel must be stored. The weights follow from the pixel's ray, see
`barycentric`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dyso.geometry.arrays import namespace

Array = Any

_ALONG = 1e-2
"""Weight of an error along the ray, relative to one across it. The depth decides only
where the ray does not: in faces that are nearly parallel to it."""


class Mesh(NamedTuple):
    """The mesh of all objects in one view, or in V views.

    Attributes:
      surface: [H, W], or [V, H, W]: one plus the face that a pixel shows; 0 for none.
      faces: [F, 3], the vertices of each face; without a leading axis for views.
      vertices: [K, 3], or [V, K, 3]: metres in the world at the view's dynamics step.
    """

    surface: Array
    faces: Array
    vertices: Array


def barycentric(
    corners: Array, origins: Array, directions: Array, depth: Array
) -> Array:
    """Returns the weights [..., 3] of the corners at the points that rays hit.

    The point is within the face, and is the nearest one to the ray; where many are
    equally near, the one at the given depth. So rounded vertices and rounded depths are
    harmless, even in faces that the ray touches at a grazing angle.

    Args:
      corners: [..., 3, 3], the corners of each ray's face, metres.
      origins: [..., 3].
      directions: [..., 3], unit.
      depth: [...], metres along the ray, about.
    """
    xp = namespace(corners, directions, depth)

    def across(vectors: Array) -> Array:
        along = (vectors * directions).sum(-1, keepdims=True)
        return vectors - (1 - _ALONG) * along * directions

    first = corners[..., 0, :]
    one = across(corners[..., 1, :] - first)
    two = across(corners[..., 2, :] - first)
    wanted = across(origins + directions * depth[..., None] - first)
    a, b, c = (one * one).sum(-1), (one * two).sum(-1), (two * two).sum(-1)
    p, q = (one * wanted).sum(-1), (two * wanted).sum(-1)
    determinant = a * c - b * b
    # A face without an area is a line or a point; its middle is near enough.
    solvable = determinant > 1e-12 * a * c
    divisor = xp.where(solvable, determinant, 1)
    u = xp.where(solvable, (c * p - b * q) / divisor, 1 / 3)
    v = xp.where(solvable, (a * q - b * p) / divisor, 1 / 3)
    weights = xp.maximum(xp.stack([1 - u - v, u, v], axis=-1), 0)
    return weights / weights.sum(-1, keepdims=True)


def surface_points(
    surface: Array, weights: Array, faces: Array, vertices: Array
) -> Array:
    """Returns the points [..., 3] of faces; [V, ..., 3] for V states of the vertices.

    Args:
      surface: [...], one plus the face; where it is 0, the point is meaningless.
      weights: [..., 3], of the face's corners, see `barycentric`.
      faces: [F, 3].
      vertices: [K, 3] or [V, K, 3].
    """
    xp = namespace(surface, weights, vertices)
    corners = faces[xp.maximum(surface, 1) - 1]
    return (weights[..., None] * vertices[..., corners, :]).sum(-2)
