"""Random access to scenes by index and by part; errors that name what is wrong."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dyso import records
from dyso.reading import Dataset
from dyso.sampling import sample_scene
from dyso.spec import UserError


def indices(split):
    return [int(scene["index"]) for scene in split]


def test_scenes_are_found_by_index_across_shards(dataset):
    train = dataset["train"]
    assert len(train) == 10 and len(dataset["test"]) == 2
    assert indices(train) == list(range(10))
    assert train[-1]["scene_name"] == "scene_9"
    assert train[np.int64(4)]["index"] == 4
    for index in (10, -11):
        with pytest.raises(IndexError, match=f"no scene {index} in 'train'"):
            train[index]


def test_parts_of_a_split_are_splits(dataset):
    train = dataset["train"]
    assert indices(dataset["train[2:6]"]) == indices(train[2:6]) == [2, 3, 4, 5]
    assert indices(train[2:6][1:3]) == [3, 4]
    assert indices(dataset["train[-2:]"]) == [8, 9]
    assert indices(train[::-4]) == [9, 5, 1]
    assert len(dataset["train[20:30]"]) == 0


def test_only_the_fields_and_views_asked_for_are_read(dataset):
    some = dataset["train"].read(7, fields=["color", "index"], views=[5, 0])
    every = dataset["train"][7]
    assert list(some) == ["color", "index"]
    assert np.array_equal(some["color"], every["color"][[5, 0]])


def test_the_scene_of_a_record_is_the_one_sampled(dataset):
    expected = sample_scene(dataset.resolved, "test", 1)
    assert dataset["test"].scene(1) == expected
    assert records.scene_of(dataset["test"].record(1)) == expected


def test_a_dataset_pickles(dataset):
    part = dataset["train"][3:]
    part[0]
    assert indices(pickle.loads(pickle.dumps(part))) == indices(part)


def test_missing_splits_fields_and_views_are_named(dataset, folder, tmp_path):
    for name in ("validation", "train[1:2", "train[a:]"):
        with pytest.raises(UserError, match="the splits are train, test, and"):
            dataset[name]
    with pytest.raises(UserError, match="no field 'colour'"):
        dataset["train"].read(0, fields=["colour"])
    with pytest.raises(UserError, match="one of 0 to 5, got 6"):
        dataset["train"].read(0, views=[6])
    with pytest.raises(UserError, match="none: does not exist"):
        Dataset(tmp_path / "none")
    with pytest.raises(UserError, match="not a finished dataset"):
        Dataset(tmp_path)
    for content in ("", "[]", "{}", '{"name": "a", "splits": [{"name": 1}]}'):
        (tmp_path / "dataset_info.json").write_text(content)
        with pytest.raises(UserError, match="not a dataset's metadata"):
            Dataset(tmp_path)


def test_damage_is_confined_and_named(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "broken")
    first, second, third = sorted(broken.glob("test-train*"))
    first.write_bytes(first.read_bytes()[:-1000])
    shutil.copy(third, second)
    data = bytearray(third.read_bytes())
    data[len(data) // 4] ^= 1
    third.write_bytes(data)
    train = Dataset(broken)["train"]
    with pytest.raises(records.RecordError, match="00000-of-00003: not a whole shard"):
        train[0]
    with pytest.raises(records.RecordError, match="holds 5 records, dataset_info"):
        train[4]
    damaged = []
    for index in range(5, 10):
        try:
            assert train[index]["index"] == index
        except records.RecordError as error:
            assert f"00002-of-00003: record {index - 5} is damaged" in str(error)
            damaged.append(index)
    assert len(damaged) == 1


def test_a_record_of_something_else_is_named(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    shard = other / records.shard_name("test", "test", 0, 1)
    records.write_shard(shard, [b"", b"nonsense"])
    for index in range(2):
        with pytest.raises(records.RecordError, match=f"record {index}: not a record"):
            Dataset(other)["test"][index]


MANY = """
import os, resource, sys
from dyso.reading import Dataset
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
train = Dataset(sys.argv[1])["train"]
for index in [*range(len(train)), 0, 500]:
    train.read(index, fields=["index"])
print(len(train), len(os.listdir("/proc/self/fd")) < 200, "tensorflow" in sys.modules)
"""


def test_more_shards_than_files_that_may_be_open(folder, tmp_path):
    many = shutil.copytree(folder, tmp_path / "many")
    info = json.loads((many / "dataset_info.json").read_text())
    [train] = [split for split in info["splits"] if split["name"] == "train"]
    train["shardLengths"] = ["1"] * 1100
    (many / "dataset_info.json").write_text(json.dumps(info))
    single = records.shard_name("test", "train", 1, 3)
    for shard in range(1100):
        os.link(many / single, many / records.shard_name("test", "train", shard, 1100))
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(many)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == ["1100", "True", "False"]


def test_metadata_is_written_whole(folder):
    names = {file.name for file in folder.iterdir() if "array_record" not in file.name}
    assert names == {
        "README.md",
        "croissant.json",
        "dataset_info.json",
        "features.json",
        "metadata.json",
        "spec.json",
    }
    assert json.loads((folder / "metadata.json").read_text()) == {"rendered": 12}


def test_how_datasets_and_splits_print(dataset):
    assert repr(dataset).endswith(
        ": test, train 10, test 2 scenes of 6 views, 24 x 32)"
    )
    train = dataset["train"]
    assert repr(train) == "Split(train: 10 scenes of test)"
    assert repr(train[2:6]) == "Split(train[2:6]: 4 scenes of test)"
    assert repr(train[::-1]).startswith("Split(train[9:-1:-1]: 10 scenes")
