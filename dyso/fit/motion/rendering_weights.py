"""How the rendering weights lie along rays: a picture and statistics.

DDR's authors show geometry by its rendering weights, since the mean distance of a ray
may be right where its weights are not.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

NEAR = 0.05
"""The distance in s from a ray's median within which the weight of one surface lies."""
SHARE = 0.9
"""The share of a ray's weight that lies there if the weights are unimodal."""
_TRUE = (0, 220, 120)


def statistics(weights: Float[np.ndarray, "N S"]) -> dict[str, float]:
    """Returns how nearly all weight of a ray lies in one place.

    - `unimodal`: share of rays that have at least `SHARE` of their weight within `NEAR`
      of its median;
    - `spread`: mean distance of the weight from its median, in s, mean over rays.

    Args:
      weights: of even intervals, of any sum.
    """
    share = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-8)
    places = (np.arange(weights.shape[1]) + 0.5) / weights.shape[1]
    median = places[(share.cumsum(-1) >= 0.5).argmax(-1)]
    off = np.abs(places - median[:, None])
    inside = np.where(off <= NEAR, share, 0).sum(-1)
    return {
        "unimodal": float((inside >= SHARE).mean()),
        "spread": float((share * off).sum(-1).mean()),
    }


def picture(
    weights: Float[np.ndarray, "W S"],
    true: Float[np.ndarray, " W"],
    frame: UInt8[np.ndarray, "H W 3"],
    row: int,
    scale: int = 4,
) -> Image.Image:
    """Returns an image of the weights along the rays of a row of pixels.

    Above is the frame with the row marked. Below, each column is a pixel's ray, from
    near at the bottom to far at the top; brighter is more weight, and a green dot is
    the true surface.

    Args:
      weights: of even intervals of the row's rays.
      true: the surface, in s.
      frame: the pixels.
      row: of the pixels in the frame.
      scale: pixels of the picture for a pixel of the frame.
    """
    share = np.sqrt(np.clip(weights / max(weights.max(), 1e-8), 0, 1))
    rays = np.repeat((255 * share.T[::-1, :, None]).astype(np.uint8), 3, axis=-1)
    surface = ((1 - true) * len(rays)).astype(int).clip(0, len(rays) - 1)
    rays[surface, np.arange(rays.shape[1])] = _TRUE
    above = np.repeat(np.repeat(frame, scale, axis=0), scale, axis=1)
    above[(row + 1) * scale - 1] = _TRUE
    below = np.repeat(np.repeat(rays, scale, axis=1), max(scale // 2, 1), axis=0)
    return Image.fromarray(np.concatenate([above, below]))
