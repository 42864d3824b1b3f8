"""Measures of predicted point tracks.

Doersch et al., "TAP-Vid: A Benchmark for Tracking Any Point in a Video", 2022, and
Zheng et al., "PointOdyssey: A Large-Scale Synthetic Dataset for Long-Term Point
Tracking", 2023, whose measures Dynamic 3D Gaussians uses in 3D too. The step of the
query, step 0, does not count.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

SIDE = 256
"""Pixels; 2D errors are measured as if images had this width and this height."""
THRESHOLDS = (1, 2, 4, 8, 16)
"""Pixels of such images in 2D, centimetres in 3D."""
LOST_2D = 50.0
"""Pixels of such images; a track is lost where its error is larger."""
LOST_3D = 0.5
"""Metres; a track is lost where its error is larger."""


def tap_vid(
    distance: Float64[np.ndarray, "T Q"],
    true_visible: Bool[np.ndarray, "T Q"],
    predicted_visible: Bool[np.ndarray, "T Q"],
) -> dict[str, float]:
    """Returns the measures of TAP-Vid for one video, queries at its first frame.

    - `aj`, average Jaccard: for each threshold, true positives over the sum of true
      points and false positives. A true positive is visible, predicted as visible, and
      nearer to the truth than the threshold. A false positive is predicted as visible,
      and is hidden or farther.
    - `delta`: the share of visible points nearer than the threshold, mean over
      thresholds, whatever is predicted of their visibility.
    - `oa`, occlusion accuracy: the share of points whose visibility is predicted right.

    Args:
      distance: between predicted and true points, pixels of `SIDE` x `SIDE` images.
      true_visible: in the image and not hidden.
      predicted_visible: as predicted.

    Returns:
      The measures; without `aj` and `delta` if no point is visible after frame 0.
    """
    distance, true, predicted = (
        array[1:] for array in (distance, true_visible, predicted_visible)
    )
    measures = {"oa": float((true == predicted).mean())}
    if not true.any():
        return measures
    jaccards, shares = [], []
    for threshold in THRESHOLDS:
        near = distance < threshold
        positive = (near & true & predicted).sum()
        false = (predicted & ~(near & true)).sum()
        jaccards.append(positive / (true.sum() + false))
        shares.append((near & true).sum() / true.sum())
    return measures | {"aj": float(np.mean(jaccards)), "delta": float(np.mean(shares))}


def median_errors(
    distance: Float64[np.ndarray, "T Q"], counted: Bool[np.ndarray, "T Q"]
) -> Float64[np.ndarray, " Q"]:
    """Returns each track's median error over its counted steps; NaN if there is none.

    Args:
      distance: between predicted and true points.
      counted: the steps that count, such as those at which the point is visible.
    """
    medians = np.full(distance.shape[1], np.nan)
    for track, (errors, chosen) in enumerate(
        zip(distance[1:].T, counted[1:].T, strict=True)
    ):
        if chosen.any():
            medians[track] = np.median(errors[chosen])
    return medians


def survival(
    distance: Float64[np.ndarray, "T Q"],
    counted: Bool[np.ndarray, "T Q"],
    threshold: float,
) -> float:
    """Returns the mean share of steps that pass before a track is lost.

    A track is lost at the first counted step at which its error exceeds the threshold.
    """
    lost = (distance > threshold) & counted
    return float((np.cumsum(lost[1:], axis=0) == 0).mean())


def share_within(distance: Float64[np.ndarray, "T Q"], unit: float) -> float:
    """Returns the share of points nearer than a threshold, mean over `THRESHOLDS`.

    Args:
      distance: between predicted and true points.
      unit: what a threshold is multiplied by.
    """
    shares = [(distance[1:] < unit * each).mean() for each in THRESHOLDS]
    return float(np.mean(shares))
