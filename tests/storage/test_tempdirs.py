"""Temporary folders, created and cleaned by several at the same time."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dyso.storage import tempdirs

# Ends itself in the middle of creating a folder.
KILLED = """
import os, pathlib, signal, sys
from dyso.storage import tempdirs

def kill(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(*{"made": (pathlib.Path, "open"), "opened": (tempdirs.fcntl, "flock")}[
    sys.argv[2]], kill)
with tempdirs.tempdir(pathlib.Path(sys.argv[1])):
    pass
"""


@pytest.mark.parametrize("when", ["made", "opened"])
def test_a_process_killed_while_it_creates_one_leaves_nothing(tmp_path, when):
    parent = tmp_path / "scratch"
    done = subprocess.run([sys.executable, "-c", KILLED, parent, when], timeout=60)
    assert done.returncode == -signal.SIGKILL
    [_] = parent.iterdir()
    tempdirs.clean(parent)
    assert not list(parent.iterdir())


def test_cleaning_takes_no_folder_from_those_who_use_it(tmp_path):
    parent, done = tmp_path / "scratch", threading.Event()

    def clean():
        while not done.is_set():
            tempdirs.clean(parent)

    def use(number):
        with tempdirs.tempdir(parent) as folder:
            (folder / "file").write_text(str(number))
            assert (folder / "file").read_text() == str(number)

    cleaning = threading.Thread(target=clean)
    cleaning.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(use, range(300)))
    finally:
        done.set()
        cleaning.join(timeout=60)
    assert not list(parent.iterdir())
