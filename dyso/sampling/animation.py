"""Animations of objects: which clip of its file each plays, and at which times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from dyso.sampling.scene import Animation
from dyso.spec import Animate, Asset, Clip

DECIMALS = 6
"""Of seconds. A scene keeps them as text."""


def sample_animation(
    rng: np.random.Generator, animate: Animate, steps: int, clips: Sequence[Clip]
) -> Animation:
    """Draws the clip that an object plays, and its moment in every step.

    Args:
      rng: draws, equally many for every object.
      animate: the spec's.
      steps: T dynamics steps.
      clips: those that it may play; without any, it plays none.
    """
    choice, start = rng.uniform(), rng.uniform(*animate.start)
    span, moments = rng.uniform(*animate.span), rng.uniform(size=steps)
    if not clips:
        return Animation(clip="", times=(0.0,) * steps)
    clip = clips[min(int(choice * len(clips)), len(clips) - 1)]
    length = clip.end - clip.start
    times = moments * length
    if animate.motion == "smooth":
        passed = span * length
        if animate.frame_rate:
            passed = (steps - 1) / animate.frame_rate
        times = start * length + np.linspace(0, passed, steps)
        if animate.repeat and length:
            # The end of a clip is shown as such, not as its start.
            times = np.where(times > length, times % length, times)
    times = np.clip(np.round(clip.start + times, DECIMALS), clip.start, clip.end)
    return Animation(clip=clip.name, times=tuple((times + 0.0).tolist()))


def reach(asset: Asset, clip: str, size: float) -> Float[np.ndarray, " 3"]:
    """Returns half the sides of a box that holds an object through all of a clip.

    The box is centred at the origin of the object's frame, as that of the rest shape.
    See `clip_box`.
    """
    held: Float[np.ndarray, " 3"] = abs(clip_box(asset, clip, size)).max(0)
    return held


def clip_box(asset: Asset, clip: str, size: float) -> Float[np.ndarray, "2 3"]:
    """Returns a box that holds an object through all of a clip, in the object's frame.

    Args:
      asset: the object.
      clip: the name of one of its clips.
      size: metres, the longest side of the bounding box of its rest shape.
    """
    [bounds] = [each.bounds for each in asset.clips if each.name == clip]
    lower, upper = np.array(asset.rest)
    scale, centre = size / (upper - lower).max(), (lower + upper) / 2
    return (np.array(bounds) - centre) * scale
