"""An untrusted output folder cannot redirect writes or mislead a job."""

import json
import shutil

import pytest

from dyso import records
from dyso.pipeline import Job, local_flags, run, scenes
from dyso.pipeline.output_layout import WORK_FOLDER
from dyso.spec import UserError
from dyso.storage import open_folder
from helpers.instant_renderer import InstantRenderer

PER_SHARD = 4


def make(resolved, output, renderer=InstantRenderer, **options):
    output = open_folder(output)
    job = Job(resolved=resolved, output=output, renderer=renderer, **options)
    return run(job, local_flags(1))


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.array_record-*")}


def everything(folder):
    """Returns what is in a folder, and when it was changed."""
    return {path: path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "data"
    make(tiny, folder, scenes_per_shard=PER_SHARD)
    return folder


@pytest.fixture
def data(whole, tmp_path):
    """A dataset that has lost a shard."""
    shutil.copytree(whole, tmp_path / "data")
    sorted((tmp_path / "data").glob("*.array_record-*"))[-1].unlink()
    return tmp_path / "data"


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "settings-00000-of-00002.json").write_text("{}")
    (folder / "train-00000-of-00002.json").write_text("{}")
    (folder / "lock").write_text("mine")
    return folder


def rewrite(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "change",
    [
        {"split": "../../elsewhere/settings"},
        {"file": "x.array_record-/../../../elsewhere/train-00000-of-00002"},
        {"start": 1},
        {"start": -3, "stop": 1},
    ],
)
def test_names_in_metadata_are_the_plans_or_nothing(
    whole, data, elsewhere, tiny, change
):
    before = everything(elsewhere)
    rewrite(data / "metadata.json", lambda value: value["shards"][0].update(change))
    make(tiny, data)
    assert everything(elsewhere) == before
    assert {path.name for path in data.parent.iterdir()} == {"data", "elsewhere"}
    assert shards(data) == shards(whole)
    assert {path.name for path in data.iterdir()} == {p.name for p in whole.iterdir()}


def test_a_complete_dataset_names_all_of_its_shards_and_no_others(whole, data, tiny):
    """Otherwise, a dataset could hide that shards are missing."""

    def keep(value):
        value["shards"] = [e for e in value["shards"] if (data / e["file"]).exists()]

    rewrite(data / "metadata.json", keep)
    make(tiny, data)
    assert shards(data) == shards(whole)


@pytest.mark.parametrize(
    "link",
    [
        WORK_FOLDER,
        ".scratch",
        f"{WORK_FOLDER}/train-00001-of-00002",
        f"{WORK_FOLDER}/lock",
    ],
)
def test_links_in_a_dataset_cannot_redirect_writes(data, elsewhere, tiny, link):
    before = everything(elsewhere)
    (data / WORK_FOLDER).mkdir(exist_ok=True)
    if link == WORK_FOLDER:
        (data / WORK_FOLDER).rmdir()
    target = elsewhere / "lock" if link.endswith("lock") else elsewhere
    (data / link).symlink_to(target)
    with pytest.raises(UserError) as caught:
        make(tiny, data)
    told = str(caught.value)
    assert "symbolic link" in told and str(data / link) in told and "\n" not in told
    assert everything(elsewhere) == before
    assert (elsewhere / "lock").read_text() == "mine"


def test_the_dataset_itself_may_be_a_link(whole, data, tiny, tmp_path):
    (tmp_path / "link").symlink_to(data)
    make(tiny, tmp_path / "link")
    assert shards(data) == shards(whole)


@pytest.mark.parametrize(
    "text",
    ["", "junk", "[]", "null", "[" * 100_000, "{}", '{"spec_hash": "x"}']
    + [
        json.dumps({"spec_hash": "", "versions": {}, "scenes_per_shard": per_shard})
        for per_shard in (0, -1, 1.5, "4", None)
    ]
    + ['{"spec_hash": "", "versions": {"dyso": 1}, "scenes_per_shard": 4}'],
)
def test_a_damaged_layout_is_a_one_line_error(data, tiny, text):
    """The error's advice repairs it."""
    (data / "metadata.json").unlink()
    (data / "COMPLETED").unlink()
    (data / WORK_FOLDER).mkdir()
    (data / WORK_FOLDER / "layout.json").write_text(text)
    with pytest.raises(UserError) as caught:
        make(tiny, data)
    told = str(caught.value)
    assert told.startswith(f"{data}/.work/layout.json: is damaged; remove it")
    assert "\n" not in told


@pytest.mark.parametrize("text", ["", "junk", "[]", '{"shards": 3}', "[" * 100_000])
def test_damaged_metadata_makes_the_job_remake_every_shard(whole, data, tiny, text):
    (data / "metadata.json").write_text(text)
    make(tiny, data, scenes_per_shard=PER_SHARD)
    assert shards(data) == shards(whole)


class Stops(InstantRenderer):
    """Fails at the last scene with the error of a full disk."""

    def render(self, scene, watch=None):
        if (scene.split, scene.index) == ("test", 2):
            raise OSError(28, "No space left on device", "part")
        return super().render(scene)


def begin(resolved, output):
    with pytest.raises(UserError, match="No space left"):
        make(resolved, output, Stops, scenes_per_shard=PER_SHARD, scenes_per_part=1)


def test_an_unfinished_dataset_without_its_work_folder_is_remade(whole, tiny, tmp_path):
    begin(tiny, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / WORK_FOLDER)
    make(tiny, tmp_path / "data", scenes_per_shard=PER_SHARD)
    assert shards(tmp_path / "data") == shards(whole)


def test_shards_of_another_division_are_reported_without_the_work_folder(data, tiny):
    for name in ("metadata.json", "COMPLETED"):
        (data / name).unlink()
    with pytest.raises(
        UserError, match=r"\.work was removed, and test-train.*another number"
    ):
        make(tiny, data)
    make(tiny, data, scenes_per_shard=PER_SHARD)


class RemovesNotes(InstantRenderer):
    """Removes the job's work folder while a scene is rendered."""

    def __init__(self, *, output, **options):
        super().__init__(**options)
        self.output = output

    def render(self, scene, watch=None):
        if (scene.split, scene.index) == ("train", 5):
            shutil.rmtree(self.output / WORK_FOLDER, ignore_errors=True)
        return super().render(scene)


def test_a_work_folder_removed_while_a_job_runs_is_reported_and_remade(
    whole, tiny, tmp_path
):
    output = tmp_path / "data"
    options = {"scenes_per_shard": PER_SHARD, "scenes_per_part": 1}

    def renderer(cpu=None):
        return RemovesNotes(output=output)

    with pytest.raises(UserError) as caught:
        make(tiny, output, renderer, **options)
    told = str(caught.value)
    assert "\n" not in told and "run the same command" in told
    make(tiny, output, **options)
    assert shards(output) == shards(whole)


def test_progress_that_cannot_be_noted_or_read_decides_nothing(
    whole, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(scenes, "PROGRESS_SECONDS", 0.0)
    output = tmp_path / "data"
    begin(tiny, output)
    notes = output / WORK_FOLDER
    # Folders where files are to be: nothing can be written there.
    (notes / "progress.json").unlink(missing_ok=True)
    (notes / "progress.json" / "x").mkdir(parents=True)
    [shard, *_] = sorted(path for path in notes.iterdir() if path.name[:4] == "test")
    part = next(
        f"{i:09}-{i + 1:09}"
        for i in range(3)
        if not (shard / f"{i:09}-{i + 1:09}.json").exists()
    )
    (shard / f"{part}.progress" / "x").mkdir(parents=True)
    (shard / "000000000-000000001.progress").write_text("junk")

    def watch(progress):
        progress.read()
        raise OSError("the terminal is gone")

    job = Job(
        resolved=tiny,
        output=open_folder(output),
        renderer=InstantRenderer,
        scenes_per_part=1,
    )
    run(job, local_flags(1), watch)
    assert shards(output) == shards(whole)
    assert records.read_splits(output)
