"""Manipulated videos: which latents they are decoded with, and the files."""

import os
import struct
import subprocess
import sys
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from dyso.cli import manipulate as command
from dyso.spec import UserError
from dyso.train import checkpoints
from dyso.train.labels import LINE
from dyso.train.manipulation import (
    Video,
    freeze,
    read_frames,
    side_by_side,
    transfer,
)
from dyso.train.predict import Predictor
from dyso.train.step import init_params, init_state
from dyso.visualization.animation import write_mp4

av = pytest.importorskip("av")


def latents(count, size=2):
    """Of which each frame's says the frame."""
    ramp = np.arange(count, dtype=np.float32)[:, None].repeat(size, 1)
    return {"camera": ramp, "dynamics": 100 + ramp}


def film(path, count, rate, brightness=lambda i: 8 * i):
    frames = [np.full((32, 64, 3), brightness(i), np.uint8) for i in range(count)]
    write_mp4(path, frames, Fraction(rate))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return film(folder / "f.mp4", 9, 12), film(folder / "g.mp4", 7, 12, lambda i: 200)


def test_a_frozen_latent_stands_still_and_the_other_moves():
    own = latents(5)
    found = freeze(own, "camera", 3)
    assert found["camera"].shape == (5, 2) and (found["camera"] == 3).all()
    np.testing.assert_array_equal(found["dynamics"], own["dynamics"])
    assert (freeze(own, "dynamics", -1)["dynamics"] == 104).all()
    with pytest.raises(UserError, match="frame 5, but the video has 5"):
        freeze(own, "camera", 5)
    with pytest.raises(UserError, match="no dynamics latent"):
        freeze({"camera": own["camera"]}, "dynamics", 0)


def test_a_transferred_latent_is_the_other_videos():
    own, other = latents(5), {k: 1000 + v for k, v in latents(9).items()}
    found = transfer(own, "camera", other)
    np.testing.assert_array_equal(found["dynamics"], own["dynamics"])
    np.testing.assert_array_equal(found["camera"][:, 0], 1000 + np.arange(0, 9, 2))
    still = transfer(latents(1), "camera", other)
    np.testing.assert_array_equal(still["camera"], other["camera"])
    assert still["dynamics"].shape == (9, 2) and (still["dynamics"] == 100).all()


def test_videos_and_pictures_are_read_alike(videos, tmp_path):
    frames, rate = read_frames(videos[0], (16, 16), 64)
    assert frames.shape == (9, 16, 16, 3) and frames.dtype == np.uint8 and rate == 12
    assert np.abs(frames.mean(axis=(1, 2, 3)) - 8 * np.arange(9)).max() < 3
    assert len(read_frames(videos[0], (16, 16), 4)[0]) == 4
    fast, rate = read_frames(film(tmp_path / "fast.mp4", 20, 24), (16, 16), 64)
    assert len(fast) == 11 and rate == 12
    picture = tmp_path / "still.png"
    Image.fromarray(np.full((20, 40, 3), 77, np.uint8)).save(picture)
    still, _ = read_frames(picture, (16, 16), 64)
    assert still.shape == (1, 16, 16, 3) and (still == 77).all()
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.mp4", "absent.mp4"):
        with pytest.raises(UserError, match=name):
            read_frames(tmp_path / name, (16, 16), 64)


def test_no_file_starts_a_program(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text('#!/bin/sh\ntouch "$(dirname "$0")/ran"\n')
    (tmp_path / "bin" / "gs").chmod(0o755)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    code = (
        "import sys, pathlib; from dyso.train.manipulation import read_frames; "
        "read_frames(pathlib.Path(sys.argv[1]), (16, 16), 4)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, clip],
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not (tmp_path / "bin" / "ran").exists()
    assert "clip.mp4: not a video or picture of a known format" in ended.stderr


def test_a_picture_that_would_fill_the_memory_is_one_line(tmp_path):
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IEND", b""))
    with pytest.raises(UserError, match="cannot be read"):
        read_frames(path, (16, 16), 4)


def test_videos_stand_side_by_side():
    short, long = (np.arange(n, dtype=np.uint8)[:, None, None, None] for n in (2, 4))
    shape = (1, 16, 16, 3)
    found = side_by_side(
        {"short": np.tile(short, shape), "long": np.tile(long, shape)}, height=40
    )
    assert len(found) == 4 and found[0].shape == (LINE + 48, 96, 3)
    assert all(
        frame[:LINE, at : at + 48].max() > 200 for frame in found for at in (0, 48)
    )
    found = [frame[LINE:] for frame in found]
    assert [int(frame[0, 0, 0]) for frame in found] == [0, 0, 1, 1]
    assert [int(frame[0, -1, 0]) for frame in found] == [0, 1, 2, 3]


def test_a_command_writes_a_film(small, videos, tmp_path, capsys):
    own, other = videos
    workdir, out = tmp_path / "run", tmp_path / "films" / "out.mp4"
    checkpoints.begin(workdir, small)
    with checkpoints.manager(workdir) as manager:
        checkpoints.save(manager, init_state(small), {})
    assert command.main(workdir, video=own, out=out, freeze="camera", at=4) == 0
    with av.open(str(out)) as written:
        stream = written.streams.video[0]
        assert (stream.height, stream.width, stream.frames) == (LINE + 256, 3 * 256, 9)
        assert stream.average_rate == 12
        first = next(written.decode(stream)).to_ndarray(format="rgb24")
    assert first[LINE:, :240].mean() < 3  # the original's first frame is black
    command.main(workdir, video=own, out=out, transfer="dynamics", source=other)
    with av.open(str(out)) as written:
        assert written.streams.video[0].width == 4 * 256
    assert first[: LINE - 2, 512:].max() > 150  # the third one's name
    picture = tmp_path / "out.webp"
    command.main(workdir, video=own, out=picture, freeze="dynamics")
    with Image.open(picture) as shown:
        assert shown.format == "WEBP" and shown.height == LINE + 3 * 64
        pixels = np.asarray(shown)[LINE:64, -8 * 64 :: 64].mean(axis=(0, 2))
    np.testing.assert_allclose(pixels, [0, 8, 16, 24, 40, 48, 56, 64], atol=3)
    assert "dynamics of g.mp4, g.mp4; 9 frames" in capsys.readouterr().out

    with pytest.raises(UserError, match="one of --freeze and --transfer"):
        command.main(workdir, video=own, out=out)
    with pytest.raises(UserError, match="go together"):
        command.main(workdir, video=own, out=out, transfer="camera")


def test_own_latents_reconstruct_each_frame(small, videos):
    frames, _ = read_frames(videos[0], (16, 16), 64)
    predictor = Predictor(small, init_params(small))
    seen = Video(predictor, frames)
    scene = predictor.encode(frames[None, [0, 4, 8]])
    expected = predictor.estimate(frames[None], scene)
    for name, own in seen.latents.items():
        np.testing.assert_allclose(own, expected[name][0], atol=1e-5)
    decoded = seen.decode(seen.latents)
    assert decoded.shape == frames.shape and decoded.dtype == np.uint8
    again = seen.decode({name: own[::-1] for name, own in seen.latents.items()})
    np.testing.assert_array_equal(again, decoded[::-1])


def test_posed_models_cannot(changed, videos):
    config = changed({"input_poses": True, "target_poses": "given"}, static=True)
    frames, _ = read_frames(videos[0], (16, 16), 64)
    with pytest.raises(UserError, match="takes poses"):
        Video(Predictor(config, None), frames)
