"""`dyso preview`: writes contact sheets, an animation, and a page to browse."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tyro
from PIL import Image

from dyso import records
from dyso.cli.bar import Bar
from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.storage import inside
from dyso.terminal import say
from dyso.videos.reading import ClipFolder, is_clip_folder
from dyso.visualization import animation, clips, sheets, tracks
from dyso.visualization.browsing import Entry, prepare
from dyso.visualization.page import SCENES, page
from dyso.visualization.scenes import SceneView, choose, evenly, load

OVERVIEW = 12
"""The most scenes in the sheets and in the animation."""
THREADS = 16
"""The most threads; each holds one scene in memory."""


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    out: Path | None = None,
    scenes: int = 200,
) -> int:
    """Write contact sheets, an animation, and a page to browse scenes.

    A scene of 25 views takes about 0.15 core-seconds and 0.2 MB. Existing pictures are
    replaced, since those in a downloaded dataset may be untrusted.

    The animation `tracks.gif` shows the middle camera through all dynamics steps, with
    points on the objects and tails that tell where they were. Points that a view does
    not see are left out.

    Of an output of `dyso videos ingest`, it writes a contact sheet and an animation of
    clips.

    Args:
      dataset: the folder of the dataset, or of the clips.
      out: the output folder; default: `preview` in the dataset's folder.
      scenes: the most scenes on the page, evenly spaced, equally many from each split.
    """
    if scenes < 1:
        raise UserError(f"scenes: must be at least 1, got {scenes}")
    if is_clip_folder(dataset):
        return _preview_clips(ClipFolder(dataset), out)
    subject = Dataset(dataset)
    in_dataset = out is None
    out = out or dataset / "preview"
    chosen = choose(subject, scenes)
    if not chosen:
        raise UserError(f"{dataset}: holds no scenes")
    counts = {name: len(split) for name, split in subject.splits.items()}
    with _one_line_errors(out):
        # Links in an untrusted dataset must not lead out of its folder.
        if in_dataset:
            inside(dataset, "preview/")
        for name in ("sheets/", f"{SCENES}/"):
            inside(out, name)
        out.mkdir(parents=True, exist_ok=True)
        kept = _write_pictures(out, subject, chosen[:OVERVIEW])
        entries = _prepare(subject, chosen, out / SCENES)
        with records.replacing(out / "index.html") as temporary:
            text = page(subject.resolved, counts, entries)
            temporary.write_text(text, encoding="utf-8")
    _say(out, len(chosen), sum(counts.values()), len(kept), kept[0].is_video)
    split, index = chosen[0]
    command = ["dyso", "show", str(dataset), "--split", split, "--index", str(index)]
    say(f"next: {shlex.join(command)}")
    return 0


@contextlib.contextmanager
def _one_line_errors(out: Path) -> Iterator[None]:
    """Raises UserError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or out}: cannot be written: {error.strerror}; choose "
            "another folder with --out"
        ) from error


def _preview_clips(folder: ClipFolder, out: Path | None) -> int:
    """Writes the contact sheet and the animation of ingested videos."""
    numbers = [(n, i) for n, split in folder.splits.items() for i in range(len(split))]
    if not numbers:
        raise UserError(f"{folder.folder}: holds no clips")
    chosen = [numbers[place] for place in evenly(len(numbers), OVERVIEW)]
    shown = [(name, index, folder[name][index]) for name, index in chosen]
    titles = [
        "  ·  ".join(filter(None, (f"{name} {index}", clip.name, clip.label)))
        for name, index, clip in shown
    ]
    frames = [clip for _, _, clip in shown]
    target = out or folder.folder / "preview"
    with _one_line_errors(target):
        if out is None:
            inside(folder.folder, "preview/")
        target.mkdir(parents=True, exist_ok=True)
        _write_png(
            target / "overview.png",
            clips.sheet(list(zip(titles, frames, strict=True))),
        )
        rate = round(frames[0].fps) or animation.VIDEO_RATE
        animation.write_gif(target / "walk.gif", clips.walk(frames), rate)
    say(f"{target}/overview.png  contact sheet of {len(shown)} clips")
    say(f"{target}/walk.gif      the clips, side by side")
    name, index = chosen[0]
    command = ["dyso", "show", str(folder.folder)]
    say(f"next: {shlex.join([*command, '--split', name, '--index', str(index)])}")
    return 0


def _prepare(
    dataset: Dataset, chosen: list[tuple[str, int]], folder: Path
) -> list[Entry]:
    """Writes the files of the page, in threads: image codecs release the GIL."""
    pool = ThreadPoolExecutor(min(THREADS, len(os.sched_getaffinity(0))))
    splits, indices = zip(*chosen, strict=True)
    try:
        made = pool.map(
            lambda split, index: prepare(dataset, split, index, folder), splits, indices
        )
        entries: list[Entry] = []
        with Bar("scenes") as bar:
            bar.show(0, len(chosen))
            for entry in made:
                entries.append(entry)
                bar.show(len(entries), len(chosen))
        return entries
    finally:
        pool.shutdown(cancel_futures=True)


def _write_pictures(
    out: Path, dataset: Dataset, chosen: list[tuple[str, int]]
) -> list[SceneView]:
    """Writes the sheets and the animation; returns their scenes."""
    (out / "sheets").mkdir(exist_ok=True)
    kept = [load(dataset, *scene) for scene in chosen]
    for scene in kept:
        name = f"{scene.split}-{scene.index:05}.png"
        _write_png(out / "sheets" / name, sheets.contact_sheet(scene))
    _write_png(out / "overview.png", sheets.overview(kept))
    frames = animation.walk(kept)
    rate = animation.VIDEO_RATE if kept[0].is_video else animation.RATE
    animation.write_gif(out / "walk.gif", frames, rate)
    if animation.can_write_mp4():
        animation.write_mp4(out / "walk.mp4", frames, rate)
    frames = tracks.frames_of(dataset, chosen)
    if frames:
        animation.write_gif(out / "tracks.gif", frames, animation.VIDEO_RATE)
    else:
        (out / "tracks.gif").unlink(missing_ok=True)
    return kept


def _write_png(path: Path, image: Image.Image) -> None:
    with records.replacing(path) as temporary:
        image.save(temporary, format="PNG")


def _say(out: Path, scenes: int, total: int, kept: int, videos: bool) -> None:
    more = "; --scenes N shows more"
    of_all = f"{scenes:,} of {total:,} scenes{more}" if scenes < total else "all scenes"
    films = "walk.gif, walk.mp4" if (out / "walk.mp4").exists() else "walk.gif"
    what = "the videos, side by side" if videos else "a walk through the views"
    say(f"{out}/index.html    a page to browse {of_all}")
    say(f"{out}/overview.png  contact sheet of {kept} scenes")
    say(f"{out}/sheets/       a sheet per scene: all views, all layers")
    say(f"{out}/{films}  {what}")
    if (out / "tracks.gif").exists():
        say(f"{out}/tracks.gif    the middle camera through time, with tracks")
