"""A differentiable rasterizer of 3D Gaussians, in tiles and fixed shapes.

`render` projects the Gaussians, sorts them into tiles, and composites each tile from
front to back. With alpha_i = opacity_i * exp(-d_i^T S_i^-1 d_i / 2) at a pixel, where
d_i is its offset from the centre and S_i the covariance,

    image = sum_i w_i value_i,    w_i = alpha_i * prod_{j < i} (1 - alpha_j).

Compositing is associative: a run of Gaussians is summed up by its image and its
transmittance, prod (1 - alpha). So all chunks (see `tiles`) are composited at once, as
if nothing were in front of them; then each is dimmed by the chunks before it in its
tile. Within a chunk, products are sums of logarithms, and these are products with
triangular matrices. The logarithm of alpha is a polynomial of the pixel's position, of
degree two; so it is a matrix product too, as are all gradients.

The gradient is derived by hand. It keeps a chunk's image and transmittance, and
computes the alphas again. Both directions loop over batches of `BATCH` chunks, and so
hold BATCH * CHUNK * TILE^2 alphas at once, however many Gaussians or pixels there are.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso.fit.gaussians.projection import Camera, Splats, project
from dyso.fit.gaussians.tiles import CHUNK, LEAST_ALPHA, TILE, Tiles, assign, grid

BATCH = 128
"""Chunks that are composited at once."""
MOST_ALPHA = 0.99
PIXELS = TILE * TILE


class Rendering(NamedTuple):
    """What a camera sees.

    Attributes:
      image: [H, W, D], the composited values, on black.
      opacity: [H, W], the share of each pixel that Gaussians cover.
      dropped: [], entries that did not fit into the capacity; see `Tiles`.
    """

    image: Float[Array, "H W D"]
    opacity: Float[Array, "H W"]
    dropped: Array


def render(
    means: Float[Array, "N 3"],
    rotations: Float[Array, "N 4"],
    scales: Float[Array, "N 3"],
    opacities: Float[Array, " N"],
    values: Float[Array, "N D"],
    camera: Camera,
    *,
    size: tuple[int, int],
    capacity: int,
    shift: Float[Array, "N 2"] | None = None,
) -> Rendering:
    """Renders Gaussians; differentiable in all arrays.

    Args:
      means: metres, in the world.
      rotations: quaternions (w, x, y, z) of any norm.
      scales: metres, standard deviations along the Gaussian's axes.
      opacities: in [0, 1); Gaussians of opacity 0 cost nothing.
      values: what is composited: colour, or any other channels.
      camera: the camera.
      size: height and width of the image.
      capacity: the most pairs of a Gaussian and a tile that it touches.
      shift: pixels, added to the projected centres. Zeros, to have the gradient with
        respect to the positions in the image.
    """
    splats = project(means, rotations, scales, opacities, camera, size)
    if shift is not None:
        splats = splats._replace(centers=splats.centers + shift)
    return rasterize(splats, values, size=size, capacity=capacity)


def rasterize(
    splats: Splats,
    values: Float[Array, "N D"],
    *,
    size: tuple[int, int],
    capacity: int,
) -> Rendering:
    """Composites projected Gaussians; see `render`."""
    tiles = assign(jax.lax.stop_gradient(splats), size, capacity)
    covered = jnp.ones_like(values[:, :1])
    channels = jnp.concatenate([values, covered], axis=-1)
    polynomials, channels = _entries(splats, channels, tiles, size)
    composited = _composite(polynomials, channels, tiles.tiles, tiles.first)
    rows, columns = grid(size)
    image = composited.reshape(rows, columns, -1, TILE, TILE)
    image = image.transpose(0, 3, 1, 4, 2).reshape(rows * TILE, columns * TILE, -1)
    image = image[: size[0], : size[1]]
    return Rendering(image[..., :-1], image[..., -1], tiles.dropped)


def _entries(
    splats: Splats, channels: Array, tiles: Tiles, size: tuple[int, int]
) -> tuple[Float[Array, "C Q 6"], Float[Array, "C Q D"]]:
    """Returns the polynomials and the values of each chunk's entries.

    The polynomials have the monomials of `_monomials` and are of positions relative to
    the tile's centre, so that their coefficients are small.
    """
    xx, xy, yy = splats.covariances.T
    determinant = xx * yy - xy**2
    inverse = jnp.stack([yy, -xy, xx], axis=-1) / determinant[:, None]
    log_opacity = jnp.log(jnp.maximum(splats.opacities, 1e-30))[:, None]
    table = jnp.concatenate([splats.centers, inverse, log_opacity, channels], axis=-1)
    nothing = jnp.zeros_like(table[:1]).at[0, 5].set(-1e3)
    table = jnp.concatenate([table, nothing])[tiles.gaussians.T]
    columns = grid(size)[1]
    corner = jnp.stack([tiles.tiles % columns, tiles.tiles // columns], axis=-1)
    x, y = jnp.moveaxis(table[..., :2] - (corner + 0.5) * TILE, -1, 0)
    a, b, c, constant = jnp.moveaxis(table[..., 2:6], -1, 0)
    polynomials = [
        constant - (a * x**2 + 2 * b * x * y + c * y**2) / 2,
        a * x + b * y,
        b * x + c * y,
        -a / 2,
        -b,
        -c / 2,
    ]
    return jnp.stack(polynomials, axis=-1), table[..., 6:]


def _monomials() -> Float[np.ndarray, "6 P"]:
    """Returns 1, x, y, x^2, xy, y^2 at a tile's pixel centres, from its own centre."""
    offsets = np.arange(TILE) + 0.5 - TILE / 2
    y, x = (axis.ravel() for axis in np.meshgrid(offsets, offsets, indexing="ij"))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).astype(np.float32)


def _before(log_kept: Float[Array, "C B P"]) -> Float[Array, "C B P"]:
    """Returns the sums of the entries in front of each."""
    return jnp.tensordot(np.tri(CHUNK, k=-1, dtype=np.float32), log_kept, 1)


def _behind(terms: Float[Array, "C B P"]) -> Float[Array, "C B P"]:
    """Returns the sums of the entries behind each."""
    return jnp.tensordot(np.tri(CHUNK, k=-1, dtype=np.float32).T, terms, 1)


def _alphas(polynomials: Float[Array, "C B 6"]) -> tuple[Array, Array]:
    """Returns alpha and log(1 - alpha) of each entry at each pixel, [C, B, P]."""
    exponents = jnp.tensordot(polynomials, jnp.asarray(_monomials()), 1)
    alpha = jnp.minimum(jnp.exp(exponents), MOST_ALPHA)
    alpha = jnp.where(alpha < LEAST_ALPHA, 0.0, alpha)
    return alpha, jnp.log1p(-alpha)


def _batch(array: Array, index: Any, axis: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(array, index * BATCH, BATCH, axis)


def _put(array: Array, index: Any, part: Array, axis: int) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(array, part, index * BATCH, axis)


def _padded(array: Array, axis: int) -> Array:
    """Pads an axis of chunks to whole batches."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, -array.shape[axis] % BATCH)
    return jnp.pad(array, widths)


@jax.custom_vjp
def _composite(
    polynomials: Float[Array, "C Q 6"],
    channels: Float[Array, "C Q D"],
    owners: Array,
    first: Array,
) -> Float[Array, "T D P"]:
    """Composites chunks into tiles.

    Args:
      polynomials: of log alpha, see `_entries`.
      channels: the entries' values.
      owners: [Q], the tile of each chunk.
      first: [T + 1], the first chunk of each tile.
    """
    return _forward(polynomials, channels, owners, first)[0]


def _forward(
    polynomials: Array, channels: Array, owners: Array, first: Array
) -> tuple[Array, Any]:
    count, depth = polynomials.shape[1], channels.shape[2]
    padded = [_padded(array, 1) for array in (polynomials, channels)]
    batches = -(-first[-1] // BATCH)
    total = padded[0].shape[1]

    def one(index: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        part, values = (_batch(array, index, 1) for array in padded)
        alpha, log_kept = _alphas(part)
        weights = alpha * jnp.exp(_before(log_kept))
        images = jnp.einsum("cbp,cbd->bdp", weights, values)
        kept = log_kept.sum(0)
        return _put(carry[0], index, images, 0), _put(carry[1], index, kept, 0)

    empty = jnp.zeros((total, depth, PIXELS)), jnp.zeros((total, PIXELS))
    images, log_kept = jax.lax.fori_loop(0, batches, one, empty)
    images, log_kept = images[:count], log_kept[:count]
    front = jnp.exp(_sums_before(log_kept, first))
    tiles = _sum_by_tile(front[:, None] * images, owners, len(first) - 1)
    return tiles, (polynomials, channels, owners, first, images, front)


def _backward(residuals: Any, gradient: Float[Array, "T D P"]) -> tuple[Any, ...]:
    """Returns the gradients of the polynomials and of the values.

    With s_i = gradient . value_i at a pixel,
    d/d alpha_i = T_i s_i - sum_{j > i} w_j s_j / (1 - alpha_i), where T_i is the
    transmittance in front of i.
    """
    polynomials, channels, owners, first, images, front = residuals
    count = polynomials.shape[1]
    by_chunk = jnp.concatenate([gradient, jnp.zeros_like(gradient[:1])])[owners]
    own = front * (images * by_chunk).sum(1)
    # What is behind a chunk in its tile: all, less what is before it and itself.
    whole = jnp.append(_sum_by_tile(own, owners, len(first) - 1), own[:1] * 0, axis=0)
    after = whole[owners] - _sums_before(own, first) - own
    padded = [_padded(array, 1) for array in (polynomials, channels)]
    padded += [_padded(array, 0) for array in (by_chunk, front, after)]

    def one(index: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        part, values = (_batch(array, index, 1) for array in padded[:2])
        towards, before, behind = (_batch(array, index, 0) for array in padded[2:])
        alpha, log_kept = _alphas(part)
        seen = before * jnp.exp(_before(log_kept))
        weights = alpha * seen
        slopes = jnp.einsum("cbd,bdp->cbp", values, towards)
        hidden = (_behind(weights * slopes) + behind) * jnp.exp(-log_kept)
        by_alpha = jnp.where(alpha < MOST_ALPHA, alpha * (seen * slopes - hidden), 0.0)
        return (
            _put(carry[0], index, jnp.tensordot(by_alpha, _monomials().T, 1), 1),
            _put(carry[1], index, jnp.einsum("cbp,bdp->cbd", weights, towards), 1),
        )

    empty = jnp.zeros_like(padded[0]), jnp.zeros_like(padded[1])
    batches = -(-first[-1] // BATCH)
    by_polynomial, by_channel = jax.lax.fori_loop(0, batches, one, empty)
    zeros = [np.zeros(array.shape, jax.dtypes.float0) for array in (owners, first)]
    return by_polynomial[:, :count], by_channel[:, :count], *zeros


_composite.defvjp(_forward, _backward)


def _sums_before(terms: Float[Array, "Q P"], first: Array) -> Float[Array, "Q P"]:
    """Returns, for each chunk, the sum over the chunks before it in its tile."""
    starts, lengths = first[:-1], jnp.diff(first)

    def one(nth: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        sums, running = carry
        chunk = jnp.where(nth < lengths, starts + nth, len(terms))
        sums = sums.at[chunk].set(running, mode="drop")
        return sums, running + terms.at[chunk].get(mode="fill", fill_value=0.0)

    empty = jnp.zeros_like(terms), jnp.zeros((len(starts), terms.shape[1]))
    return jax.lax.fori_loop(0, lengths.max(), one, empty)[0]


@functools.partial(jax.jit, static_argnames="count")
def _sum_by_tile(terms: Array, owners: Array, count: int) -> Array:
    """Returns the sums over the chunks of each tile."""
    return jax.ops.segment_sum(
        terms, owners, num_segments=count + 1, indices_are_sorted=True
    )[:count]
