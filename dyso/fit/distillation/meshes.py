"""Textured meshes of a scene: its surface at each time step, by marching cubes.

The texture has a triangle of texels for each face, at whose places on the surface the
field's colour is looked up; two faces share a square. Materials are unlit, since the
colours are those of pictures and contain the light.
"""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from dyso.fit.distillation import rendering
from dyso.fit.distillation.config import Config
from dyso.fit.distillation.optimization import STEPS
from dyso.fit.hexplane.optimization import State
from dyso.fit.predictions import new_file
from dyso.fit.rays import time_of
from dyso.glb import Glb

_CELLS = 64
_BLOCK = 2**16
"""Points that are looked up are filled up to a multiple of this."""
_SURFACE = 10.0
"""The density of the surface, per unit of the planes' cube."""
_RATE = 8.0
"""Time steps per second of the animation."""
_SIDE = 5
"""Texels along the side of a square.

The corners of its first face are centres of texels, in the lower left half; the other
face lies so far from it that no texel is interpolated into both.
"""


def write_meshes(out: Path, state: State, config: Config) -> None:
    """Writes meshes/step_<i>.glb, and animation.glb, which shows one after another.

    Steps at which nothing is as dense as a surface have no mesh.

    Args:
      out: the folder of the scene.
      state: the scene after the last iteration.
      config: of the fit.
    """
    film = Glb()
    # The last step is shown as long as the others.
    times = film.numbers(np.arange(STEPS + 1) / _RATE, bounds=True)
    for step in range(STEPS):
        places = _surface(state, config, step)
        if not len(places):
            continue
        coordinates, points = atlas(places)
        _, color = _look_up(state, points.reshape(-1, 3), step, config)
        pixels = np.rint(255 * color).astype(np.uint8).reshape(points.shape)
        still = Glb()
        _add_mesh(still, f"step_{step:02}", places, coordinates, pixels)
        with new_file(out / f"meshes/step_{step:02}.glb") as file:
            file.write(still.written())
        node = _add_mesh(film, f"step_{step:02}", places, coordinates, pixels)
        shown = np.minimum(np.arange(STEPS + 1), STEPS - 1) == step
        scales = np.repeat(shown[:, None], 3, axis=1).astype(float)
        film.tree["nodes"][node]["scale"] = scales[0].tolist()
        film.moves(node, "scale", times, scales, "STEP")
    if film.tree["meshes"]:
        with new_file(out / "meshes/animation.glb") as file:
            file.write(film.written())


def atlas(
    places: Float[np.ndarray, "F 3 3"],
) -> tuple[Float[np.ndarray, "F 3 2"], Float[np.ndarray, "H W 3"]]:
    """Lays faces out in a texture.

    Args:
      places: of the faces' corners.

    Returns:
      The corners' coordinates in the texture, (x, y) from its upper left corner in
      [0, 1]; and the place of each texel on its face or beside it.
    """
    across = math.ceil(math.sqrt(len(places) / 2))
    down = -(-len(places) // (2 * across))
    first, last = 0.5, _SIDE - 0.5
    # Of the two faces of a square, in texels.
    corners = np.array(
        [
            [[first, first], [last - 1, first], [first, last - 1]],
            [[last, last], [first + 2, last], [last, first + 2]],
        ]
    )
    x, y = np.meshgrid(*[np.arange(_SIDE) + 0.5] * 2)
    owner = (x + y > _SIDE).astype(int)
    legs = corners[:, 1:] - corners[:, :1]
    offsets = np.stack([x, y], axis=-1) - corners[owner, 0]
    shares = np.einsum("ija,ijab->ijb", offsets, np.linalg.inv(legs)[owner])
    weights = np.concatenate([1 - shares.sum(-1, keepdims=True), shares], axis=-1)

    # The last squares are filled with faces again.
    squares = np.resize(places, (down * across, 2, 3, 3))
    points = np.einsum("ijk,nijkd->nijd", weights, squares[:, owner])
    points = points.reshape(down, across, _SIDE, _SIDE, 3).swapaxes(1, 2)
    row, column = np.divmod(np.arange(down * across), across)
    origins = _SIDE * np.stack([column, row], axis=-1)
    at = (origins[:, None, None] + corners) / (_SIDE * across, _SIDE * down)
    return (
        at.reshape(-1, 3, 2)[: len(places)],
        points.reshape(down * _SIDE, across * _SIDE, 3),
    )


def _surface(state: State, config: Config, step: int) -> Float[np.ndarray, "F 3 3"]:
    """Returns the corners of the surface's faces, in the planes' cube; may be none."""
    from skimage.measure import marching_cubes

    axis = (np.arange(_CELLS) + 0.5) / _CELLS - 0.5  # The inner cube.
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    density, _ = _look_up(state, points.reshape(-1, 3), step, config)
    density = density.reshape(points.shape[:3])
    if not density.min() < _SURFACE < density.max():
        return np.zeros((0, 3, 3))
    vertices, faces, _, _ = marching_cubes(np.log(density + 1e-6), np.log(_SURFACE))
    return ((vertices + 0.5) / _CELLS - 0.5)[faces]


def _add_mesh(
    glb: Glb,
    name: str,
    places: Float[np.ndarray, "F 3 3"],
    coordinates: Float[np.ndarray, "F 3 2"],
    pixels: UInt8[np.ndarray, "H W 3"],
) -> int:
    """Adds a mesh, in radii of the scene, and returns its node."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    primitive = {
        "attributes": {
            "POSITION": glb.numbers(2 * places.reshape(-1, 3), bounds=True),
            "TEXCOORD_0": glb.numbers(coordinates.reshape(-1, 2)),
        },
        "material": glb.unlit(png.getvalue()),
    }
    glb.tree["meshes"].append({"primitives": [primitive]})
    return glb.node(name=name, mesh=len(glb.tree["meshes"]) - 1)


def _look_up(
    state: State, points: np.ndarray, step: int, config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the density and the colour at points of the planes, at a time step."""
    # Of few different lengths, each of which is compiled.
    count = len(points)
    padded = np.zeros((-(-count // _BLOCK) * _BLOCK, 3), np.float32)
    padded[:count] = points
    density, color = _compiled_look_up(state, padded, np.int32(step), config)
    return np.asarray(density)[:count], np.asarray(color)[:count]


@functools.partial(jax.jit, static_argnames="config")
def _compiled_look_up(
    state: State, points: Array, step: Array, config: Config
) -> tuple[Array, Array]:
    evaluate = rendering.biased(config, rendering.sigma_at(config, config.iterations))
    times = jnp.full(len(points), time_of(step, STEPS))
    return evaluate(state.field, points, times)
