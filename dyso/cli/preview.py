"""`dyso preview`: contact sheets, an animation, and a page to browse."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import tyro
from PIL import Image
from tqdm import tqdm

from dyso import records
from dyso.looking import animation, sheets
from dyso.looking.page import page
from dyso.looking.scenes import Sight, choose, look
from dyso.reading import Dataset
from dyso.spec import UserError

OVERVIEW = 12


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    out: Path | None = None,
    scenes: int = 24,
) -> int:
    """Write contact sheets, an animation, and one page to browse scenes.

    Args:
      dataset: the folder of the dataset.
      out: the folder for the pictures; default: `preview` in the dataset's folder.
      scenes: how many scenes to show, as many of each split, evenly chosen.
    """
    if scenes < 1:
        raise UserError(f"scenes: must be at least 1, got {scenes}")
    subject = Dataset(dataset)
    out = out or dataset / "preview"
    chosen = choose(subject, scenes)
    kept: list[Sight] = []
    try:
        (out / "sheets").mkdir(parents=True, exist_ok=True)
        counts = {name: len(split) for name, split in subject.splits.items()}
        sights = _sights(subject, chosen, out / "sheets", kept)
        text, on_page = page(subject.resolved, counts, sights)
        for _ in sights:
            pass  # the page is full, but their sheets are wanted
        _write_png(out / "overview.png", sheets.overview(kept))
        frames = animation.walk(kept)
        rate = animation.VIDEO_RATE if kept[0].is_video else animation.RATE
        animation.write_gif(out / "walk.gif", frames, rate)
        if animation.can_write_mp4():
            animation.write_mp4(out / "walk.mp4", frames, rate)
        with records.replacing(out / "index.html") as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{error.filename or out}: cannot be written: {error.strerror}; choose "
            "another folder with --out"
        ) from error
    _say(out, len(chosen), on_page, len(text), dataset, chosen[0], kept[0].is_video)
    return 0


def _sights(
    dataset: Dataset, chosen: list[tuple[str, int]], folder: Path, kept: list[Sight]
) -> Iterator[Sight]:
    """Reads scenes, writes their sheets, and keeps the first `OVERVIEW` of them."""
    quiet = not sys.stderr.isatty()
    for split, index in tqdm(chosen, unit="scene", file=sys.stderr, disable=quiet):
        sight = look(dataset, split, index)
        _write_png(folder / f"{split}-{index:05}.png", sheets.contact_sheet(sight))
        if len(kept) < OVERVIEW:
            kept.append(sight)
        yield sight


def _write_png(path: Path, image: Image.Image) -> None:
    with records.replacing(path) as temporary:
        image.save(temporary, format="PNG")


def _say(
    out: Path,
    scenes: int,
    on_page: int,
    size: int,
    dataset: Path,
    first: tuple[str, int],
    videos: bool,
) -> None:
    all_of = "" if on_page == scenes else f" (a page holds no more; asked: {scenes})"
    print(
        f"{out}/index.html    {on_page} scenes to browse{all_of}, {size / 1e6:.1f} MB"
    )
    print(f"{out}/overview.png  contact sheet of {min(scenes, OVERVIEW)} scenes")
    print(f"{out}/sheets/       one sheet a scene: all views, all layers")
    films = "walk.gif, walk.mp4" if (out / "walk.mp4").exists() else "walk.gif"
    what = "the videos, side by side" if videos else "a walk through the views"
    print(f"{out}/{films}  {what}")
    print(f"next: dyso show {dataset} --split {first[0]} --index {first[1]}")
