"""Which videos a folder holds, and which split each is in."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dyso.spec import UserError
from dyso.videos.options import Options

SPLITS = ("train", "validation", "test")
ENDINGS = (
    "webm",
    "mkv",
    "mp4",
    "m4v",
    "mov",
    "avi",
    "mpg",
    "mpeg",
    "ogv",
    "flv",
    "wmv",
)
LABEL_FILES = ("something-something-v2-{}.json", "{}.json")
"""Something-Something v2's, as its two releases name them."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video file.

    Attributes:
      name: its path in the folder, with `/` between its parts.
      size: in bytes.
      split: where its clip goes.
      label: what is seen, as in "holding a potato next to a bottle"; empty if unknown.
      category: the kind of action, as in "Holding something next to something".
      category_id: its number; -1 if unknown.
    """

    name: str
    size: int
    split: str
    label: str = ""
    category: str = ""
    category_id: int = -1


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The videos of a folder.

    Attributes:
      root: the folder.
      videos: by split, then by name.
      ignored: how many files, by why they are none of the videos.
    """

    root: Path
    videos: tuple[Video, ...]
    ignored: Counter[str] = field(default_factory=Counter)


def list_videos(
    root: str | Path, options: Options, labels: str | Path | None = None
) -> Listing:
    """Lists the videos in a folder and those in it, by the endings of their names.

    Something-Something v2 comes with label files, which say what is in which split:
    `something-something-v2-train.json` or `train.json`, likewise `validation` and
    `test`, and `labels` with the categories' numbers. Videos that they do not name are
    left out. Without such files the options' shares decide.

    Args:
      root: the folder.
      options: its shares of the splits.
      labels: the folder of the label files; None looks in `root` and in
        `root/labels`.

    Raises:
      UserError: there is no such folder, or a label file is none.
    """
    root = Path(root)
    found, ignored = _walk(root)
    folders = [root, root / "labels"] if labels is None else [Path(labels)]
    told = next(filter(None, map(_read_labels, folders)), None)
    if told is None:
        if labels is not None:
            names = " or ".join(form.format("train") for form in LABEL_FILES)
            raise UserError(f"{labels}: no label files; expected {names}")
        videos = [
            Video(name=name, size=size, split=_split_of(name, options))
            for name, size in found
        ]
    else:
        if options.validation or options.test:
            raise UserError(
                f"validation, test: {root} has label files, which decide the splits; "
                "leave the shares out"
            )
        videos = []
        for name, size in found:
            own = told.pop(Path(name).stem, None)
            if own is None:
                ignored["in no label file"] += 1
            else:
                videos.append(Video(name=name, size=size, **own))
        if told:
            ignored["in a label file, but not there"] = len(told)
    videos.sort(key=lambda video: (SPLITS.index(video.split), video.name))
    return Listing(root=root, videos=tuple(videos), ignored=ignored)


def _walk(root: Path) -> tuple[list[tuple[str, int]], Counter[str]]:
    """Gives the videos' names and sizes in order, and counts other files."""

    def stop(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}") from error

    found: list[tuple[str, int]] = []
    ignored: Counter[str] = Counter()
    for folder, _, names in os.walk(root, onerror=stop):
        for name in names:
            path = Path(folder, name)
            if path.suffix[1:].lower() not in ENDINGS:
                ignored["no video's ending"] += 1
            elif not path.is_file():  # a pipe, or a link to nowhere
                ignored["no file"] += 1
            else:
                found.append((path.relative_to(root).as_posix(), path.stat().st_size))
    return sorted(found), ignored


def _split_of(name: str, options: Options) -> str:
    digest = hashlib.sha256(os.fsencode(name)).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    if place < options.test:
        return "test"
    return "validation" if place < options.test + options.validation else "train"


def _read_labels(folder: Path) -> dict[str, dict[str, Any]] | None:
    """Gives the split and the labels by number of the video; None without files."""
    files = [(split, _label_file(folder, split)) for split in SPLITS]
    if not any(path for _, path in files):
        return None
    path = _label_file(folder, "labels")
    numbers = dict(_parsed(path, _numbers)) if path else {}
    told = {}
    for split, path in files:
        for key, label, category in _parsed(path, _entries) if path else ():
            told[key] = {
                "split": split,
                "label": label,
                "category": category,
                "category_id": numbers.get(category, -1),
            }
    return told


def _label_file(folder: Path, what: str) -> Path | None:
    paths = (folder / form.format(what) for form in LABEL_FILES)
    return next((path for path in paths if path.is_file()), None)


def _parsed(path: Path, parse: Any) -> list[Any]:
    try:
        return list(parse(json.loads(path.read_bytes())))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{path}: not a label file of Something-Something v2; fetch it again, or "
            "move it away"
        ) from None


def _numbers(document: Any) -> Iterator[tuple[str, int]]:
    for category, number in document.items():
        yield category, int(number)


def _entries(document: Any) -> Iterator[tuple[str, str, str]]:
    for entry in document:
        # Those of the test split have an id alone.
        template = str(entry.get("template", ""))
        yield (
            str(entry["id"]),
            str(entry.get("label", "")),
            template.replace("[", "").replace("]", ""),
        )
