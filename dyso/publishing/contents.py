"""The files that are published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dyso import records
from dyso.export import Export
from dyso.records.card import CARD
from dyso.records.croissant import CROISSANT
from dyso.spec import UserError
from dyso.storage.resumable import JOURNAL, LOCK

SAMPLE = "sample"
"""The folder of the sample, and the name of its configuration on the Hub."""

_PREVIEW = "preview"
_OVERVIEW = "overview.png"
_LAST = (CROISSANT, "metadata.json", "dataset_info.json", CARD)
"""Files that say that a copy is complete: they are published last."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to publish.

    Attributes:
      name: relative to the destination, with `/` as separator.
      path: the local file.
      size: in bytes.
    """

    name: str
    path: Path
    size: int


def files_of(folder: Path) -> list[File]:
    """Returns the files of a finished dataset or export, in the order of publishing.

    Hidden files, journals and the folder of `dyso preview` are left out.

    Raises:
      UserError: the folder is neither.
    """
    if not (folder / CROISSANT).is_file():
        raise UserError(
            f"{folder}: no finished dataset or export: it has no {CROISSANT}"
        )
    names = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    return _ordered(
        _file(folder / name, str(name))
        for name in names
        if not any(part.startswith(".") for part in name.parts)
        and name.parts[0] != _PREVIEW
        and str(name) not in (JOURNAL, LOCK)
    )


def is_dataset(folder: Path) -> bool:
    """Returns whether a folder holds a dataset, not an export."""
    return (folder / "spec.json").is_file()


def with_sample(folder: Path, files: list[File], count: int, work: Path) -> list[File]:
    """Adds what the Hub shows of a dataset: a Parquet sample, and a picture.

    Args:
      folder: of the dataset.
      files: see `files_of`.
      count: the number of scenes of the first split in the sample.
      work: a folder for what is made.

    Returns:
      `files`, with the sample's files and with a card that names them.

    Raises:
      UserError: a scene is damaged.
    """
    made = work / SAMPLE
    split = next(iter(records.read_splits(folder)))
    export = Export.of(
        folder, format="parquet", out=made, split=split, scenes=f":{count}"
    )
    export.run(1, lambda: None)
    added = [
        _file(path, f"{SAMPLE}/{path.name}") for path in sorted(made.rglob("*.parquet"))
    ]
    overview = folder / _PREVIEW / _OVERVIEW
    if overview.is_file():
        added.append(_file(overview, _OVERVIEW))
    card = work / CARD
    card.write_text(_card((folder / CARD).read_text(), split, overview.is_file()))
    kept = [file for file in files if file.name != CARD]
    return _ordered([*kept, *added, _file(card, CARD)])


def _card(text: str, split: str, picture: bool) -> str:
    """Returns a dataset's card that names the sample and shows the picture."""
    header, body = re.fullmatch(r"---\n(.*?)---\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    described: dict[str, Any] = yaml.safe_load(header)
    data = [{"split": split, "path": f"{SAMPLE}/*.parquet"}]
    described["configs"] = [{"config_name": SAMPLE, "data_files": data}]
    title, rest = body.split("\n", 1)
    shown = f"\n![Scenes of the dataset]({_OVERVIEW})\n" if picture else ""
    note = (
        f"\nThe folder `{SAMPLE}` has some scenes of `{split}` as Parquet, which the "
        "viewer shows. The other files are the whole dataset; "
        "`dyso.reading.Dataset` reads a local copy of them.\n"
    )
    return (
        f"---\n{yaml.safe_dump(described, sort_keys=False)}---\n"
        f"{title}\n{shown}{note}{rest}"
    )


def _file(path: Path, name: str) -> File:
    return File(name=name, path=path, size=path.stat().st_size)


def _ordered(files: Iterator[File] | list[File]) -> list[File]:
    return sorted(
        files,
        key=lambda file: (
            _LAST.index(file.name) + 1 if file.name in _LAST else 0,
            file.name,
        ),
    )
