"""Damage of a finished dataset is found, named, and repaired by the advice."""

import json
import re
import shlex
import subprocess

import pytest

from dyso import records
from helpers.commands import SPEC, dyso
from helpers.job_processes import files, shards


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    path.write_text(SPEC.replace("train: 5", "train: 10"))
    return path


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    record = next(records.read_shard(path))
    data[data.index(record[-100:])] ^= 1
    path.write_bytes(data)


def swap(path):
    records.write_shard(path, list(records.read_shard(path))[::-1])


def validated(spec, folder):
    """Returns the problems by file, after running the printed commands literally.

    The command that one is told takes the spec's place holder for the spec.
    """
    status, out, err = dyso("validate", folder)
    assert (status, err) == (1, "")
    *problems, _, advice = out.splitlines()
    named = {}
    for line in problems:
        file, what = re.fullmatch(r"(\S+\.array_record-\S+): (.*)", line).groups()
        named.setdefault(file, []).append(what)
    told = re.fullmatch(
        r"to remake only .*: (?:(rm .*); then )?run the command that made the "
        r"dataset, such as: dyso (generate SPEC --out \S+)",
        advice,
    )
    if told[1]:
        subprocess.run(shlex.split(told[1]), check=True)
    status, out, err = dyso(*told[2].replace("SPEC", str(spec)).split())
    assert status == 0, err
    return named


@pytest.mark.slow
def test_damage_is_named_and_the_printed_commands_repair_it(spec, tmp_path):
    data, whole = tmp_path / "data", tmp_path / "whole"
    status, _, err = dyso("generate", spec, "--out", data, "--scenes-per-shard", 2)
    assert status == 0, err
    assert dyso("validate", data)[0] == 0
    data.rename(whole)
    subprocess.run(["cp", "-r", whole, data], check=True)
    first, second, third, fourth, fifth = sorted(
        path.name for path in data.glob("*-train.array_record-*")
    )
    [kept] = data.glob("*-test.array_record-*")
    before = kept.stat().st_mtime_ns

    truncate(data / first)
    flip(data / second)
    (data / third).unlink()
    swap(data / fourth)
    # By somebody who took care that the checksum fits.
    swap(data / fifth)
    metadata = json.loads((data / "metadata.json").read_text())
    [entry] = [each for each in metadata["shards"] if each["file"] == fifth]
    entry["sha256"] = records.checksum(data / fifth)
    (data / "metadata.json").write_text(json.dumps(metadata))

    named = validated(spec, data)
    assert set(named) == {first, second, third, fourth, fifth}
    assert "metadata.json says" in named[first][0]
    assert "not a whole shard" in named[first][1]
    assert "its checksum is not the one in metadata.json" in named[second]
    assert any("is damaged" in what for what in named[second])
    assert "is missing: No such file or directory" in named[third]
    assert "its checksum is not the one in metadata.json" in named[fourth]
    assert any("out of order" in what for what in named[fourth])
    assert all("out of order" in what for what in named[fifth])
    assert shards(data) == shards(whole)
    assert files(data) == files(whole)
    assert dyso("validate", data)[0] == 0
    # What was sound was neither rendered nor written again.
    assert kept.stat().st_mtime_ns == before
