"""Behaviour of folders on a disk only: renames, full disks, other file systems."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dyso.storage import LocalFolder, open_folder


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    found = open_folder(tmp_path / "folder")
    assert isinstance(found, LocalFolder)
    return found


def test_put_is_a_rename(folder: LocalFolder) -> None:
    with folder.scratch() as scratch:
        (scratch / "file").write_bytes(b"1")
        inode = (scratch / "file").stat().st_ino
        folder.put(scratch / "file", "a/b", "")
    assert (folder.path / "a" / "b").stat().st_ino == inode


def test_put_from_another_filesystem_copies(folder: LocalFolder) -> None:
    memory = Path("/dev/shm")
    folder.write("a", b"old")
    if not memory.is_dir() or memory.stat().st_dev == folder.path.stat().st_dev:
        pytest.skip("there is no other filesystem")
    with LocalFolder(str(memory / "dyso-test")).scratch() as scratch:
        (scratch / "file").write_bytes(b"new")
        folder.put(scratch / "file", "a", "")
        assert not (scratch / "file").exists()
    assert folder.read("a") == b"new" and folder.sizes() == {"a": 3}
    LocalFolder(str(memory / "dyso-test")).clean()
    (memory / "dyso-test").rmdir()


@pytest.mark.parametrize(
    "action",
    [
        "folder.write('a', b'.' * 100_000)",
        "folder.put(Path('/dev/shm') / sys.argv[2], 'a', '')",
    ],
)
def test_a_write_to_a_full_disk_keeps_the_previous_file(
    folder: LocalFolder, action: str
) -> None:
    """The kernel refuses to let a file grow, as it does on a full disk."""
    folder.write("a", b"old")
    other = Path("/dev/shm") / f"dyso-test-{folder.path.parent.name}"
    if "shm" in action:
        if not other.parent.is_dir():
            pytest.skip("there is no other filesystem")
        other.write_bytes(b"." * 100_000)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from dyso.storage import open_folder\n"
        "folder = open_folder(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        f"try: {action}\n"
        "except OSError as error: print(error.strerror, error.filename)\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder), other.name],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout == f"File too large {folder}/a\n"
        assert "shm" not in action or other.stat().st_size == 100_000
    finally:
        other.unlink(missing_ok=True)
    assert folder.read("a") == b"old" and folder.sizes() == {"a": 3}
    assert not list(folder.path.glob(".scratch/*"))


def test_readers_see_whole_files(folder: LocalFolder) -> None:
    contents = {bytes([65 + i]) * 200_000 for i in range(4)}
    folder.write("a", b"A" * 200_000)
    done = threading.Event()

    def write() -> None:
        for _ in range(10):
            for content in contents:
                folder.write("a", content)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert folder.read("a") in contents
    thread.join(timeout=60)


def test_cleaning_leaves_no_trace(folder: LocalFolder) -> None:
    folder.write("a", b"1")
    folder.clean()
    assert [path.name for path in folder.path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a/.."])
def test_no_name_leads_out_of_the_folder(folder: LocalFolder, name: str) -> None:
    folder.write("a/b", b"")
    (folder.path.parent / "x").write_bytes(b"mine")
    for change in (
        lambda: folder.write(name, b""),
        lambda: folder.remove(name),
        lambda: folder.remove_folder(name),
    ):
        with pytest.raises(OSError, match="leads out of"):
            change()
    assert (folder.path.parent / "x").read_bytes() == b"mine"


def test_listing_ends_despite_a_loop_of_links(folder: LocalFolder) -> None:
    folder.write("a/b", b"1")
    (folder.path / "a" / "up").symlink_to(folder.path)
    assert {name for name in folder.sizes() if "up" not in name} == {"a/b"}
    assert len(folder.sizes()) <= 2
