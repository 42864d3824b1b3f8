"""Ingesting makes the same clips whatever happens, and reports the failures."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dyso.records import checksum
from dyso.spec import UserError
from dyso.videos import Options, Video, ingest, list_videos, open_clips
from dyso.videos.process import decode_all
from helpers.video_files import NAMES, film, numbered, numbers_of


def content(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_good_video_is_a_clip_and_every_bad_one_is_named(clips):
    metadata = json.loads((clips / "metadata.json").read_text())
    split = open_clips(clips, "train")
    assert [clip.name for clip in split] == list(NAMES)
    for i, clip in enumerate(split):
        assert numbers_of(clip.decode()) == list(range(10 + i))
        assert clip.fps == pytest.approx(12, rel=0.01)
    failures = {f["name"]: f["reason"] for f in metadata["failures"]}
    assert failures == {
        "c_none.mp4": "format",
        "empty.webm": "format",
        "short.mp4": "short",
    }
    assert metadata["failed"] == {"format": 2, "short": 1}
    assert metadata["ignored"] == {"with another file ending": 1}
    assert (metadata["clips"], metadata["fewest_frames"]) == (7, 10)
    for shard in metadata["splits"]["train"]:
        assert checksum(clips / shard["file"]) == shard["sha256"]


def test_the_number_of_workers_changes_no_byte(films, clips, small, tmp_path):
    ingest(films, tmp_path / "out", small, workers=3)
    assert content(tmp_path / "out") == content(clips)


KILLED = """
import os, signal, sys
from dyso.videos import Options, ingest

def say(done, planned, failed):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

options = Options(resolution=(16, 16), clips_per_shard=3)
ingest(sys.argv[1], sys.argv[2], options, workers=1, say=say)
"""


def test_a_killed_job_resumes(films, clips, small, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, films, out]
    killed = subprocess.run(command, timeout=100, check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match="not a finished folder of clips"):
        open_clips(out, "train")
    before = {path: path.stat().st_ino for path in out.glob("clips-*")}
    assert len(before) == 1
    told = []
    ingest(films, out, small, workers=2, say=lambda *counts: told.append(counts))
    assert told[0] == (3, 10, 1)
    assert told[-1] == (10, 10, 3)
    assert all(path.stat().st_ino == inode for path, inode in before.items())
    assert content(out) == content(clips)


def test_a_finished_folder_is_left_as_it_is(films, clips, small, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(clips, out)
    before = {path: path.stat().st_ino for path in out.iterdir()}
    assert ingest(films, out, small) == ingest(films, tmp_path / "anew", small)
    assert {path: path.stat().st_ino for path in out.iterdir()} == before
    with pytest.raises(UserError, match=r"options\.frames: expected 8, got 64"):
        ingest(films, out, dataclasses.replace(small, frames=8))


def test_label_files_decide_the_splits(tmp_path, small):
    root = tmp_path / "ssv2"
    for number in ("1", "22", "333", "4", "9"):
        film(root / "20bn-something-something-v2" / f"{number}.webm", numbered(8))
    (root / "labels").mkdir()

    def entry(number, verb):
        return {
            "id": number,
            "label": f"{verb.lower()} a potato",
            "template": f"{verb} [something]",
            "placeholders": ["a potato"],
        }

    documents = {
        "train": [entry("1", "Moving"), entry("333", "Holding"), entry("5", "Moving")],
        "validation": [entry("22", "Holding")],
        "test": [{"id": "4"}],
        "labels": {"Holding something": "0", "Moving something": "1"},
    }
    for name, document in documents.items():
        path = root / "labels" / f"something-something-v2-{name}.json"
        path.write_text(json.dumps(document))
    found = ingest(root, tmp_path / "out", small, workers=1)
    told = {
        split: [
            (Path(clip.name).stem, clip.label, clip.category, clip.category_id)
            for clip in open_clips(tmp_path / "out", split)
        ]
        for split in found["splits"]
    }
    assert told == {
        "train": [
            ("1", "moving a potato", "Moving something", 1),
            ("333", "holding a potato", "Holding something", 0),
        ],
        "validation": [("22", "holding a potato", "Holding something", 0)],
        "test": [("4", "", "", -1)],
    }
    assert found["ignored"]["in no label file"] == 1
    assert found["ignored"]["in a label file, but missing"] == 1
    # The other release's names, in a folder of their own.
    other = tmp_path / "other"
    other.mkdir()
    for path in (root / "labels").iterdir():
        path.rename(other / path.name.removeprefix("something-something-v2-"))
    told = list_videos(root, small, other).videos
    assert [video.split for video in told] == ["train"] * 2 + ["validation", "test"]
    (other / "train.json").write_text('{"no": "list"}')
    with pytest.raises(UserError, match=r"train\.json: not a label file"):
        list_videos(root, small, other)


def test_names_alone_decide_the_splits_of_other_folders(tmp_path):
    for i in range(400):
        (tmp_path / f"{i}.mp4").touch()
    options = Options(validation=0.2, test=0.1)
    told = {v.name: v.split for v in list_videos(tmp_path, options).videos}
    counts = [list(told.values()).count(s) for s in ("train", "validation", "test")]
    assert sum(counts) == 400
    assert 240 < counts[0] < 320 and 50 < counts[1] < 110 and 20 < counts[2] < 60
    for i in range(200):
        (tmp_path / f"{i}.mp4").unlink()
    fewer = {v.name: v.split for v in list_videos(tmp_path, options).videos}
    assert fewer.items() <= told.items()
    everything = list_videos(tmp_path, Options()).videos
    assert {video.split for video in everything} == {"train"}


def decoder_of(parent):
    """The process id of a decoder that a process has started."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"dyso.videos.worker" in command:
            return int(path.parent.name)
    return None


def answers_around(name, folder, options, timeout):
    """Decodes a film, another, and the film again; returns all but the last answer."""
    film(folder / "a.mp4", numbered(9))
    videos = [Video(name=n, size=1, split="train") for n in ("a.mp4", name, "a.mp4")]
    first, found, last = decode_all(folder, videos, options, 1, timeout=timeout)
    assert first == last and first.reason == ""
    assert decoder_of(os.getpid()) is None
    return found


def test_a_video_that_hangs_the_decoder_affects_no_other(tmp_path, small):
    # Opening it waits for one who writes to it, and there is none.
    os.mkfifo(tmp_path / "hangs.mp4")
    assert answers_around("hangs.mp4", tmp_path, small, timeout=10).reason == "timeout"


def test_a_video_that_crashes_the_decoder_affects_no_other(tmp_path, small):
    path = tmp_path / "crashes.mp4"
    os.mkfifo(path)

    def crash():
        # A writer may open it as soon as the decoder does.
        while True:
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError as error:
                assert error.errno == errno.ENXIO
                time.sleep(0.05)
        os.kill(decoder_of(os.getpid()), signal.SIGSEGV)
        os.close(writer)

    thread = threading.Thread(target=crash, daemon=True)
    thread.start()
    found = answers_around("crashes.mp4", tmp_path, small, timeout=120)
    thread.join(10)
    assert found.reason == "crash"
    assert "SIGSEGV" in found.message


def test_a_pipe_is_ignored(tmp_path, small):
    film(tmp_path / "a.mp4", numbered(9))
    os.mkfifo(tmp_path / "pipe.mp4")
    found = list_videos(tmp_path, small)
    assert [video.name for video in found.videos] == ["a.mp4"]
    assert found.ignored == {"not a regular file": 1}


def test_impossible_jobs_are_refused(tmp_path, films, small):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"nowhere: No such file"):
        ingest(tmp_path / "nowhere", out, small)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="holds no videos"):
        ingest(empty, out, small)
    (empty / "a.mp4").write_bytes(b"none")
    with pytest.raises(UserError, match=r"none of 1 videos .* a\.mp4: not a video"):
        ingest(empty, out, small, workers=1)
    with pytest.raises(UserError, match="workers"):
        ingest(films, out, small, workers=0)
    for wrong in ({"frames": 0}, {"fps": 0.0}, {"min_frames": 65}, {"test": 1.5}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            Options(**wrong)


def test_the_command_summarises_the_clips(tmp_path, films):
    command = [sys.executable, "-c", "from dyso.cli import main; main()", "videos"]
    more = ["--out", tmp_path / "out", "--resolution", "16", "24", "--workers", "1"]
    done = subprocess.run(
        [*command, "ingest", films, *more],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "7 clips (7 train)" in done.stdout
    assert "3 failed: 2 format, 1 short" in done.stdout
    assert "c_none.mp4: not a video of a known format" in done.stdout
    assert open_clips(tmp_path / "out", "train")[0].decode([3]).shape == (1, 16, 24, 3)
