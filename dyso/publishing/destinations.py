"""Where files are published: folders on disks and in buckets, and the Hugging Face Hub.

All destinations can be resumed, and compare what they hold with the local files.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyso import records
from dyso.errors import one_line
from dyso.publishing.contents import File
from dyso.spec import UserError
from dyso.storage import open_folder
from dyso.storage.resumable import RESUME, resume

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB = "hf://"
Tick = Callable[[File], None]

_COMMIT_FILES = 50
_COMMIT_BYTES = 10**9


def publish(
    files: Sequence[File], location: str, tick: Tick, private: bool = False
) -> None:
    """Copies files to a destination; a second call copies only what is not there.

    Args:
      files: in the order in which they appear.
      location: `hf://org/name`, `s3://bucket/prefix`, `gs://bucket/prefix` or a folder.
      tick: called after each file.
      private: create the repository on the Hub as private.

    Raises:
      UserError: the destination holds something else, cannot be written, or does not
        hold what was sent.
    """
    if location.startswith(HUB):
        _to_hub(files, location.removeprefix(HUB).strip("/"), tick, private)
    else:
        _to_folder(files, location, tick)


def _to_folder(files: Sequence[File], location: str, tick: Tick) -> None:
    digests = {file.name: records.checksum(file.path) for file in files}
    folder = open_folder(location)
    with resume(folder, {"published": digests}) as journal:
        for file in files:
            if file.name not in journal.finished:
                with folder.scratch() as scratch:
                    copy = scratch / file.path.name
                    shutil.copyfile(file.path, copy)
                    if records.checksum(copy) != digests[file.name]:
                        raise UserError(f"{file.path}: changed while it was published")
                    journal.put(copy, file.name, None, digests[file.name])
            tick(file)


def _to_hub(files: Sequence[File], name: str, tick: Tick, private: bool) -> None:
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise UserError(
            f"{HUB} needs huggingface_hub: pip install 'dyso[hub]'"
        ) from error
    disable_progress_bars()  # They would be drawn into the one of the command.
    api = HfApi(library_name="dyso")
    try:
        api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        for batch in _batches(files):
            present = _present(api, name, batch)
            if missing := [file for file in batch if file.name not in present]:
                api.create_commit(
                    name,
                    [
                        CommitOperationAdd(
                            path_in_repo=file.name, path_or_fileobj=file.path
                        )
                        for file in missing
                    ],
                    commit_message=f"{missing[0].name} and {len(missing) - 1} more"
                    if len(missing) > 1
                    else missing[0].name,
                    repo_type="dataset",
                )
                present |= _present(api, name, missing)
            for file in batch:
                if file.name not in present:
                    raise UserError(
                        f"{HUB}{name}: {file.name} differs from {file.path} after the "
                        f"upload; {RESUME}"
                    )
                tick(file)
    except HFValidationError as error:
        raise UserError(f"{HUB}{name}: must be {HUB}OWNER/NAME") from error
    except UserError:
        raise
    # Versions of huggingface_hub differ in whose connection errors they raise.
    except Exception as error:
        login = "; log in with `hf auth login` or set HF_TOKEN"
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = login if status in (401, 403) else f"; {RESUME}"
        reason = getattr(error, "server_message", None) or one_line(error)
        raise UserError(f"{HUB}{name}: {reason}{hint}") from error


def _batches(files: Sequence[File]) -> Iterator[list[File]]:
    """Yields the files of each commit."""
    batch: list[File] = []
    for file in files:
        size = sum(each.size for each in batch) + file.size
        if batch and (len(batch) == _COMMIT_FILES or size > _COMMIT_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _present(api: HfApi, name: str, files: Sequence[File]) -> set[str]:
    """Returns the names of the files that the repository holds, with this content."""
    found: Any = api.get_paths_info(
        name, [file.name for file in files], repo_type="dataset"
    )
    remote = {each.path: each for each in found}
    return {
        file.name
        for file in files
        if file.name in remote and _same(remote[file.name], file)
    }


def _same(remote: Any, file: File) -> bool:
    if remote.size != file.size:
        return False
    if remote.lfs is not None:
        return bool(remote.lfs.sha256 == records.checksum(file.path))
    return bool(remote.blob_id == _git_blob(file.path))


def _git_blob(path: Path) -> str:
    """Returns the id that git gives to a file's content."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
