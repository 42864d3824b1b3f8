"""Lists the videos in a folder, with their splits and labels."""

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
"""Names of Something-Something v2's label files, in its two releases."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video file.

    Attributes:
      name: the path relative to the folder, with `/` as separator.
      size: the size in bytes.
      split: the split of the clip.
      label: the content, as in "holding a potato next to a bottle"; empty if unknown.
      category: the kind of action, as in "Holding something next to something".
      category_id: the category's number; -1 if unknown.
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
      videos: the videos, ordered by split, then by name.
      ignored: the number of other files, by the reason why they are left out.
    """

    root: Path
    videos: tuple[Video, ...]
    ignored: Counter[str] = field(default_factory=Counter)


def list_videos(
    root: str | Path, options: Options, labels: str | Path | None = None
) -> Listing:
    """Lists the videos in a folder and its subfolders, by their file endings.

    Something-Something v2 has a label file per split, which lists the split's videos:
    `something-something-v2-train.json` or `train.json`, and the same for `validation`
    and `test`. The file `labels` numbers the categories. Videos that are in no label
    file are left out. Without label files, `options` decides the splits.

    Args:
      root: the folder.
      options: the shares of the splits.
      labels: the folder of the label files; None looks in `root` and in
        `root/labels`.

    Raises:
      UserError: there is no such folder, or a label file is malformed.
    """
    root = Path(root)
    files, ignored = _walk(root)
    folders = [root, root / "labels"] if labels is None else [Path(labels)]
    labelled = next(filter(None, map(_read_labels, folders)), None)
    if labelled is None:
        if labels is not None:
            names = " or ".join(form.format("train") for form in LABEL_FILES)
            raise UserError(f"{labels}: no label files; expected {names}")
        videos = [
            Video(name=name, size=size, split=_split_of(name, options))
            for name, size in files
        ]
    else:
        if options.validation or options.test:
            raise UserError(
                f"validation, test: {root} has label files, which decide the splits; "
                "leave these options out"
            )
        videos = []
        for name, size in files:
            entry = labelled.pop(Path(name).stem, None)
            if entry is None:
                ignored["in no label file"] += 1
            else:
                videos.append(Video(name=name, size=size, **entry))
        if labelled:
            ignored["in a label file, but missing"] = len(labelled)
    videos.sort(key=lambda video: (SPLITS.index(video.split), video.name))
    return Listing(root=root, videos=tuple(videos), ignored=ignored)


def _walk(root: Path) -> tuple[list[tuple[str, int]], Counter[str]]:
    """Returns the videos' names and sizes, sorted, and counts the other files."""

    def stop(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}") from error

    videos: list[tuple[str, int]] = []
    ignored: Counter[str] = Counter()
    for folder, _, names in os.walk(root, onerror=stop):
        for name in names:
            path = Path(folder, name)
            if path.suffix[1:].lower() not in ENDINGS:
                ignored["with another file ending"] += 1
            elif not path.is_file():  # a pipe, or a link to nowhere
                ignored["not a regular file"] += 1
            else:
                videos.append((path.relative_to(root).as_posix(), path.stat().st_size))
    return sorted(videos), ignored


def _split_of(name: str, options: Options) -> str:
    digest = hashlib.sha256(os.fsencode(name)).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    if place < options.test:
        return "test"
    return "validation" if place < options.test + options.validation else "train"


def _read_labels(folder: Path) -> dict[str, dict[str, Any]] | None:
    """Returns each video's split and labels by its number; None without label files."""
    files = [(split, _label_file(folder, split)) for split in SPLITS]
    if not any(path for _, path in files):
        return None
    path = _label_file(folder, "labels")
    numbers = dict(_parsed(path, _numbers)) if path else {}
    entries = {}
    for split, path in files:
        for key, label, category in _parsed(path, _entries) if path else ():
            entries[key] = {
                "split": split,
                "label": label,
                "category": category,
                "category_id": numbers.get(category, -1),
            }
    return entries


def _label_file(folder: Path, what: str) -> Path | None:
    paths = (folder / form.format(what) for form in LABEL_FILES)
    return next((path for path in paths if path.is_file()), None)


def _parsed(path: Path, parse: Any) -> list[Any]:
    try:
        return list(parse(json.loads(path.read_bytes())))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{path}: not a label file of Something-Something v2; download it again, "
            "or remove it"
        ) from None


def _numbers(document: Any) -> Iterator[tuple[str, int]]:
    for category, number in document.items():
        yield category, int(number)


def _entries(document: Any) -> Iterator[tuple[str, str, str]]:
    for entry in document:
        # Entries of the test split have only an id.
        template = str(entry.get("template", ""))
        yield (
            str(entry["id"]),
            str(entry.get("label", "")),
            template.replace("[", "").replace("]", ""),
        )
