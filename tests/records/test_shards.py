"""Shards hold what was written, or say what is wrong with them."""

import hashlib

import pytest

from dyso import records

RECORDS = [bytes([i]) * 50_000 for i in range(5)]


def test_a_shard_gives_back_its_records_in_order(tmp_path):
    path = tmp_path / records.shard_name("demo", "train", 2, 12)
    assert path.name == "demo-train.array_record-00002-of-00012"
    info = records.write_shard(path, iter(RECORDS))
    assert list(records.read_shard(path)) == RECORDS
    assert info.count == 5
    assert info.bytes == path.stat().st_size
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.sha256 == records.checksum(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_same_records_make_the_same_file(tmp_path):
    infos = [records.write_shard(tmp_path / name, RECORDS) for name in "ab"]
    assert infos[0] == infos[1]


def test_a_shard_may_be_empty(tmp_path):
    assert records.write_shard(tmp_path / "a", []).count == 0
    assert list(records.read_shard(tmp_path / "a")) == []


def test_a_failure_keeps_the_previous_file(tmp_path):
    def failing():
        yield RECORDS[0]
        raise ZeroDivisionError

    records.write_shard(tmp_path / "a", RECORDS)
    with pytest.raises(ZeroDivisionError):
        records.write_shard(tmp_path / "a", failing())
    assert list(records.read_shard(tmp_path / "a")) == RECORDS
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="cannot be written"):
        records.write_shard(tmp_path / "none" / "a", RECORDS)


def test_damage_names_the_shard_and_the_record(tmp_path):
    path = tmp_path / "a"
    records.write_shard(
        path, [hashlib.shake_256(r[:1]).digest(50_000) for r in RECORDS]
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    reader = records.ShardReader(path)
    fine, damaged = 0, 0
    for position in range(5):
        try:
            fine += len(reader[position]) == 50_000
        except records.RecordError as error:
            assert f"{path}: record {position} is damaged: " in str(error)
            damaged += 1
    assert (fine, damaged) == (4, 1)
    with pytest.raises(IndexError, match="no record 5 of 5"):
        reader[5]


@pytest.mark.parametrize("keep", [0, 1000, 100_000])
def test_a_truncated_shard_is_refused(tmp_path, keep):
    path = tmp_path / "a"
    records.write_shard(path, RECORDS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(records.RecordError, match=f"{path}: not a whole shard"):
        records.ShardReader(path)


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(records.RecordError, match="No such file"):
        records.ShardReader(tmp_path / "none")
