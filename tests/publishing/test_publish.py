"""`dyso publish`: to a folder, a bucket, and a server that speaks as the Hub does."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from dyso import records
from dyso.cli import publish as command
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import UserError
from helpers import emulators
from helpers.dataset_writer import write_shards
from helpers.hub import hub


@pytest.fixture(scope="module")
def folder(make_resolved, tmp_path_factory):
    """A finished dataset with what jobs and previews leave beside it."""
    path = tmp_path_factory.mktemp("dataset")
    resolved = make_resolved(splits={"train": 6, "test": 2}, resolution=(48, 64))
    write_shards(path, resolved, {"train": (3, 3), "test": (2,)}, synthetic_views)
    (path / ".work").mkdir()
    (path / ".work" / "lock").write_text("")
    (path / "preview" / "scenes").mkdir(parents=True)
    (path / "preview" / "overview.png").write_bytes(b"a picture")
    return path


@pytest.fixture
def server():
    with hub() as running:
        yield running


def published(server, folder, *options, token="secret"):
    """Runs `dyso publish` against the server."""
    command = ["publish", str(folder), "--to", "hf://team/scenes", *options]
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1",
    }
    return subprocess.run(
        [Path(sys.executable).with_name("dyso"), *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def same(one, other):
    return Dataset(one)["train"][4].keys() == Dataset(other)["train"][4].keys() and all(
        np.array_equal(value, Dataset(other)["train"][4][name])
        for name, value in Dataset(one)["train"][4].items()
    )


def test_a_folder_gets_the_dataset_alone(folder, tmp_path, capsys):
    out = tmp_path / "copy"
    assert command.main(folder, to=str(out)) == 0
    assert "all as here" in capsys.readouterr().out
    assert same(folder, out)
    names = {path.name for path in out.iterdir()}
    assert {"README.md", "croissant.json", "metadata.json"} <= names
    assert not names & {".work", "preview", "sample"}
    shard = out / records.shard_name("test", "train", 1, 2)
    shard.write_bytes(b"")
    assert command.main(folder, to=str(out)) == 0
    assert same(folder, out)


def test_another_dataset_is_not_written_over_a_copy(folder, tmp_path):
    out = tmp_path / "copy"
    command.main(folder, to=str(out))
    other = tmp_path / "other"
    other.mkdir()
    (other / "croissant.json").write_text("{}")
    with pytest.raises(UserError, match="published"):
        command.main(other, to=str(out))
    with pytest.raises(UserError, match="no finished dataset or export"):
        command.main(tmp_path, to=str(out))


def test_a_bucket_gets_the_dataset(folder, servers, monkeypatch, tmp_path):
    emulators.speak_to(monkeypatch, "s3", servers("s3"))
    location = f"s3://{emulators.BUCKET}/{uuid.uuid4().hex}"
    assert command.main(folder, to=location) == 0
    remote = Dataset(location, cache_dir=tmp_path)
    assert len(remote["train"]) == 6 and remote["train"][5]["color"].any()


def test_the_hub_gets_the_dataset_with_a_sample(server, folder, tmp_path):
    done = published(server, folder, "--sample", "2")
    assert done.returncode == 0, done.stderr
    assert 'datasets.load_dataset("team/scenes", "sample")' in done.stdout
    assert server.commits[-1][-1] == "README.md"
    copy = tmp_path / "copy"
    for name, data in server.files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(data)
    assert same(folder, copy)
    assert (copy / "overview.png").read_bytes() == b"a picture"
    # What the Hub's viewer reads.
    code = (
        "import datasets, sys; rows = datasets.load_dataset(sys.argv[1], 'sample', "
        "cache_dir=sys.argv[2]); print({k: v.num_rows for k, v in rows.items()})"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(copy), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert found.stdout.strip() == "{'train': 50}"  # a row for each view
    before = len(server.commits)
    assert published(server, folder, "--sample", "2").returncode == 0
    assert len(server.commits) == before


def test_a_stopped_upload_resumes(server, folder):
    server.fail_commit = 1
    stopped = published(server, folder, "--sample", "0")
    assert stopped.returncode == 2 and "run the same command" in stopped.stderr
    assert server.uploads and not server.files
    assert published(server, folder, "--sample", "0").returncode == 0
    assert set(server.uploads.values()) == {1}
    assert not any(name.startswith("sample") for name in server.files)


def test_a_file_that_arrives_damaged_is_an_error(server, folder):
    server.corrupt = records.shard_name("test", "train", 0, 2)
    done = published(server, folder, "--sample", "0")
    assert done.returncode == 2 and f"{server.corrupt} differs" in done.stderr


def test_what_the_hub_refuses_is_one_line(server, folder):
    done = published(server, folder, "--sample", "0", token="wrong")
    assert done.returncode == 2 and "hf auth login" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("hf://team/scenes: Invalid credentials; log in"), last


def test_a_dry_run_publishes_nothing(server, folder):
    done = published(server, folder, "--dry-run")
    assert done.returncode == 0 and "sample/" in done.stdout
    assert "nothing was published" in done.stdout and not server.commits
