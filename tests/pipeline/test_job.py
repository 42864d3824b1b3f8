"""The real Beam job on this machine, with a renderer that returns at once."""

import dataclasses
import functools
import json
import re
import shutil
import threading

import pytest

import dyso
from dyso import records
from dyso.pipeline import (
    Job,
    is_complete,
    local_flags,
    progress,
    read_state,
    run,
    say_assets,
    scenes,
)
from dyso.pipeline.output_folder import open_output
from dyso.pipeline.shard_report import ShardReport, shown_assets
from dyso.spec import Render, UserError
from dyso.storage import open_folder
from helpers.instant_renderer import InstantRenderer
from helpers.waiting import wait_for


def make(resolved, output, *, workers=2, renderer=InstantRenderer, **options):
    output = open_folder(output)
    job = Job(resolved=resolved, output=output, renderer=renderer, **options)
    return run(job, local_flags(workers))


def contents(output):
    """Returns the records of every shard by its name, in order."""
    shards = json.loads((output / "metadata.json").read_text())["shards"]
    for shard in shards:
        assert records.checksum(output / shard["file"]) == shard["sha256"]
    found = {s["file"]: list(records.read_shard(output / s["file"])) for s in shards}
    assert [len(every) for every in found.values()] == [s["count"] for s in shards]
    return found


def scene_ids(output):
    every = [r for shard in contents(output).values() for r in shard]
    scenes = [records.scene_of(record) for record in every]
    return [(s.split, s.index) for s in scenes]


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "data"
    make(tiny, output, workers=1, scenes_per_shard=4)
    return output


def test_every_scene_is_there_in_order_and_nothing_else_is(whole, tiny):
    assert scene_ids(whole) == [
        *(("train", i) for i in range(7)),
        *(("test", i) for i in range(3)),
    ]
    assert (whole / "COMPLETED").exists()
    assert {path.name for path in whole.iterdir()} == {
        *contents(whole),
        *("COMPLETED", "spec.json", "metadata.json"),
        *("features.json", "dataset_info.json", "croissant.json"),
        *("README.md", "ATTRIBUTION.md"),
    }


def test_attribution_names_what_the_records_show_and_nothing_else(whole, tiny):
    every = [r for shard in contents(whole).values() for r in shard]
    scenes = [records.scene_of(record) for record in every]
    shown = {item.asset_id for scene in scenes for item in scene.objects}
    shown |= {scene.background.asset_id for scene in scenes}
    assert len(shown) < len(tiny.objects.assets)
    rows = re.findall(r"(?m)^\| (\w+_\d+) \|", (whole / "ATTRIBUTION.md").read_text())
    assert len(rows) == len(shown) and set(rows) == shown


def test_attribution_is_the_same_after_a_shard_was_lost(whole, tiny, tmp_path):
    again = tmp_path / "data"
    shutil.copytree(whole, again)
    before = (again / "ATTRIBUTION.md").read_bytes()
    next(again.glob("*test.array_record*")).unlink()
    (again / "ATTRIBUTION.md").unlink()
    make(tiny, again)
    assert (again / "ATTRIBUTION.md").read_bytes() == before


def test_attribution_of_unnoted_records_names_all_that_they_may_show(tiny):
    account = ShardReport(
        spec_hash="", split="train", start=0, stop=1, records=1, bytes=0, sha256="",
        seconds=0, core_seconds=0, failures=(), retries=(),
    )  # fmt: skip
    noted = dataclasses.replace(account, objects=(3, 1), backgrounds=(2,))
    assert set(shown_assets([noted], "objects", 9)) == {1, 3}
    assert set(shown_assets([noted, account], "objects", 9)) == set(range(9))


@pytest.mark.parametrize("options", [{"scenes_per_part": 1}, {"scenes_per_part": 3}])
def test_workers_and_parts_change_no_byte(whole, tiny, tmp_path, options):
    make(tiny, tmp_path / "data", workers=2, scenes_per_shard=4, **options)
    for name in (*contents(whole), "ATTRIBUTION.md"):
        assert (tmp_path / "data" / name).read_bytes() == (whole / name).read_bytes()


def test_shards_change_no_record(whole, tiny, tmp_path):
    make(tiny, tmp_path / "data")
    together = [r for shard in contents(tmp_path / "data").values() for r in shard]
    assert together == [r for shard in contents(whole).values() for r in shard]


def test_a_scene_that_fails_is_sampled_again_and_counted(tiny, tmp_path):
    failing = {("train", 2): range(1), ("train", 4): range(100)}
    renderer = functools.partial(InstantRenderer, failing=failing)
    accounts = make(tiny, tmp_path / "data", renderer=renderer)
    assert accounts["planned"] == 10 and accounts["rendered"] == 9
    assert accounts["failed"] == {"asset": 1} and accounts["resampled"] == 1
    [failure] = accounts["failures"]
    assert (failure["split"], failure["index"]) == ("train", 4)
    assert (failure["asset"], failure["message"]) == ("object_1", "it broke")
    assert ("train", 4) not in scene_ids(tmp_path / "data")
    assert ("train", 2) in scene_ids(tmp_path / "data")


def test_every_failed_attempt_is_kept_and_its_asset_named(tiny, tmp_path):
    failing = {("train", 2): range(1), ("train", 4): range(100)}
    renderer = functools.partial(InstantRenderer, failing=failing)
    accounts = make(tiny, tmp_path / "data", renderer=renderer)
    retried = [(each["split"], each["index"]) for each in accounts["retries"]]
    # One saved scene, and what went before the last attempt at the lost one.
    assert retried == [("train", 2), ("train", 4), ("train", 4)]
    assert accounts["assets"] == {"object_1": {"attempts": 4, "message": "it broke"}}
    assert say_assets(accounts["assets"]) == [
        "asset object_1: broke 4 attempts: it broke"
    ]


@pytest.fixture
def unwatched(monkeypatch):
    """Makes a job with too many failures continue until all of its parts are done."""
    monkeypatch.setattr("dyso.pipeline.job.POLL_SECONDS", 60.0)


def test_more_failures_than_the_spec_allows_end_the_job(
    unwatched, whole, tiny, tmp_path
):
    # 2 of 7 are under 0.3, 3 are not.
    failing = {("train", index): range(100) for index in (0, 3, 6)}
    output = tmp_path / "data"
    renderer = functools.partial(InstantRenderer, failing=failing)
    with pytest.raises(UserError, match=r"of 7 scenes .* 3 \(3 asset\) failed.*0.3"):
        make(tiny, output, renderer=renderer, scenes_per_shard=4, scenes_per_part=1)
    state = read_state(open_folder(output))
    assert state["state"] == "failed" and "3 (3 asset) failed" in state["message"]
    log = tmp_path / "log"
    renderer = functools.partial(InstantRenderer, log=log)
    make(tiny, output, renderer=renderer)
    made_anew = [line.split()[:2] for line in log.read_text().splitlines()]
    assert sorted(made_anew) == [["train", "0"], ["train", "3"], ["train", "6"]]
    assert contents(output) == contents(whole)


def test_a_hopeless_job_ends_before_all_scenes_are_tried(make_resolved, tmp_path):
    resolved = make_resolved(
        splits={"train": 200}, resolution=(8, 8), render=Render(samples=1)
    )
    failing = {("train", index): range(100) for index in range(200)}
    log = tmp_path / "log"
    renderer = functools.partial(
        InstantRenderer, failing=failing, log=log, seconds=0.01
    )
    with pytest.raises(UserError, match=r"max_failed: 0\.05"):
        make(resolved, tmp_path / "data", renderer=renderer, scenes_per_part=2)
    assert len({line.split()[1] for line in log.read_text().splitlines()}) < 150


def test_accounts_are_exact_when_some_scenes_always_fail(make_resolved, tmp_path):
    resolved = make_resolved(
        splits={"train": 150}, resolution=(8, 8), render=Render(samples=1)
    )
    lost = {7, 70, 149}  # 2 %
    failing = {("train", index): range(100) for index in lost}
    renderer = functools.partial(InstantRenderer, failing=failing, reason="error")
    accounts = make(resolved, tmp_path / "data", renderer=renderer)
    assert accounts["rendered"] == 147 and accounts["failed"] == {"error": 3}
    assert {failure["index"] for failure in accounts["failures"]} == lost
    assert len(scene_ids(tmp_path / "data")) == 147


def test_one_crash_of_the_machine_changes_no_record(whole, tiny, tmp_path):
    renderer = functools.partial(
        InstantRenderer,
        failing={("train", 2): range(100), ("test", 0): range(100)},
        reason="crash",
        once=tmp_path,
    )
    accounts = make(tiny, tmp_path / "data", renderer=renderer, scenes_per_shard=4)
    assert len(list(tmp_path.glob("*-*"))) == 2
    assert accounts["failed"] == {}
    assert contents(tmp_path / "data") == contents(whole)


def test_a_split_whose_scenes_all_failed_is_an_error_and_is_remade(
    unwatched, whole, tiny, tmp_path
):
    failing = {("test", index): range(100) for index in range(3)}
    renderer = functools.partial(InstantRenderer, failing=failing)
    told = r"of 3 scenes of split 'test', 3 \(3 asset\) failed.*it broke; fix this"
    with pytest.raises(UserError, match=told):
        make(tiny, tmp_path / "data", renderer=renderer, scenes_per_shard=4)
    assert not (tmp_path / "data" / "COMPLETED").exists()
    log = tmp_path / "log"
    make(tiny, tmp_path / "data", renderer=functools.partial(InstantRenderer, log=log))
    assert {line.split()[0] for line in log.read_text().splitlines()} == {"test"}
    assert contents(tmp_path / "data") == contents(whole)


class FullDisk(InstantRenderer):
    """Fails after some scenes with the error of a full disk."""

    def render(self, scene, watch=None):
        if scene.index == 5:
            raise OSError(28, "No space left on device", "part")
        return super().render(scene)


def test_a_stopped_job_resumes_with_the_finished_parts(whole, tiny, tmp_path):
    output = tmp_path / "data"
    slow = functools.partial(FullDisk, seconds=0.05)
    with pytest.raises(UserError, match="part: No space left on device; fix this"):
        make(tiny, output, renderer=slow, scenes_per_part=1, scenes_per_shard=4)
    kept = {p: p.stat().st_mtime_ns for p in output.glob(".work/*/*.json")}
    assert 0 < len(kept) < 10
    assert not list(output.glob("*.array_record*"))
    log = tmp_path / "log"
    renderer = functools.partial(InstantRenderer, log=log)
    make(tiny, output, renderer=renderer, scenes_per_part=3)
    assert len(log.read_text().splitlines()) == 10 - len(kept)
    assert contents(output) == contents(whole)


def test_a_damaged_part_is_remade(whole, tiny, tmp_path):
    output = tmp_path / "data"
    with pytest.raises(UserError):
        make(tiny, output, renderer=FullDisk, scenes_per_part=1, scenes_per_shard=4)
    truncated, flipped, *_ = sorted(output.glob(".work/*/*.array_record"))
    truncated.write_bytes(truncated.read_bytes()[:-1])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    with pytest.raises(UserError, match="is damaged and was dropped"):
        make(tiny, output)
    make(tiny, output)
    assert contents(output) == contents(whole)


def test_a_complete_dataset_is_left_alone(whole, tiny):
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*")}
    assert is_complete(Job(resolved=tiny, output=open_folder(whole)))
    accounts = make(tiny, whole)
    assert accounts["rendered"] == 10
    assert {p: p.stat().st_mtime_ns for p in whole.rglob("*")} == before


@pytest.mark.parametrize("damage", ["lost", "truncated"])
def test_only_the_damaged_shard_is_remade(whole, tiny, tmp_path, damage):
    output, log = tmp_path / "data", tmp_path / "log"
    shutil.copytree(whole, output)
    victim = output / sorted(contents(whole))[-1]
    split = records.scene_of(next(records.read_shard(victim))).split
    if damage == "truncated":
        victim.write_bytes(victim.read_bytes()[:-1])
    else:
        victim.unlink()
    renderer = functools.partial(InstantRenderer, log=log)
    accounts = make(tiny, output, renderer=renderer)
    made_anew = {line.split()[0] for line in log.read_text().splitlines()}
    assert made_anew == {split} and len(log.read_text().splitlines()) < 10
    assert contents(output) == contents(whole)
    before = json.loads((whole / "metadata.json").read_text())
    timed = ("seconds", "core_seconds", "render_seconds")
    for a, b in zip(accounts["shards"], before["shards"], strict=True):
        assert {k: a[k] for k in a if k not in timed} == {
            k: b[k] for k in b if k not in timed
        }


def test_a_folder_begun_by_another_version_is_refused(tiny, tmp_path, monkeypatch):
    with pytest.raises(UserError):
        make(tiny, tmp_path / "data", renderer=FullDisk)
    monkeypatch.setattr(dyso, "__version__", "99.0.0")
    told = r"begun with dyso .*, whose pixels may differ .* dyso 99.0.0; install"
    with pytest.raises(UserError, match=told):
        make(tiny, tmp_path / "data")


def test_another_specs_data_is_refused_and_kept(whole, make_resolved, tiny):
    other = make_resolved(seed=5, splits={"train": 7}, resolution=(8, 8), assets=41)
    before = sorted(whole.rglob("*"))
    with pytest.raises(UserError) as caught:
        make(other, whole)
    message = str(caught.value)
    assert "\n" not in message
    assert "seed: expected 5, got 0" in message and "another spec" in message
    assert sorted(whole.rglob("*")) == before


def test_a_folder_of_something_else_is_refused(tiny, tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UserError, match="that DySO did not make"):
        make(tiny, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


def test_an_output_that_cannot_be_written_is_a_one_line_error(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written: .*; choose another"):
        make(tiny, tmp_path / "file" / "data")


def test_a_second_job_on_one_output_is_refused(tiny, tmp_path):
    with (
        open_output(tiny, open_folder(tmp_path / "data")),
        pytest.raises(UserError, match="another job is writing here"),
    ):
        make(tiny, tmp_path / "data")


def test_the_shards_of_a_begun_dataset_stay_as_they_are_cut(tiny, tmp_path):
    with pytest.raises(UserError):
        make(tiny, tmp_path / "data", renderer=FullDisk, scenes_per_shard=4)
    with pytest.raises(UserError, match="begun with 4 scenes per shard, got 5"):
        make(tiny, tmp_path / "data", scenes_per_shard=5)


def test_progress_counts_every_scene_as_it_is_done(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "PROGRESS_SECONDS", 0.1)
    seen = []
    renderer = functools.partial(
        InstantRenderer, failing={("train", 0): range(100)}, seconds=0.3
    )
    job = Job(
        resolved=tiny,
        output=open_folder(tmp_path / "data"),
        renderer=renderer,
        scenes_per_part=5,
    )
    run(job, local_flags(1), lambda progress: seen.append(progress.read()))
    done = [counts.done for counts in seen]
    # Steps of single scenes, though a part has five.
    assert len(set(done)) > 4
    assert (seen[-1].rendered, seen[-1].failed) == (9, {"asset": 1})


def test_the_last_report_is_complete_however_slow_counting_is(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(progress, "SHARE", 1e-9)  # no count after the first
    job = Job(
        resolved=tiny, output=open_folder(tmp_path / "data"), renderer=InstantRenderer
    )
    seen = []
    run(job, local_flags(1), lambda report: seen.append(report.read().rendered))
    assert seen[-1] == 10


class Halfway(InstantRenderer):
    """Waits in scene 1 until a file appears."""

    def __init__(self, *, go, **options):
        super().__init__(**options)
        self.go = go

    def render(self, scene, watch):
        def released():
            watch(scene.layout.views // 2)
            return self.go.exists()

        if (scene.split, scene.index) == ("train", 1):
            wait_for(released)
        return super().render(scene)


def test_progress_counts_the_scene_in_the_making(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "PROGRESS_SECONDS", 0.01)
    go = tmp_path / "go"
    job = Job(
        resolved=tiny,
        output=open_folder(tmp_path / "data"),
        renderer=functools.partial(Halfway, go=go),
        scenes_per_part=5,
    )
    seen = []

    def watch(progress):
        seen.append(progress.read())
        if seen[-1].making:
            go.touch()

    run(job, local_flags(1), watch)
    assert {each.worked - each.done for each in seen} == {0.0, 0.5}
    assert seen[-1].worked == seen[-1].done == 10


def test_no_thread_outlives_the_job(tiny, tmp_path):
    with pytest.raises(UserError):
        make(tiny, tmp_path / "data", renderer=FullDisk)
    assert "beam" not in {thread.name for thread in threading.enumerate()}


def test_metadata_accounts_for_every_scene(whole):
    metadata = json.loads((whole / "metadata.json").read_text())
    assert metadata["planned"] == metadata["rendered"] == 10
    assert metadata["failures"] == [] and metadata["failed"] == {}
