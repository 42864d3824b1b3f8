"""Resumable jobs: the same call resumes a job that was stopped or killed at any moment.

    OUT/journal.jsonl   the job's identity, then one line per finished unit
    OUT/journal.lock    locks the folder while a job runs

A unit is what a job makes at once, such as a shard. Its files get their names when they
are complete, and the journal's line is written afterwards. A unit is finished if its
line can be read and its files have the sizes in the line; all others are made again.

One process writes the journal. The parts of a Beam job are made on many machines, so
`dyso.pipeline.output_layout` keeps a report beside each file instead, and shares only
`hold_output` and the messages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyso.spec import UserError
from dyso.storage.folder import Folder

JOURNAL = "journal.jsonl"
LOCK = "journal.lock"
RESUME = "run the same command to resume"


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The finished units of a job that has locked its output folder.

    Attributes:
      folder: the output folder.
      finished: the report on each finished unit, by the unit's name.
      check: raises `Held` if another job has taken the folder over.
    """

    folder: Folder
    finished: dict[str, Any]
    check: Callable[[], None]

    def add(self, unit: str, sizes: Mapping[str, int], report: Any = None) -> None:
        """Adds a unit whose files are complete.

        Args:
          unit: the unit's name.
          sizes: the sizes of its files in bytes, by name in the folder.
          report: what `finished` holds for the unit, as JSON values.
        """
        line = _line({"unit": unit, "files": sizes, "report": report})
        self.folder.append(JOURNAL, line)
        self.finished[unit] = report

    def put(self, file: Path, unit: str, report: Any, sha256: str = "") -> None:
        """Moves a local file into the folder as a unit of one file of the same name.

        Args:
          file: the local file.
          unit: the name of the unit and of its file.
          report: see `add`.
          sha256: see `Folder.put`.
        """
        size = file.stat().st_size
        self.check()
        self.folder.put(file, unit, sha256)
        self.add(unit, {unit: size}, report)


@contextlib.contextmanager
def resume(folder: Folder, identity: Mapping[str, Any]) -> Iterator[Journal]:
    """Begins or resumes a job, and locks its output folder.

    Args:
      folder: the output folder.
      identity: what the units' contents depend on, as JSON values.

    Raises:
      UserError: the folder holds something else, another job writes to it, or it
        cannot be read or written.
    """
    with hold_output(folder, LOCK, lambda: _read(folder, identity)) as check:
        lines = _read(folder, identity)
        if lines is None:
            folder.write(JOURNAL, _line(identity))
        elif lines[-1:] != [b""]:  # The job was killed while it wrote the last line.
            folder.append(JOURNAL, b"\n")
        finished = _finished(folder, lines or [])
        yield Journal(folder=folder, finished=finished, check=check)


def finished_units(folder: Folder, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the report on each finished unit of a job, without locking the folder.

    Raises:
      UserError: the folder holds something else, or cannot be read.
    """
    with one_line_errors(folder):
        return _finished(folder, _read(folder, identity) or [])


@contextlib.contextmanager
def hold_output(
    folder: Folder, lock: str, check: Callable[[], object]
) -> Iterator[Callable[[], None]]:
    """Locks an output folder; removes temporary files of killed jobs and of this job.

    Args:
      folder: the output folder.
      lock: the name of the lock file.
      check: raises UserError if the folder holds something else. It is called before
        anything is written, and again under the lock.

    Yields:
      A function that raises `Held` if another job has taken the folder over.

    Raises:
      UserError: `check` raised it, another job writes to the folder, or an operation
        failed.
    """
    with one_line_errors(folder), contextlib.ExitStack() as stack:
        check()
        try:
            check_lock = stack.enter_context(folder.hold(lock))
        except OSError as error:
            raise UserError(
                f"{error.filename or folder}: cannot be written: {error.strerror}; "
                "choose another folder"
            ) from error
        # Another job may have begun here before the lock was taken.
        check()
        folder.clean()
        try:
            yield check_lock
        finally:
            with contextlib.suppress(OSError):
                folder.clean()


@contextlib.contextmanager
def one_line_errors(folder: Folder) -> Iterator[None]:
    """Raises UserError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: {error.strerror or error}; fix this, then "
            f"{RESUME}"
        ) from error


def require_empty(folder: Folder, lock: str) -> None:
    """Checks that a folder holds nothing but a lock.

    Raises:
      UserError: it holds other files.
    """
    try:
        others = set(folder.entries()) - {lock}
    except NotADirectoryError:
        return  # `hold_output` reports why it cannot be written.
    if others:
        raise UserError(
            f"{folder}: holds files that DySO did not make; choose an empty or a new "
            "folder"
        )


def differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> str:
    """Returns a line that lists the keys in which two JSON objects differ.

    Args:
      expected: the identity of the job that is about to resume in a folder.
      got: the identity of the job that began there.
    """
    wanted, present = dict(_flat(expected)), dict(_flat(got))
    lines = [
        f"{key}: expected {wanted.get(key, 'none')}, got {present.get(key, 'none')}"
        for key in wanted | present
        if wanted.get(key) != present.get(key)
    ]
    more = f" and {len(lines) - 4} more" if len(lines) > 4 else ""
    return "; ".join(lines[:4]) + more


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted keys and the values as short texts."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) > 40:
            digest = hashlib.sha256(text.encode()).hexdigest()[:6]
            text = f"{len(value)} entries ({digest})"
        yield prefix + key, text


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _read(folder: Folder, identity: Mapping[str, Any]) -> list[bytes] | None:
    """Returns the lines after the identity; None if no job has begun here."""
    try:
        head, *lines = folder.read(JOURNAL).split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        require_empty(folder, LOCK)
        return None
    stored, wanted = _parse(head), json.loads(_line(identity))
    if not isinstance(stored, dict):
        raise UserError(
            f"{folder}/{JOURNAL}: expected a job's identity in the first line, got "
            "something else; choose another folder"
        )
    if stored != wanted:
        raise UserError(
            f"{folder}: holds the files of another job ({differences(wanted, stored)})"
            "; choose another folder"
        )
    return lines


def _finished(folder: Folder, lines: Iterable[bytes]) -> dict[str, Any]:
    sizes, finished = folder.sizes(), dict[str, Any]()
    for line in lines:
        match _parse(line):
            case {"unit": str(unit), "files": dict(files), "report": report}:
                finished.pop(unit, None)
                if all(sizes.get(name) == size for name, size in files.items()):
                    finished[unit] = report
    return finished


def _parse(line: bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(line)
    return None
