"""Clip records, and random access to clips."""

import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from dyso.records import RecordError
from dyso.records.clips import Clip, decode_clip, encode_clip, encode_frame
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics, UserError
from dyso.videos import ClipFolder, open_clips
from helpers.dataset_writer import write_dataset
from helpers.video_files import numbers_of


def clip_of(frames, **fields):
    images = [encode_frame(Image.fromarray(frame)) for frame in frames]
    told = {"name": "a.mp4", "label": "", "category": "", "category_id": -1}
    times = tuple(np.arange(len(frames)) / 8)
    return Clip(**(told | fields), times=times, images=tuple(images))


def test_a_clip_comes_back_from_its_record():
    frames = np.full((3, 16, 24, 3), [[[[10]]], [[[100]]], [[[200]]]], np.uint8)
    clip = clip_of(frames, label="holding é", category_id=7)
    found = decode_clip(encode_clip(clip))
    assert found == clip
    assert found.fps == 8
    assert np.abs(found.decode().astype(int) - frames).max() <= 2
    assert np.array_equal(found.decode([2, 0]), found.decode()[[2, 0]])


def test_a_name_that_is_not_utf8_can_be_written():
    clip = clip_of(np.zeros((1, 8, 8, 3), np.uint8), name="a\udcff.mp4")
    assert decode_clip(encode_clip(clip)).name == "a\\udcff.mp4"


def test_damage_is_reported():
    record = encode_clip(clip_of(np.zeros((2, 8, 8, 3), np.uint8)))
    for data in (b"", b"nonsense", record[: len(record) // 2]):
        with pytest.raises(RecordError, match="not a clip"):
            decode_clip(data)
    cut = decode_clip(record.replace(b"\xff\xd8\xff", b"\x00\x00\x00"))
    with pytest.raises(RecordError, match="not a frame"):
        cut.decode([1])


def test_clips_are_found_by_index_and_survive_pickling(clips):
    split = open_clips(clips, "train")
    assert split.resolution == (16, 16)
    assert (len(split), split.fewest_frames) == (7, 10)
    assert split[-1] == split[6]
    assert pickle.loads(pickle.dumps(split))[3] == split[3]
    with pytest.raises(IndexError):
        split[7]


def test_folders_without_clips_are_refused(clips, tmp_path):
    with pytest.raises(UserError, match="not a finished folder of clips"):
        open_clips(tmp_path, "train")
    with pytest.raises(UserError, match="no split 'test'; the splits are train"):
        open_clips(clips, "test")
    folder = tmp_path / "clips"
    shutil.copytree(clips, folder)
    document = json.loads((folder / "metadata.json").read_text())
    document["splits"]["train"][0]["count"] += 1
    (folder / "metadata.json").write_text(json.dumps(document))
    with pytest.raises(RecordError, match="holds 2 records"):
        open_clips(folder, "train")[0]
    document["splits"]["train"] = "none"
    (folder / "metadata.json").write_text(json.dumps(document))
    with pytest.raises(RecordError, match="is not metadata of clips"):
        ClipFolder(folder)


def test_a_dataset_of_one_camera_is_clips(make_resolved, tmp_path):
    resolved = make_resolved(
        splits={"train": 2},
        resolution=(16, 16),
        dynamics=Dynamics(steps=8),
        cameras=Cameras(count=1),
    )
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    found = open_clips(data, "train")
    assert found.resolution == (16, 16)
    assert (len(found), found.fewest_frames, len(found[0])) == (2, 8, 8)
    whole = found[1].decode()
    assert whole.shape == (8, 16, 16, 3)
    assert np.array_equal(found[1].decode([5, 2]), whole[[5, 2]])


def test_a_dataset_of_several_cameras_is_refused(make_resolved, tmp_path):
    resolved = make_resolved(splits={"train": 1}, resolution=(16, 16))
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    with pytest.raises(UserError, match="expected one view per dynamics step, got 25"):
        open_clips(data, "train")


def test_frames_are_those_of_the_video(clips):
    assert numbers_of(open_clips(clips, "train")[4].decode([9, 0, 13])) == [9, 0, 13]
