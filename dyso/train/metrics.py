"""What is measured of images and of latents: plain functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Images = Float[np.ndarray, "N H W 3"]
"""In [0, 1]."""

_LEAST = 1e-9


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure of predicted images against true ones.

    Attributes:
      function: gives one number for each image.
      smallest: side of an image that it can measure, in pixels.
    """

    function: Callable[[Images, Images], Float[np.ndarray, " N"]]
    smallest: int = 1


def psnr(true: Images, predicted: Images) -> Float[np.ndarray, " N"]:
    """Gives each image's peak signal-to-noise ratio, in dB; 100 at most."""
    error = ((true - predicted) ** 2).mean(axis=(1, 2, 3), dtype=np.float64)
    return -10 * np.log10(np.maximum(error, 1e-10))


def ssim(true: Images, predicted: Images) -> Float[np.ndarray, " N"]:
    """Gives each image's structural similarity, averaged over the channels.

    With the Gaussian window, sigma 1.5, of Wang et al., "Image Quality Assessment",
    2004.
    """
    from skimage.metrics import structural_similarity

    return np.array(
        [
            structural_similarity(
                *pair,
                data_range=1.0,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for pair in zip(
                true.astype(np.float64), predicted.astype(np.float64), strict=True
            )
        ]
    )


MEASURES = {
    "psnr": Measure(function=psnr),
    "ssim": Measure(function=ssim, smallest=11),
}


def contrastiveness(
    latents: Float[np.ndarray, "S T L"],
    matching: Int[np.ndarray, "S T"],
    other: Int[np.ndarray, "S T"],
) -> Float[np.ndarray, " S"]:
    """Gives each scene's R (DyST, eq. 9), averaged over its views.

    The distance from a view's latent to a matching view's, over that to a
    non-matching view's: 0 separates perfectly, 1 tells views apart by nothing, more
    than 1 leaks what belongs into the other latent.

    Args:
      latents: of the views of each scene.
      matching: for each view, one that should have the same latent.
      other: for each view, one that should not.
    """

    def distance(to: Int[np.ndarray, "S T"]) -> Float[np.ndarray, "S T"]:
        there = np.take_along_axis(latents, to[..., None], axis=1)
        return np.linalg.norm(latents - there, axis=-1)

    # A latent that is always the same has no distances: it is as blind as can be.
    return ((distance(matching) + _LEAST) / (distance(other) + _LEAST)).mean(axis=1)


def distances(latents: Float[np.ndarray, "S V L"]) -> Float[np.ndarray, "V V"]:
    """Gives the L2 distances between views, averaged over scenes (DyST, fig. 5)."""
    between = latents[:, :, None] - latents[:, None]
    return np.linalg.norm(between, axis=-1).mean(axis=0)


def relations(
    cameras: Int[np.ndarray, " V"], dynamics: Int[np.ndarray, " V"]
) -> dict[str, Bool[np.ndarray, "V V"]]:
    """Says which pairs of views share what; relations that no pair has are left out."""
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
    """Gives the principal components of at least two latents."""
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
) -> Float[np.ndarray, "steps L"]:
    """Moves a latent along a component: from -2 to 2 standard deviations (fig. 6)."""
    along = np.linspace(-2, 2, steps)[:, None] * axes.deviations[component]
    moved = latent + along * axes.components[component]
    return moved.astype(np.float32)
