"""Folders of videos."""

import pytest

from dyso.videos import Options, ingest
from helpers.video_files import NAMES, film, numbered

SMALL = Options(resolution=(16, 16), clips_per_shard=3)


@pytest.fixture(scope="session")
def small():
    """Options for clips of 16 x 16 pixels, 3 in a shard."""
    return SMALL


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """A folder of 7 videos, of 10 to 16 frames, and 3 bad ones."""
    folder = tmp_path_factory.mktemp("films")
    for i, name in enumerate(NAMES):
        path = folder / name
        film(path.with_suffix(path.suffix.lower()), numbered(10 + i)).rename(path)
    (folder / "c_none.mp4").write_bytes(b"no video at all " * 100)
    (folder / "empty.webm").write_bytes(b"")
    film(folder / "short.mp4", numbered(3))
    (folder / "notes.txt").write_text("no video either")
    return folder


@pytest.fixture(scope="session")
def clips(films, small, tmp_path_factory):
    """The clips of `films`, made by one worker without interruption."""
    out = tmp_path_factory.mktemp("clips") / "out"
    ingest(films, out, small, workers=1)
    return out
