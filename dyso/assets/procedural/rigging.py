"""Bones of a model while a grammar builds it, and how its parts follow them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dyso.geometry import Leg, Rig, Wave

_REACH = 0.97
"""Share of a leg's length that a stride uses."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Skin:
    """A rig, and how the vertices follow it.

    Attributes:
      rig: in the frame of the mesh.
      weights: [n, B], of each vertex for each bone; they sum to 1.
    """

    rig: Rig
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """Bones along a line, which a part follows.

    Attributes:
      bones: k of them.
      points: [k + 1, 3]; bone i is between points i and i + 1.
      blend: half the length over which two bones mix at the point between them.
    """

    bones: Sequence[int]
    points: np.ndarray
    blend: float

    def weights(self, vertices: np.ndarray) -> np.ndarray:
        """Returns the weights [n, k] of vertices [n, 3], by the nearest point."""
        points = np.asarray(self.points, float)
        start, way = points[:-1], np.diff(points, axis=0)
        length = np.sqrt((way**2).sum(1))
        along = ((vertices[:, None] - start) * way).sum(-1) / length
        along = np.clip(along, 0, length)
        near = start + along[..., None] * (way / length[:, None])
        best = ((vertices[:, None] - near) ** 2).sum(-1).argmin(1)
        before = np.concatenate([[0.0], np.cumsum(length)])
        place = before[best] + along[np.arange(len(best)), best]
        share = (place[:, None] - before[1:-1]) / (2 * self.blend) + 0.5
        share = np.clip(share, 0, 1)
        passed = share * share * (3 - 2 * share)
        ones = np.ones((len(vertices), 1))
        steps = np.concatenate([ones, passed, 0 * ones], 1)
        return steps[:, :-1] - steps[:, 1:]


class Bones:
    """The skeleton of a model."""

    def __init__(self) -> None:
        """Starts without bones.

        A stride of 0 is as long as the legs allow.
        """
        self.waves: list[Wave] = []
        self.legs: list[Leg] = []
        self.stride = 0.0
        self._names: list[str] = []
        self._parents: list[int] = []
        self._joints: list[np.ndarray] = []
        self._bends: list[float] = []

    def __len__(self) -> int:
        return len(self._names)

    def add(
        self, name: str, parent: int, at: Sequence[float] | np.ndarray, bends: float = 0
    ) -> int:
        """Adds a bone and returns its number.

        Args:
          name: its name.
          parent: the bone that it hangs on, -1 for the first.
          at: its joint.
          bends: the length of the body with which it bends in curves.
        """
        self._names.append(name)
        self._parents.append(parent)
        self._joints.append(np.asarray(at, float))
        self._bends.append(bends)
        return len(self._names) - 1

    def line(
        self, name: str, parent: int, points: np.ndarray, bend: float = 0.0
    ) -> list[int]:
        """Adds a chain of bones from point to point [k + 1, 3]; returns them.

        Args:
          name: the common part of their names.
          parent: the bone that the first hangs on.
          points: the joints and, last, the end of the last bone.
          bend: 1 if the chain bends in curves with its length along x, -1 if it is
            behind the joint that it hangs on, 0 if it does not.
        """
        bones = []
        for number, at in enumerate(points[:-1]):
            length = abs(points[number + 1][0] - at[0]) * bend
            parent = self.add(f"{name}_{number + 1}", parent, at, length)
            bones.append(parent)
        return bones

    def undulate(
        self,
        chain: Sequence[int],
        middles: Sequence[float],
        size: Callable[[float], float],
        length: float,
    ) -> None:
        """Adds a wave of headings that runs backwards through bones.

        The heading of the bone at x is size(x) sin(2 pi (phase + x / length)).

        Args:
          chain: bones, each after its parent if that is among them.
          middles: the x of each bone's middle.
          size: radians, by x.
          length: of a wave.
        """
        headings = {
            bone: size(x) * np.exp(2j * np.pi * x / length)
            for bone, x in zip(chain, middles, strict=True)
        }
        for bone, heading in headings.items():
            change = heading - headings.get(self._parents[bone], 0)
            self.waves.append(
                Wave(
                    bone=bone,
                    axis=2,
                    size=float(abs(change)),
                    offset=float(np.angle(change)) / (2 * np.pi),
                )
            )

    def rig(self, place: Callable[[np.ndarray], np.ndarray]) -> Rig:
        """Returns the rig, after the model was scaled.

        Args:
          place: maps points [n, 3] of the model to those of the mesh.
        """
        factors = (place(np.eye(3)) - place(np.zeros((3, 3)))).diagonal()
        rig = Rig(
            names=tuple(self._names),
            parents=tuple(self._parents),
            joints=place(np.array(self._joints)),
            waves=tuple(
                replace(wave, size=wave.size * factors[wave.axis])
                if wave.moves
                else wave
                for wave in self.waves
            ),
            legs=tuple(replace(leg, lift=leg.lift * factors[2]) for leg in self.legs),
            bends=np.array(self._bends) * factors[0],
            stride=self.stride * factors[0],
            shortens=bool(self.legs),
        )
        if not self.legs:
            return rig
        return replace(rig, stride=min(_reach(rig), rig.stride or np.inf))


def _reach(rig: Rig) -> float:
    """Returns the longest stride that all legs of a rig can take."""
    longest = []
    for leg in rig.legs:
        hip, knee, foot = rig.joints[list(leg.bones)]
        reach = sum(np.linalg.norm(side) for side in (knee - hip, foot - knee))
        aside = reach * _REACH
        ahead = np.sqrt(max(aside**2 - ((foot - hip)[1:] ** 2).sum(), 0.0))
        longest.append(2 * (ahead - abs(foot - hip)[0]) / leg.stance)
    return float(min(longest))
