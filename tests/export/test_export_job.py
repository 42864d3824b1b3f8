"""Exports resume, leave no partial files, and give the same bytes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tensorflow_datasets.proto import tf_example_pb2

from dyso import records
from dyso.export import FORMATS, Export, format_named
from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, UserError
from helpers.dataset_writer import write_dataset
from helpers.waiting import wait_for

# tfds and TensorFlow warn of their own parts.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SHARDED = ("sunds", "tfrecord", "webdataset", "parquet", "coco", "tapvid")


def nothing():
    pass


def tree(folder):
    """Returns the contents of an export's files, without those of the running job."""
    names = (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return {
        name: (folder / name).read_bytes()
        for name in sorted(names)
        if not name.startswith((".scratch/", "journal."))
    }


@pytest.mark.parametrize("name", SHARDED)
def test_a_stopped_export_resumes_to_the_same_bytes(
    name, folder, exported, small_shards, tmp_path
):
    export = Export.of(folder, format=name, out=tmp_path / "out")
    ticks = []

    def stop_in_the_second_shard():
        ticks.append(1)
        if len(ticks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export.run(1, stop_in_the_second_shard)
    whole = tree(exported(name))
    left = tree(export.out)
    assert left.items() < whole.items()
    assert export.done() == 1
    ticks.clear()
    export.run(1, lambda: ticks.append(1))
    assert len(ticks) == 6
    assert tree(export.out) == whole


SCRIPT = """
import sys, time
from pathlib import Path
from dyso.export import Export, job
if __name__ == "__main__":
    job._SHARD_BYTES = 150_000
    folder, name, out = sys.argv[1:]
    Export.of(Path(folder), format=name, out=Path(out)).run(2, lambda: time.sleep(0.2))
"""


def helpers_of(pid):
    """Returns the processes that share its work."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    found = [own for children in lists for own in children.read_text().split()]
    commands = {int(own): Path(f"/proc/{own}/cmdline").read_bytes() for own in found}
    return [
        own for own, command in commands.items() if b"dyso.export.worker" in command
    ]


def alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_processes_die_with_a_killed_export_which_resumes_to_the_same_bytes(
    folder, exported, tmp_path
):
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    command = [sys.executable, script, folder, "webdataset", out]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not (helpers := helpers_of(process.pid)) or not list(out.glob("*.tar")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait(10)
    wait_for(lambda: not any(map(alive, helpers)))
    whole = tree(exported("webdataset"))
    assert 0 < len(tree(out)) < len(whole) and tree(out).items() <= whole.items()
    subprocess.run(command, check=True, timeout=60)
    assert tree(out) == whole


def kill_helpers():
    for helper in helpers_of(os.getpid()):
        os.kill(helper, signal.SIGKILL)


def check_killed(export, tick):
    with pytest.raises(UserError, match=r"ended with SIGKILL; if memory .* --workers"):
        export.run(2, tick)
    assert not (export.out / ".scratch").exists()


def test_a_killed_process_is_a_one_line_error(folder, small_shards, tmp_path):
    check_killed(
        Export.of(folder, format="webdataset", out=tmp_path / "out"), kill_helpers
    )


def test_a_process_killed_while_it_starts_is_a_one_line_error(folder, tmp_path):
    ended = threading.Event()

    def kill():
        while not ended.wait(0.01):
            # Some end while they are looked for.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                kill_helpers()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        check_killed(
            Export.of(folder, format="webdataset", out=tmp_path / "out"), nothing
        )
    finally:
        ended.set()
        killer.join(60)


def test_scenes_and_splits_are_chosen(folder, exported, tmp_path):
    def spans(**options):
        return dict(
            Export.of(folder, format="parquet", out=tmp_path / "out", **options).spans
        )

    assert spans() == {"train": range(5), "validation": range(2)}
    assert spans(split="train", scenes="1:3") == {"train": range(1, 3)}
    assert spans(scenes="3:") == {"train": range(3, 5)}
    assert spans(scenes=":1") == {"train": range(1), "validation": range(1)}
    for scenes in ("3", "a:b", "1:2:3"):
        with pytest.raises(UserError, match="scenes: must be as in 0:100"):
            spans(scenes=scenes)
    with pytest.raises(UserError, match=r"9: contains no scene; .*: train 5, val"):
        spans(scenes="9:")
    with pytest.raises(UserError, match=r"'train\[:2\]'; the splits are train, valid"):
        spans(split="train[:2]")
    with pytest.raises(UserError, match="no format 'zip'; the formats are sunds, "):
        Export.of(folder, format="zip", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_holds_one_export(own, folder, make_resolved, tmp_path):
    out = tmp_path / "out"
    Export.of(folder, format="webdataset", out=out, scenes=":1").run(1, nothing)
    before = tree(out)

    def refused(why, source=folder, **options):
        with pytest.raises(UserError, match=why) as raised:
            Export.of(source, out=out, **options).run(1, nothing)
        assert "\n" not in str(raised.value)
        assert tree(out) == before

    refused("format: expected parquet, got webdataset", format="parquet", scenes=":1")
    refused(
        r"scenes\.train: expected \[0, 5\], got \[0, 1\]; .*another folder$",
        format="webdataset",
    )
    other = make_resolved(splits={"train": 1, "validation": 1}, resolution=(24, 32))
    source = write_dataset(tmp_path / "other", other, synthetic_views)
    refused("dataset: expected test", source, format="webdataset", scenes=":1")
    (out / "journal.jsonl").unlink()
    refused("files that DySO did not make", format="webdataset", scenes=":1")


def test_one_process_at_a_time_exports_to_a_folder(folder, small_shards, tmp_path):
    export = Export.of(folder, format="webdataset", out=tmp_path / "out")

    def another():
        with pytest.raises(UserError, match="another job is writing here"):
            export.run(1, nothing)

    export.run(1, another)


def test_the_attribution_is_copied(folder, own, tmp_path):
    source = write_dataset(tmp_path / "data", own, synthetic_views)
    (source / "ATTRIBUTION.md").write_text("by someone")
    Export.of(source, format="webdataset", out=tmp_path / "out").run(1, nothing)
    assert (tmp_path / "out" / "ATTRIBUTION.md").read_text() == "by someone"
    with (tmp_path / "out" / "journal.jsonl").open() as journal:
        assert json.loads(next(journal))["dataset"] == f"test {own.hash}"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_scene_is_named(own, workers, small_shards, tmp_path):
    def damage(split, scenes):
        if split == "train":
            scenes[3] = scenes[3].replace(b"IHDR", b"IHDX")
        return scenes

    source = write_dataset(tmp_path / "data", own, synthetic_views, damage)
    export = Export.of(source, format="webdataset", out=tmp_path / "out")
    with pytest.raises(records.RecordError, match=r"^scene 3 of train: .*'depth'") as e:
        export.run(workers, nothing)
    assert "\n" not in str(e.value)
    assert not (export.out / "test-train-000002.tar").exists()
    assert not (export.out / ".scratch").exists()


def test_a_record_of_another_spec_is_named(own, make_resolved, tmp_path):
    other = make_resolved(splits={"train": 1}, resolution=(8, 8))
    strange = []

    def swap(split, scenes):
        return [scenes[0], strange[0], *scenes[2:]] if strange else scenes

    write_dataset(
        tmp_path / "other",
        other,
        synthetic_views,
        lambda split, scenes: strange.extend(scenes) or scenes,
    )
    source = write_dataset(tmp_path / "data", own, synthetic_views, swap)
    with pytest.raises(
        UserError, match=r"^scene 1 of train: .*expected . views, got 25"
    ):
        Export.of(source, format="webdataset", out=tmp_path / "out").run(1, nothing)


@pytest.mark.parametrize("name", ["colmap", "nerfstudio", "dynerf", "parquet"])
@pytest.mark.parametrize("field", ["intrinsics", "extrinsics"])
def test_a_value_that_is_not_a_number_is_named(name, field, own, tmp_path):
    def damage(split, scenes):
        example = tf_example_pb2.Example.FromString(scenes[0])
        example.features.feature[field].float_list.value[0] = float("nan")
        return [example.SerializeToString(), *scenes[1:]]

    source = write_dataset(tmp_path / "data", own, synthetic_views, damage)
    export = Export.of(source, format=name, out=tmp_path / "out", scenes=":1")
    with pytest.raises(records.RecordError, match=f"^scene 0 of train: .*'{field}'"):
        export.run(1, nothing)


@pytest.mark.parametrize("name", ["webdataset", "tfrecord", "parquet"])
@pytest.mark.parametrize(
    ("field", "text"),
    [("scene", b"junk"), ("scene", b"[]"), ("scene", b"{}"), ("versions", b"junk")],
)
def test_json_that_is_none_is_named(name, field, text, own, tmp_path):
    def damage(split, scenes):
        example = tf_example_pb2.Example.FromString(scenes[0])
        example.features.feature[field].bytes_list.value[0] = text
        return [example.SerializeToString(), *scenes[1:]]

    source = write_dataset(tmp_path / "data", own, synthetic_views, damage)
    export = Export.of(source, format=name, out=tmp_path / "out", scenes=":1")
    with pytest.raises(records.RecordError, match=f"^scene 0 of train: .*'{field}'"):
        export.run(1, nothing)


@pytest.mark.parametrize(
    ("name", "lost"),
    [("nerfstudio", "train/scene_1/step_000/images"), ("parquet", "data")],
)
def test_parts_that_have_lost_files_are_remade(
    name, lost, folder, small_shards, tmp_path
):
    export = Export.of(folder, format=name, out=tmp_path / "out", split="train")
    export.run(1, nothing)
    whole = tree(export.out)
    files = sorted((export.out / lost).iterdir())
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-1])
    others = export.out / lost / "of_a_user"
    others.write_text("results")
    scenes = {"nerfstudio": 1, "parquet": 3}[name]
    assert export.done() == 5 - scenes
    ticks = []
    export.run(1, lambda: ticks.append(1))
    assert len(ticks) == scenes and others.read_text() == "results"
    others.unlink()
    assert tree(export.out) == whole


def test_a_refusal_names_formats_that_accept(videos, make_resolved, tmp_path):
    """The formats that a refusal names accept the dataset."""
    single = make_resolved(cameras=Cameras(count=1), splits={"train": 1})
    for case, resolved in {"video": videos, "single": single}.items():
        source = write_dataset(tmp_path / case, resolved, synthetic_views)
        refused = set()
        for name in FORMATS:
            try:
                Export.of(source, format=name, out=tmp_path / "out")
            except UserError as error:
                refused.add(name)
                named = str(error).rpartition("that hold this dataset: ")[2].split(", ")
                assert set(named) == {
                    name for name in FORMATS if accepts(name, resolved.spec)
                }
        assert refused >= {"d3dgs", "dynerf"}
        assert ("colmap" in refused) == (case == "single")


def accepts(name, spec):
    try:
        format_named(name).check(spec)
    except UserError:
        return False
    return True
