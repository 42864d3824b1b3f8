"""`Views`: what a worker returns for one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from dyso.spec import REQUIRED_LAYERS, Spec


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """The arrays of one scene: T dynamics steps, N objects, H x W pixels.

    C are the cameras that see a step: all, or 1, its own, where they are paired.

    Attributes:
      color: sRGB display values after the view transform.
      depth: metres, Euclidean distance to the camera centre; infinity where nothing
        is hit.
      instance: 1 + the object's position in the scene; 0 is background.
      category: the instance's category id; 0 is background.
      normal: unit surface normals in the world frame, or None.
      object_coordinates: NOCS, the position in the object's bounding box in its own
        frame, each axis from 0 to 1; 0 on the background; or None.
      positions: metres, the objects' true positions, contact included.
      quaternions: (w, x, y, z), the objects' true orientations.
      sizes: metres, sides of each object's bounding box in its own frame.
      timings: seconds by stage of the work; `cpu`: core-seconds of all of it; `start`:
        core-seconds that the process took to start, once for all its scenes.
      versions: of what made the pixels, such as bpy's, and the device.
    """

    color: UInt8[np.ndarray, "T C H W 3"]
    depth: Float32[np.ndarray, "T C H W"]
    instance: UInt8[np.ndarray, "T C H W"]
    category: UInt8[np.ndarray, "T C H W"]
    normal: Float32[np.ndarray, "T C H W 3"] | None
    object_coordinates: Float32[np.ndarray, "T C H W 3"] | None
    positions: Float[np.ndarray, "N T 3"]
    quaternions: Float[np.ndarray, "N T 4"]
    sizes: Float[np.ndarray, "N 3"]
    timings: dict[str, float]
    versions: dict[str, str]

    def arrays(self) -> dict[str, Any]:
        """Gives the arrays that are there, by name."""
        return {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray)}


def image_bytes(spec: Spec) -> int:
    """Gives the bytes of all layers of all views of a scene, as `Views` has them."""
    height, width = spec.resolution
    each = 3 + 4 + 1 + 1 + 12 * (len(spec.render.layers) - len(REQUIRED_LAYERS))
    return spec.views * height * width * each
