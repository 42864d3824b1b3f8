"""Measures of images and of latents: plain functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dyso import ssim as similarity

Images = Float[np.ndarray, "N H W 3"]
"""In [0, 1]."""

_LEAST = 1e-9
RESAMPLED = 200


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure of predicted images against true ones.

    Attributes:
      function: returns one number for each image.
      smallest: the least side of an image that it can measure, in pixels.
    """

    function: Callable[[Images, Images], Float[np.ndarray, " N"]]
    smallest: int = 1


def psnr(true: Images, predicted: Images) -> Float[np.ndarray, " N"]:
    """Returns each image's peak signal-to-noise ratio, in dB; 100 at most."""
    error = ((true - predicted) ** 2).mean(axis=(1, 2, 3), dtype=np.float64)
    return -10 * np.log10(np.maximum(error, 1e-10))


def ssim(true: Images, predicted: Images) -> Float[np.ndarray, " N"]:
    """Returns each image's structural similarity; see `dyso.ssim`."""
    pairs = zip(true, predicted, strict=True)
    return np.array([similarity.ssim(*pair)[0] for pair in pairs])


MEASURES = {
    "psnr": Measure(function=psnr),
    "ssim": Measure(function=ssim, smallest=similarity.WINDOW),
}


def pairwise_distances(
    latents: Float[np.ndarray, "*S V L"],
) -> Float[np.ndarray, "*S V V"]:
    """Returns the L2 distances between the latents of each scene's views."""
    rows = [
        np.linalg.norm(latents - latents[..., view : view + 1, :], axis=-1)
        for view in range(latents.shape[-2])  # one at a time: a latent may be an image
    ]
    return np.stack(rows, axis=-2)


def contrastiveness(
    distances: Float[np.ndarray, "S T T"],
    matching: Int[np.ndarray, "S T"],
    other: Int[np.ndarray, "S T"],
) -> Float[np.ndarray, " S"]:
    """Returns R_cam of camera latents, or R_dyn of dynamics latents (DyST, eq. 9).

    R is the distance from a view's latent to a matching view's, over the distance to a
    non-matching view's, averaged over the views of a scene. It is 0 for latents that
    separate camera and dynamics perfectly. A latent that is always the same scores 1.
    Latents that know nothing may score above 1, since the mean of a ratio exceeds its
    median; so do latents that hold what belongs in the other latent.

    Args:
      distances: between the latents of the views of each scene.
      matching: for each view, a view that should have the same latent: the same camera
        for R_cam, the same dynamics step for R_dyn.
      other: for each view, a view that should have another latent.
    """
    near, far = (
        np.take_along_axis(distances, to[..., None], axis=-1)[..., 0]
        for to in (matching, other)
    )
    return _ratio(near, far).mean(axis=1)


def triple_ratios(
    distances: Float[np.ndarray, "S V V"],
    matching: Bool[np.ndarray, "V V"],
    other: Bool[np.ndarray, "V V"],
) -> Float[np.ndarray, "S K"]:
    """Returns eq. 9's ratio for every triple: a view, a match, and a non-match.

    Args:
      distances: between the latents of the views of each scene.
      matching: pairs of views that should have the same latent.
      other: pairs of views that should have another latent.

    Returns:
      One ratio for each of the K triples of each scene.
    """
    view, near, far = np.nonzero(matching[:, :, None] & other[:, None, :])
    return _ratio(distances[:, view, near], distances[:, view, far])


def _ratio(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    # A latent that is always the same has no distances: its ratio is 1.
    ratio: np.ndarray = (near + _LEAST) / (far + _LEAST)
    return ratio


def mean_and_error(
    name: str, values: Float[np.ndarray, " S"]
) -> dict[str, float | None]:
    """Returns a mean over scenes and its standard error, None for a single scene."""
    error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return {name: float(values.mean()), f"{name}_error": error}


def median_and_error(
    name: str, values: Float[np.ndarray, "S K"]
) -> dict[str, float | None]:
    """Returns the median over all scenes' values, and its standard error.

    The error is the deviation of the medians of `RESAMPLED` bootstrap samples of the
    scenes, drawn by a fixed seed; None for a single scene.
    """
    error = None
    if len(values) > 1:
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(values), size=(RESAMPLED, len(values)))
        error = float(np.std([np.median(values[rows]) for rows in drawn], ddof=1))
    return {name: float(np.median(values)), f"{name}_error": error}


def relations(
    cameras: Int[np.ndarray, " V"], dynamics: Int[np.ndarray, " V"]
) -> dict[str, Bool[np.ndarray, "V V"]]:
    """Returns the pairs of views by what they share, where there are any."""
    camera = cameras[:, None] == cameras
    step = dynamics[:, None] == dynamics
    every = {
        "same_camera": camera & ~step,
        "same_dynamics": ~camera & step,
        "both_differ": ~camera & ~step,
    }
    return {name: pairs for name, pairs in every.items() if pairs.any()}


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Principal components of latents, the largest first.

    Attributes:
      components: [K, L], of unit length; each one's largest entry is positive.
      deviations: [K], the standard deviation along each.
      shares: [K], of the whole variance.
    """

    components: Float[np.ndarray, "K L"]
    deviations: Float[np.ndarray, " K"]
    shares: Float[np.ndarray, " K"]


def principal(latents: Float[np.ndarray, "N L"]) -> Principal:
    """Returns the principal components of at least two latents."""
    centred = latents.astype(np.float64) - latents.mean(axis=0, dtype=np.float64)
    _, scales, components = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(components).argmax(axis=1)[:, None]
    components = components * np.sign(np.take_along_axis(components, largest, 1))
    variances = scales**2 / (len(latents) - 1)
    return Principal(
        components=components,
        deviations=np.sqrt(variances),
        shares=variances / max(variances.sum(), _LEAST),
    )


def traverse(
    latent: Float[np.ndarray, " L"], axes: Principal, component: int, steps: int
) -> Float[np.ndarray, "{steps} L"]:
    """Moves a latent along a component: from -2 to 2 standard deviations (fig. 6)."""
    along = np.linspace(-2, 2, steps)[:, None] * axes.deviations[component]
    moved = latent + along * axes.components[component]
    return moved.astype(np.float32)
