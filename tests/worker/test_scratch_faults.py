"""Failures that a worker attributes to the machine."""

import errno
import subprocess
from pathlib import Path

import pytest

from dyso.worker.__main__ import _machine_fault
from dyso.worker.errors import AssetError

ROOM = 1_000_000


def chained(cause: BaseException) -> Exception:
    """Returns an asset's error with another error as its cause."""
    try:
        try:
            raise cause
        except BaseException as error:
            raise RuntimeError("the importer failed") from error
    except RuntimeError:
        try:
            raise AssetError("duck", "cannot be read")
        except AssetError as error:
            return error


@pytest.mark.parametrize(
    "cause",
    [OSError(number, "") for number in (errno.ENOSPC, errno.EIO, errno.EROFS)]
    + [OSError(errno.EMFILE, ""), MemoryError()],
)
def test_it_is_whatever_else_came_of_it(tmp_path: Path, cause: BaseException) -> None:
    assert _machine_fault(chained(cause), tmp_path, ROOM) is cause


@pytest.mark.parametrize(
    "cause",
    [ValueError("odd"), OSError("image file is truncated"), FileNotFoundError(2, "")],
)
def test_a_files_own_faults_are_not(tmp_path: Path, cause: BaseException) -> None:
    assert _machine_fault(chained(cause), tmp_path, ROOM) is None


def test_it_is_where_files_cannot_be_made(tmp_path: Path) -> None:
    odd = ValueError("Invalid part index '0': file has 0 parts.")
    found = _machine_fault(odd, tmp_path / "absent", ROOM)
    assert isinstance(found, FileNotFoundError)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "small", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount")
    try:
        assert _machine_fault(odd, tmp_path, ROOM) is None
        (tmp_path / "filler").write_bytes(bytes(1_200_000))
        found = _machine_fault(odd, tmp_path, ROOM)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert isinstance(found, OSError) and found.errno == errno.ENOSPC
    assert found.filename == str(tmp_path)
