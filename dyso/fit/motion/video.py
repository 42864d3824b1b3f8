"""A monocular video with held-out cameras, as methods that fit it read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from dyso.errors import UserError
from dyso.fit.data import check_scene
from dyso.reading import Split

FIELDS = ("color", "depth", "intrinsics", "extrinsics")


@dataclass(frozen=True, kw_only=True)
class Views:
    """Views of a video: T frames of C cameras, or T frames alone.

    Attributes:
      color: [..., H, W, 3], sRGB.
      depth: [..., H, W], metres, Euclidean.
      intrinsics: [..., 3, 3].
      extrinsics: [..., 3, 4], world to camera.
    """

    color: UInt8[np.ndarray, "*N H W 3"]
    depth: Float32[np.ndarray, "*N H W"]
    intrinsics: Float32[np.ndarray, "*N 3 3"]
    extrinsics: Float32[np.ndarray, "*N 3 4"]


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video whose frame t the moving camera 0 takes at dynamics step t.

    Attributes:
      name: of the split.
      scene: its position in the split.
      frames: T views.
      held_out: [T, C] views of the other cameras; C may be 0.
    """

    name: str
    scene: int
    frames: Views
    held_out: Views

    @classmethod
    def read(cls, split: Split, scene: int) -> Video:
        """Reads a video.

        Raises:
          UserError: there is no such scene, it is not a video of one camera, or its
            background is at infinity.
          RecordError: the scene is damaged.
        """
        spec = split.spec
        if not spec.cameras.paired or spec.dynamics.steps < 2:
            raise UserError(
                f"{spec.name}: cameras.paired is {str(spec.cameras.paired).lower()} "
                f"and dynamics.steps {spec.dynamics.steps}; expected a video of one "
                "moving camera, see specs/small_motion.yaml"
            )
        check_scene(split, scene)
        record = split.read(scene, fields=FIELDS)
        steps, cameras = spec.layout.shape
        arrays = {
            name: record[name].reshape(steps, cameras, *record[name].shape[1:])
            for name in FIELDS
        }
        arrays["depth"] = arrays["depth"][..., 0]
        if not np.isfinite(arrays["depth"]).all():
            raise UserError(
                f"{spec.name}: has pixels at an infinite distance; expected "
                "backgrounds.backdrop: dome"
            )
        return cls(
            name=split.name,
            scene=scene,
            frames=Views(**{name: each[:, 0] for name, each in arrays.items()}),
            held_out=Views(**{name: each[:, 1:] for name, each in arrays.items()}),
        )

    def view(self, step: int, camera: int) -> int:
        """Returns the number of a view in the record; camera 0 is the moving one."""
        return step * (1 + self.held_out.color.shape[1]) + camera
