"""The scores: their names, units and meanings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score.

    Attributes:
      name: its key in scores.json.
      group: what it measures.
      title: its heading in a table.
      digits: after the decimal point.
      higher: whether a higher value is better.
      about: its definition.
    """

    name: str
    group: str
    title: str
    digits: int
    higher: bool
    about: str


VIEWS, DEPTH, INPUT_DEPTH = (
    "Held-out views",
    "Depth of held-out views",
    "Depth of input views",
)
TRACKS_3D, TRACKS_2D, CAMERAS = "3D tracks", "2D tracks", "Camera poses"


def _group(group: str, *rows: tuple[str, str, int, bool, str]) -> tuple[Score, ...]:
    keys = ("name", "title", "digits", "higher", "about")
    return tuple(
        Score(group=group, **dict(zip(keys, row, strict=True)))  # type: ignore[arg-type]
        for row in rows
    )


def _depth(prefix: str, group: str) -> tuple[Score, ...]:
    scaled = "the same, each view scaled by the ratio of the medians"
    rows = [
        ("abs_rel", "AbsRel", False, "mean of |predicted - true| / true"),
        ("delta", "δ < 1.25", True, "share of pixels within a factor of 1.25"),
        ("abs_rel_scaled", "AbsRel, scaled", False, scaled),
        ("delta_scaled", "δ < 1.25, scaled", True, scaled),
        ("abs_rel_moving", "AbsRel, moving", False, "of all moving pixels of a scene"),
    ]
    return _group(
        group,
        *(
            (f"{prefix}_{name}", title, 4, higher, about)
            for name, title, higher, about in rows
        ),
    )


SCORES: tuple[Score, ...] = (
    *_group(
        VIEWS,
        ("psnr", "PSNR, dB", 2, True, "mean over views"),
        ("ssim", "SSIM", 4, True, "mean over views"),
        ("lpips", "LPIPS", 4, False, "mean over views"),
        ("psnr_moving", "PSNR, moving, dB", 2, True, "of all moving pixels of a scene"),
        ("ssim_moving", "SSIM, moving", 4, True, "mean of the map on moving pixels"),
    ),
    *_depth("depth", DEPTH),
    *_depth("input_depth", INPUT_DEPTH),
    *_group(
        TRACKS_3D,
        ("track_3d_mte", "MTE, m", 4, False, "mean of the tracks' median errors"),
        ("track_3d_mte_of_size", "MTE / size", 4, False, "over the object's size"),
        ("track_3d_survival", "survival", 3, True, "share of steps before 0.5 m"),
        ("track_3d_delta", "δ avg", 3, True, "within 1, 2, 4, 8, 16 cm"),
        ("track_3d_mte_aligned", "MTE, aligned, m", 4, False, "after a similarity"),
    ),
    *_group(
        TRACKS_2D,
        ("track_2d_aj", "AJ", 3, True, "TAP-Vid's average Jaccard"),
        ("track_2d_delta", "<δ avg", 3, True, "TAP-Vid's share within 1 to 16 pixels"),
        ("track_2d_oa", "OA", 3, True, "TAP-Vid's occlusion accuracy"),
        ("track_2d_mte", "MTE, pixels", 2, False, "mean of the tracks' median errors"),
        ("track_2d_survival", "survival", 3, True, "share of steps before 50 pixels"),
    ),
    *_group(
        CAMERAS,
        ("camera_rotation", "rotation, °", 3, False, "as they are"),
        ("camera_translation", "translation, m", 4, False, "as they are"),
        ("camera_rotation_aligned", "rotation, aligned, °", 3, False, "aligned"),
        ("camera_translation_aligned", "translation, aligned, m", 4, False, "aligned"),
        ("camera_ate", "ATE, m", 4, False, "centres aligned alone, root mean square"),
    ),
)
"""All scores, in the order of the report."""
