"""Decoding of video files: which frames, how they are cropped, what is refused."""

import numpy as np
import pytest

from dyso.videos import Options
from dyso.videos.decoding import MAX_SIDE, VideoError, read_frames
from helpers.video_files import film, numbered, numbers_of

SMALL = Options(resolution=(16, 16))


def frames_of(path, options=SMALL):
    found = read_frames(path, options)
    return [time for time, _ in found], [np.asarray(image) for _, image in found]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vp9.webm", {}),
        ("vp8.mkv", {}),
        ("h264.mp4", {}),
        ("reordered.mov", {"preset": "medium", "bf": "3"}),
        ("mpeg4.avi", {}),
        ("h264.avi", {"codec": "libx264", "preset": "medium", "bf": "3"}),
    ],
)
def test_every_kind_of_file_gives_its_frames_in_order(tmp_path, name, options):
    path = film(tmp_path / name, numbered(20), **options)
    times, images = frames_of(path)
    assert numbers_of(images) == list(range(20))
    assert times == pytest.approx(np.arange(20) / 12, abs=1e-3)


@pytest.mark.parametrize("rate", [24, 25, 30])
def test_faster_videos_give_the_frames_nearest_to_even_steps(tmp_path, rate):
    path = film(tmp_path / "a.mp4", numbered(60), rate)
    times, images = frames_of(path)
    # But for the last: what would be nearest comes no more.
    wanted = np.arange(len(times) - 1) / 12
    assert np.abs(np.array(times[:-1]) - wanted).max() <= 0.5 / rate + 1e-6
    assert len(times) == round(59 / rate * 12) + 1
    assert numbers_of(images) == np.round(np.array(times) * rate).tolist()


def test_slower_videos_give_every_frame_once(tmp_path):
    times, images = frames_of(film(tmp_path / "a.webm", numbered(20), 5))
    assert numbers_of(images) == list(range(20))
    assert times == pytest.approx(np.arange(20) / 5, abs=1e-3)


@pytest.mark.parametrize("frames", [64, 10, 1])
def test_long_videos_give_frames_spread_over_all_of_them(tmp_path, frames):
    path = film(tmp_path / "a.mp4", numbered(100))
    options = Options(resolution=(16, 16), frames=frames, min_frames=1)
    times, images = frames_of(path, options)
    numbers = numbers_of(images)
    assert len(numbers) == frames and numbers[0] == 0
    assert times == pytest.approx(np.array(numbers) / 12, abs=1e-3)
    if frames > 1:
        apart = np.diff(numbers)
        assert apart.max() <= 2 * apart.min() and numbers[-1] > 100 - apart.max()


def test_long_videos_give_their_first_frames_where_asked(tmp_path):
    path = film(tmp_path / "a.mp4", numbered(100))
    first = Options(resolution=(16, 16), frames=10, sample="first")
    assert numbers_of(frames_of(path, first)[1]) == list(range(10))


def ramp(height, width):
    """Red grows with x and green with y."""
    y, x = np.mgrid[:height, :width]
    blue = np.zeros((height, width))
    image = np.stack([255 * x / width, 255 * y / height, blue], axis=-1)
    return image.astype(np.uint8)


def spans(image):
    """Returns the ranges of red and green, as shares of the whole."""
    red, green = (image[..., channel].astype(float) / 255 for channel in (0, 1))
    return [red[:, 0].mean(), red[:, -1].mean(), green[0].mean(), green[-1].mean()]


@pytest.mark.parametrize(
    ("size", "resolution", "aspect", "expected"),
    [
        ((96, 96), (24, 24), None, [0, 1, 0, 1]),
        ((96, 192), (24, 24), None, [0.25, 0.75, 0, 1]),
        ((192, 96), (24, 24), None, [0, 1, 0.25, 0.75]),
        ((96, 96), (24, 48), None, [0, 1, 0.25, 0.75]),
        # Pixels twice as wide as high: half as many across are the middle's.
        ((96, 96), (24, 24), "2", [0.25, 0.75, 0, 1]),
        # Enlarged, as Something-Something's are.
        ((32, 32), (64, 64), None, [0, 1, 0, 1]),
    ],
)
def test_videos_are_cropped_about_their_centre(
    tmp_path, size, resolution, aspect, expected
):
    path = film(tmp_path / "a.mp4", [ramp(*size)] * 8, aspect=aspect)
    _, images = frames_of(path, Options(resolution=resolution))
    assert images[0].shape == (*resolution, 3)
    assert spans(images[0]) == pytest.approx(expected, abs=0.05)


def test_videos_of_a_camera_on_its_side_are_turned_upright(tmp_path):
    path = film(tmp_path / "a.mp4", [ramp(64, 64)] * 8)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    # As phones write it: the frame's left to the top of the picture, turned right.
    turned = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30], ">i4")
    data[matrix : matrix + 36] = turned.tobytes()
    path.write_bytes(data)
    image = frames_of(path)[1][0].astype(float)
    # Red grew to the right and now grows downwards; green, downwards, and to the left.
    assert image[-1, :, 0].mean() - image[0, :, 0].mean() > 200
    assert image[:, 0, 1].mean() - image[:, -1, 1].mean() > 200


def test_shrinking_does_not_alias(tmp_path):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    _, images = frames_of(film(tmp_path / "a.mp4", [stripes] * 8))
    assert np.ptp(images[0][2:-2, 2:-2].astype(float)) < 10


def damage(path, start, data):
    found = bytearray(path.read_bytes())
    found[start : start + len(data)] = data
    path.write_bytes(found)


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def busy(count):
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (count, 64, 64, 3), np.uint8))


def refusal(path, options=SMALL):
    with pytest.raises(VideoError) as caught:
        read_frames(path, options)
    return caught.value.reason


@pytest.mark.parametrize("name", ["a.webm", "a.mkv", "a.mp4", "a.avi"])
def test_truncated_videos_are_refused(tmp_path, name):
    path = film(tmp_path / name, busy(36))
    cut(path, 0.5)
    # What an mp4 needs to be read at all stands at its end.
    assert refusal(path) in ("truncated", "damaged", "format")


def test_a_truncated_video_whose_clip_is_whole_is_taken(tmp_path):
    path = film(tmp_path / "a.webm", busy(40))
    cut(path, 0.5)
    options = Options(resolution=(16, 16), frames=10, sample="first")
    assert len(read_frames(path, options)) == 10


@pytest.mark.parametrize("name", ["a.webm", "a.mp4", "a.avi"])
def test_damaged_videos_are_refused(tmp_path, name):
    path = film(tmp_path / name, busy(36))
    size = path.stat().st_size
    damage(path, size // 2, bytes(size // 4))
    assert refusal(path) in ("damaged", "truncated")


def test_files_that_are_not_videos_are_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"")
    assert refusal(path) == "format"
    path.write_bytes(b"no video at all " * 100)
    assert refusal(path) == "format"
    path.unlink()
    assert refusal(path) == "unreadable"


def test_a_list_of_other_files_is_not_followed(tmp_path):
    secret = film(tmp_path / "secret.mp4", numbered(10))
    path = tmp_path / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile {secret.name}\n")
    assert refusal(path) == "format"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n")
    assert refusal(path) == "format"


def test_a_name_is_never_an_address(tmp_path):
    path = film(tmp_path / "concat:a|b.mp4", numbered(10))
    assert len(read_frames(path, SMALL)) == 10


def test_short_small_and_huge_videos_are_refused(tmp_path):
    assert refusal(film(tmp_path / "short.mp4", numbered(6))) == "short"
    assert (
        refusal(film(tmp_path / "small.mp4", [np.zeros((8, 64, 3), np.uint8)] * 8))
        == "size"
    )
    wide = [np.zeros((16, MAX_SIDE + 16, 3), np.uint8)]
    assert refusal(film(tmp_path / "wide.mp4", wide)) == "size"
