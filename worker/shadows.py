"""Finds the pixels that objects change, and composes the image.

Objects change the pixels that show them, and the floor where they block or reflect
light. The objects and the floor close to them are path traced, in one window. Elsewhere
the floor is its plate, minus the light that is blocked along rays towards the HDRI,
plus the light that the objects reflect. The amount of reflected light is fitted to the
path traced floor. The remaining difference at the window's edge is extended outwards
and faded to 0, so that the edge does not show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from dyso import geometry

from .empty_view import FILTER_WIDTH, EmptyView, blackman_harris, floor_weights
from .meshes import ObjectMesh

SKY_LIGHTS = 128  # directions that sample the HDRI's light on the floor
EVEN_LIGHTS = 32  # directions that sample a uniform sky
CELLS = 32  # per side of the coarse grid on which shade is computed
CHUNK = 4096  # floor points that are processed at once
STEP = 0.08  # difference of shade above which a cell is computed per pixel
COVERED = 0.25  # floor that sees more than this of the objects is path traced
WHOLE = 0.7  # a window above this share of the image is the whole image
STRIP = 4  # pixels inside the window's edge that are blended with the shaded plate
SMOOTH = 3.0  # pixels, standard deviation of the average along the edge
FADE = 0.15


@dataclass(frozen=True, kw_only=True)
class Window:
    """A rectangle of pixels: rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, height: int, width: int) -> Window:
        """Returns the window of a whole image."""
        return cls(top=0, bottom=height, left=0, right=width)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def inner_edges(self, size: tuple[int, ...]) -> list[Any]:
        """Returns the index of each line of its pixels along an edge inside a view.

        Args:
          size: height and width of the view.
        """
        return [
            line
            for line, at_border in (
                (np.s_[0, :], self.top == 0),
                (np.s_[-1, :], self.bottom == size[0]),
                (np.s_[:, 0], self.left == 0),
                (np.s_[:, -1], self.right == size[1]),
            )
            if not at_border
        ]

    @property
    def area(self) -> int:
        """Pixels in it."""
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lights:
    """Directions that sample the light on the floor.

    Attributes:
      directions: [K, 3], unit, upwards.
      weights: [K, 4], each direction's share of the floor's red, green and blue light,
        and of an even sky's.
    """

    directions: np.ndarray
    weights: np.ndarray


def floor_lights(light: np.ndarray) -> Lights:
    """Samples directions by their light on the floor, and those of a uniform sky.

    Args:
      light: [h, w, 3], see `backdrop.light`.
    """
    light = np.maximum(light, 0) + 1e-9  # avoids division by zero
    height, width = light.shape[:2]
    weight = floor_weights(height)
    density = light.mean(-1) * weight[:, None]
    u, v = _hammersley(SKY_LIGHTS)
    rows, down = _invert(density.sum(1), u)
    columns, across = np.empty_like(rows), np.empty_like(down)
    for i, row in enumerate(rows):
        columns[i], across[i] = _invert(density[row], v[i : i + 1])
    polar = (rows + down) / height * math.pi
    azimuth = 2 * math.pi * (0.5 - (columns + across) / width)
    color = light[rows, columns] / light[rows, columns].mean(-1, keepdims=True)

    u, v = _hammersley(EVEN_LIGHTS)
    polar = np.concatenate([polar, np.arcsin(np.sqrt(u))])
    azimuth = np.concatenate([azimuth, 2 * math.pi * v])
    weights = np.zeros((SKY_LIGHTS + EVEN_LIGHTS, 4))
    weights[:SKY_LIGHTS, :3] = color / color.sum(0)
    weights[SKY_LIGHTS:, 3] = 1 / EVEN_LIGHTS
    flat = np.sin(polar)
    directions = flat * np.cos(azimuth), flat * np.sin(azimuth), np.cos(polar)
    return Lights(directions=np.stack(directions, axis=-1), weights=weights)


def _hammersley(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns evenly spread points of the unit square (Hammersley, 1960)."""
    numbers = np.arange(count)
    bits = (numbers[:, None] >> np.arange(16)) & 1
    return (numbers + 0.5) / count, (bits * 0.5 ** np.arange(1, 17)).sum(-1)


def _invert(density: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverts a piecewise constant distribution; returns cells and offsets in them."""
    edges = np.concatenate([[0.0], np.cumsum(density)])
    wanted = u * edges[-1]
    cells = (np.searchsorted(edges, wanted, side="right") - 1).clip(0, len(density) - 1)
    return cells, (wanted - edges[cells]) / np.maximum(density[cells], 1e-300)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shade:
    """The light that objects block from the floor, in each pixel of a view.

    Attributes:
      lost: [H, W, 3], the share of red, green and blue light; 0 past the floor.
      covered: [H, W], the share that an even sky would lose: how much of the
        objects the floor sees.
      window: the pixels that have to be path traced. In it, but for a strip along its
        edges, the other two are coarse.
    """

    lost: np.ndarray
    covered: np.ndarray
    window: Window


def shade(
    empty: EmptyView,
    instance: np.ndarray,
    meshes: list[ObjectMesh],
    object_to_world: np.ndarray,
    lights: Lights,
) -> Shade:
    """Casts rays from the floor to the lights: per cell, and per pixel at edges.

    Args:
      empty: the view without objects.
      instance: [H, W], which pixels show objects.
      meshes: one per object.
      object_to_world: [N, 3, 4].
      lights: see `floor_lights`.
    """
    resolution = int(instance.shape[0]), int(instance.shape[1])

    def cast(at: tuple[np.ndarray, ...]) -> np.ndarray:
        """Returns values [n, 4] at rows and columns of pixels that show the floor."""
        points = empty.origin + empty.depth[at][:, None] * empty.directions[at]
        return _blocked(points, meshes, object_to_world, lights)

    rows, columns = _nodes(resolution[0]), _nodes(resolution[1])
    coarse = np.zeros((len(rows), len(columns), 4))
    r, c = np.nonzero(empty.on_floor[np.ix_(rows, columns)])
    coarse[r, c] = cast((rows[r], columns[c]))
    interpolated = _interpolate(coarse, rows, columns, resolution)
    interpolated[~empty.on_floor] = 0
    window = _window(instance, interpolated[..., 3])

    # Rays are cast in cells whose corners differ, and along the window's edge. A shadow
    # that is thinner than a cell misses its corners: it is followed from cell to cell.
    values = interpolated.copy()
    inside = np.zeros(resolution, bool)
    inside[window.slices] = _to_edge(window, resolution) >= STRIP
    left = empty.on_floor & ~inside
    cells = np.ix_(_cells(rows, resolution[0]), _cells(columns, resolution[1]))
    corners = [coarse[:-1, :-1], coarse[1:, :-1], coarse[:-1, 1:], coarse[1:, 1:]]
    chosen = (np.ptp(corners, axis=0).max(-1) > STEP)[cells] | _grown(inside)
    while (chosen := chosen & left).any():
        left &= ~chosen
        values[chosen] = cast(np.nonzero(chosen))
        differs = chosen & (abs(values - interpolated).max(-1) > STEP)
        reached = np.zeros((len(rows) - 1, len(columns) - 1), bool)
        np.logical_or.at(reached, cells, _grown(differs))
        chosen = reached[cells]
    weights = blackman_harris(np.arange(-1, 2) / FILTER_WIDTH + 0.5)
    for axis in (0, 1):
        values = ndimage.convolve1d(values, weights / weights.sum(), axis=axis)
    return Shade(lost=values[..., :3], covered=values[..., 3], window=window)


def _nodes(size: int) -> np.ndarray:
    """Returns the pixels at the corners of cells, including the first and last."""
    return np.unique(np.linspace(0, size - 1, CELLS + 1).astype(int))


def _interpolate(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Interpolates values at rows and columns [r, c, n] linearly to all pixels."""
    for axis, nodes in ((0, rows), (1, columns)):
        place = np.interp(np.arange(size[axis]), nodes, np.arange(len(nodes)))
        first = place.astype(int).clip(0, len(nodes) - 2)
        part = np.expand_dims(place - first, (1, 2) if axis == 0 else (0, 2))
        values = (1 - part) * values.take(first, axis) + part * values.take(
            first + 1, axis
        )
    return values


def _cells(nodes: np.ndarray, size: int) -> np.ndarray:
    """Returns between which nodes each of `size` pixels lies."""
    return np.searchsorted(nodes[1:-1], np.arange(size), "right")


def _grown(chosen: np.ndarray) -> np.ndarray:
    """Returns pixels [H, W] with their eight neighbours."""
    return ndimage.binary_dilation(chosen, np.ones((3, 3)))


def _blocked(
    points: np.ndarray,
    meshes: list[ObjectMesh],
    object_to_world: np.ndarray,
    lights: Lights,
) -> np.ndarray:
    """Sums the weights [n, 4] of the lights that objects keep from points [n, 3]."""
    if len(points) > CHUNK:
        chunks = np.array_split(points, -(-len(points) // CHUNK))
        return np.concatenate(
            [_blocked(chunk, meshes, object_to_world, lights) for chunk in chunks]
        )
    hit = np.zeros((len(points), len(lights.directions)), bool)
    # Slightly above the floor, for objects that touch it.
    starts = points + np.array([0.0, 0.0, 1e-4])
    for mesh, pose in zip(meshes, object_to_world, strict=True):
        inverse = geometry.invert(pose)
        origins = geometry.transform(inverse, starts)
        slopes = lights.directions @ inverse[:, :3].T
        near, light = np.nonzero(_meets_box(origins, slopes, mesh.box / 2) & ~hit)
        hit[near, light] = mesh.occludes(origins.take(near, 0), slopes.take(light, 0))
    # Not with BLAS, whose summation order may depend on the number of CPUs.
    return np.einsum("nk,ck->nc", hit.astype(float), lights.weights.T.copy())


def _meets_box(
    origins: np.ndarray, directions: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """Returns which rays [n, k], from [n, 3] along [k, 3], hit a box (slab test)."""
    enter = np.zeros((len(origins), len(directions)), np.float32)
    leave = np.full_like(enter, np.inf)
    for axis in range(3):
        slope = directions[:, axis].astype(np.float32)
        slope = np.where(abs(slope) < 1e-9, np.float32(1e-9), slope)
        start = origins[:, None, axis].astype(np.float32)
        center, reach = -start / slope, np.float32(half[axis]) / abs(slope)
        enter = np.maximum(enter, center - reach)
        leave = np.minimum(leave, center + reach)
    return enter <= leave


def _window(instance: np.ndarray, covered: np.ndarray) -> Window:
    """Finds the rectangle that has to be path traced.

    Args:
      instance: [H, W], which pixels show objects.
      covered: [H, W], see `Shade`.

    Returns:
      The smallest rectangle; a pixel if no object shows.
    """
    height, width = instance.shape
    changed = ndimage.binary_dilation(
        instance > 0, iterations=math.ceil(FILTER_WIDTH / 2)
    )
    changed |= covered > COVERED
    changed[0, 0] |= not changed.any()
    down, across = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    window = Window(
        top=int(down[0]),
        bottom=int(down[-1]) + 1,
        left=int(across[0]),
        right=int(across[-1]) + 1,
    )
    if window.area > WHOLE * height * width:
        return Window.whole(height, width)
    return window


def compose(
    empty: EmptyView, shade: Shade, traced: np.ndarray, instance: np.ndarray
) -> tuple[np.ndarray, float]:
    """Composes the path traced window and the shaded plate.

    Args:
      empty: the view without objects.
      shade: the shade of the floor.
      traced: [h, w, 4], premultiplied, the pixels of its window.
      instance: [H, W], which pixels show objects.

    Returns:
      Radiance [H, W, 3]; and how far, as a share of the plate's, path tracing differs
      on average from the shaded plate along the worst edge of the window.
    """
    inside = shade.window.slices
    near = ndimage.binary_dilation(instance[inside] > 0, iterations=2)
    floor = ~near & (traced[..., 3] > 0.99)
    to_edge = _to_edge(shade.window, instance.shape)
    image, gap = shaded(empty, shade, traced, floor, floor & (to_edge < STRIP))
    # The outermost traced pixels are noisier, for the denoiser sees fewer neighbours.
    share = np.where(floor, np.minimum((to_edge + 0.5) / (STRIP + 0.5), 1), 1.0)
    path_traced = over(traced, empty.plate[inside])
    image[inside] += share[..., None] * (path_traced - image[inside])
    return image, gap


def shaded(
    empty: EmptyView,
    shade: Shade,
    traced: np.ndarray,
    floor: np.ndarray,
    strip: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Returns the radiance [H, W, 3] of a view's floor without objects on it.

    It is the plate minus the blocked light, plus the reflected light. The light that an
    object reflects to the floor is assumed uniform over the object; its amount is
    fitted to the floor inside the window.

    Args:
      empty: see `compose`.
      shade: see `compose`.
      traced: see `compose`.
      floor: [h, w], the pixels of the window that show the floor alone.
      strip: [h, w], those of them that are near an edge.

    Returns:
      The radiance, and the gap, see `compose`.
    """
    plate, window, inside = empty.plate, shade.window, shade.window.slices
    size = (int(plate.shape[0]), int(plate.shape[1]))
    under = np.maximum(plate[inside], 1e-6)
    ratio = traced[..., :3] / under - 1 + shade.lost[inside]
    covered = shade.covered[inside]
    lit = floor & (covered > 0.01)
    bounce = np.zeros(3)
    if lit.sum() >= 30:
        seen = covered[lit][:, None]
        # Medians, because glints and dark cracks in the plate are outliers.
        bounce = np.clip(np.median(ratio[lit] / seen, axis=0), 0, 1)
    factor = 1 - shade.lost + bounce * shade.covered[..., None]
    difference = traced[..., :3] - (plate * factor)[inside]
    relative = difference.mean(-1) / under.mean(-1)
    gaps = [
        abs(np.median(relative[line][floor[line]]))
        for line in window.inner_edges(size)
        if floor[line].sum() >= 8
    ]
    # As a share of the floor's light, lit or shaded, whichever changes less: a
    # difference of the lit floor would make a shadow black, and one of a shadow, as a
    # share of what is left there, would make the lit floor too bright.
    lit_share, share = (
        _continued(difference, light, strip, window, size)
        for light in (under, under * factor[inside])
    )
    share *= factor
    smaller = np.where(np.abs(share) < np.abs(lit_share), share, lit_share)
    factor += empty.on_floor[..., None] * smaller
    return plate * np.maximum(factor, 0), max(gaps, default=0.0)


def _to_edge(window: Window, size: tuple[int, ...]) -> np.ndarray:
    """Returns how many pixels [h, w] each pixel of a window is from an edge.

    Only edges inside the view [H, W] of that size count; without any, it is infinite.
    """
    apart = np.ones((window.bottom - window.top, window.right - window.left), bool)
    edges = window.inner_edges(size)
    if not edges:
        return np.full(apart.shape, np.inf)
    for line in edges:
        apart[line] = False
    return ndimage.distance_transform_cdt(apart, "chessboard")


def _continued(
    difference: np.ndarray,
    plate: np.ndarray,
    strip: np.ndarray,
    window: Window,
    size: tuple[int, int],
) -> np.ndarray:
    """Continues what path tracing adds to the plate at a window's edge, outwards.

    Args:
      difference: [h, w, 3], of the window's radiance, traced minus shaded plate.
      plate: [h, w, 3], of the window, shaded or not.
      strip: [h, w], the pixels inside the edge that show the floor.
      window: the pixels.
      size: [H, W], of the view.

    Returns:
      [H, W, 3], as a share of the plate: an average over the nearest part of the
      strip, which fades with the distance from the window.
    """

    def blurred(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(
            np.where(strip[..., None], values, 0.0), (SMOOTH, SMOOTH, 0)
        )

    # A ratio of averages, for the plate may be black in places.
    edge = blurred(difference) / np.maximum(blurred(plate), 1e-6)
    rows, columns = np.arange(size[0]), np.arange(size[1])
    nearest = (
        rows.clip(window.top, window.bottom - 1),
        columns.clip(window.left, window.right - 1),
    )
    distance = np.hypot((rows - nearest[0])[:, None], columns - nearest[1])
    fading = np.exp(-((distance / (FADE * min(size))) ** 2))
    return (
        edge[np.ix_(nearest[0] - window.top, nearest[1] - window.left)]
        * fading[..., None]
    )


def over(traced: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Lays premultiplied RGBA [h, w, 4] over a plate [h, w, 3]."""
    return traced[..., :3] + (1 - traced[..., 3:]) * plate
