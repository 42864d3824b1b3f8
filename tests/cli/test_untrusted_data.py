"""Commands on datasets, servers and videos that were made to do harm."""

import dataclasses
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tensorflow_datasets.proto import tf_example_pb2

from dyso import records
from dyso.reading import Dataset
from dyso.records.images import encode_image
from dyso.records.synthetic import synthetic_views
from dyso.terminal import printable
from helpers.dataset_writer import write_dataset

EVIL = "a\x1b[2J\x1b]0;owned\x07\r\nb\u202e\x9bc"
# Its own peak in kB; what `getrusage` says of a child counts its parent's too.
MEASURED = """
import re, sys
from dyso.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    sys.stderr.write("peak " + re.search("VmHWM:\\s+([0-9]+)", status)[1])
"""
COMMANDS = ("validate", "show", "stats")


def edited(data, **texts):
    """Returns a record with other texts."""
    example = tf_example_pb2.Example.FromString(data)
    for name, text in texts.items():
        key = name.replace("__", "/")
        example.features.feature[key].bytes_list.value[:] = [text.encode()]
    return example.SerializeToString()


def run(*arguments, limit=700):
    """Runs a command; returns its status, what it wrote, and checks its peak of memory.

    Args:
      arguments: of `dyso`.
      limit: MB that it may take at its peak.
    """
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    out, (err, _, peak) = ended.stdout, ended.stderr.rpartition("peak ")
    assert "Traceback" not in err, err
    assert int(peak) / 1000 < limit
    for text in (out, err):
        assert all(line.isprintable() for line in text.split("\n")), repr(text)
    return ended.returncode, out, err


def huge(own):
    """The first scene has as many cameras and poses as a few MB hold."""
    scene = records.scene_of(own[0])
    first = dataclasses.replace(
        scene.objects[0], poses=scene.objects[0].poses[:1] * 20_000
    )
    scene = dataclasses.replace(
        scene, objects=(first,), cameras=scene.cameras[:1] * 20_000
    )
    return [edited(own[0], scene=scene.to_json()), *own[1:]]


@pytest.fixture(scope="module")
def resolved(make_resolved):
    return make_resolved(resolution=(16, 16), splits={"train": 2})


def write(folder, resolved, change=lambda own: own):
    return write_dataset(folder, resolved, synthetic_views, lambda _, own: change(own))


@pytest.fixture(scope="module")
def sound(tmp_path_factory, resolved):
    return write(tmp_path_factory.mktemp("sound") / "data", resolved)


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "data")


def test_a_scene_of_unbounded_size_is_a_one_line_error(tmp_path, resolved) -> None:
    folder = write(tmp_path / "data", resolved, huge)
    status, out, _ = run("validate", folder)
    assert status == 1
    assert "record 0: does not decode: damaged field 'scene': " in out
    assert len(out.splitlines()) == 3
    with pytest.raises(records.RecordError, match=r"record 0: damaged field 'scene'"):
        Dataset(folder)["train"].scene(0)


def test_a_thousand_million_scenes_are_not_listed(copy) -> None:
    path = copy / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"] = [str(2**30)]
    path.write_text(json.dumps(info))
    [shard] = copy.glob("*array_record*")
    said = f"holds 2 records, dataset_info.json says {2**30}"
    status, out, _ = run("validate", copy)
    assert status == 1 and f"{shard.name}: {said}" in out
    assert "2 of 1073741824 scenes" in out
    for command in ("show", "stats", "preview"):
        status, _, err = run(command, copy)
        assert status == 2 and said in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["spec.json", "metadata.json", "dataset_info.json"])
def test_files_beside_the_shards_are_measured_before_they_are_read(copy, name) -> None:
    path = copy / name
    with path.open("r+b") as file:
        file.truncate(20 << 30)  # of holes: it takes no room
    for make in (lambda: None, path.unlink, lambda: os.mkfifo(path)):
        make()
        status, out, err = run(
            "validate" if name[0] != "d" else "show", copy, limit=400
        )
        assert (status, out) == (2, "") and name in err
        assert len(err.splitlines()) == 1


def test_images_larger_than_the_spec_says_are_not_decoded(tmp_path, make_resolved):
    large = make_resolved(resolution=(2048, 2048), splits={"train": 1})
    small = make_resolved(resolution=(16, 16), splits={"train": 1})
    folder = write(tmp_path / "data", small)
    [shard] = folder.glob("*array_record*")
    [data] = records.read_shard(shard)
    image = encode_image(synthetic_color(large))
    example = tf_example_pb2.Example.FromString(data)
    example.features.feature["color"].bytes_list.value[:] = [image] * 25
    records.write_shard(shard, [example.SerializeToString()])
    for command in COMMANDS[:2]:
        status, out, err = run(command, folder)
        assert status == 2 - (command == "validate")
        assert "damaged field 'color': expected size (16, 16)" in out + err


def synthetic_color(resolved):
    return np.zeros((*resolved.spec.resolution, 3), np.uint8)


def test_control_characters_in_data_are_escaped(tmp_path, resolved) -> None:
    def named(own):
        texts = {"objects__asset_id": EVIL, "background__asset_id": EVIL}
        texts |= {"camera_pattern": EVIL, "spec_hash": EVIL, "scene_name": EVIL}
        texts |= {"versions": json.dumps({"dyso": EVIL})}
        return [edited(data, **texts) for data in own]

    folder = write(tmp_path / "a b;c", resolved, named)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata |= {"failed": {EVIL: 3}, "rendered": 2, "core_seconds": 1.0, "bytes": 1}
    metadata |= {"assets": {EVIL: {"attempts": 1, "message": EVIL}}}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    for command in ("status", *COMMANDS[::-1]):
        _, out, err = run(command, folder)
        assert printable(EVIL) in out + err
    assert command == "validate"
    rm, _, rest = out.splitlines()[-1].partition(": ")[2].partition("; then ")
    [shard] = folder.glob("*array_record*")
    assert shlex.split(rm) == ["rm", "--", str(shard)]
    assert shlex.split(rest)[-2:] == ["--out", str(folder)]
    (folder / "COMPLETED").unlink()
    (folder / ".work").mkdir()
    note = {"state": "failed", "planned": 1, "rendered": 0, "failed": {}, "bytes": 0}
    note |= {"core_seconds_a_scene": 0.0, "seconds_left": None, "updated": 1.0}
    note |= {"host": EVIL, "pid": 1, "message": EVIL}
    (folder / ".work" / "progress.json").write_text(json.dumps(note))
    _, out, _ = run("status", folder)
    assert out.count(printable(EVIL)) == 2


def test_texts_of_a_server_are_escaped(tmp_path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(418, "\x1b[2J" + "t" * 1000)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        where = f"http://127.0.0.1:{server.server_port}/manifest.json"
        status, _, err = run("assets", "list", where)
        server.shutdown()
    assert status == 2 and "418 \\x1b[2Jttt" in err and len(err) < 400


def test_errors_and_lines_of_data_are_printed_by_one_function() -> None:
    package = Path(__file__).parents[2] / "dyso"
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bprint\((error|line|str\()", path.read_text("utf-8"))
    }
    assert not found
    for name in ("show", "stats", "status", "validate", "preview"):
        text = (package / "cli" / f"{name}.py").read_text("utf-8")
        assert "print(" not in text


def test_videos_names_are_escaped(tmp_path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "\x1b[31m.mp4").write_bytes(b"no video")
    status, _, err = run(
        "videos", "ingest", tmp_path / "videos", "--out", tmp_path / "clips"
    )
    assert status == 2 and "\\x1b[31m.mp4" in err


JUNK = [
    [],
    {},
    3,
    {"failed": [1]},
    {"failed": {"a": "b"}},
    {"rendered": "x", "core_seconds": []},
    {"planned": 1e400},
    {"state": "running", "planned": 1, "rendered": 1, "failed": {}, "bytes": "1"},
]


@pytest.mark.parametrize("junk", JUNK)
def test_a_damaged_state_file_is_a_one_line_error(copy, junk) -> None:
    from dyso.cli import stats, status
    from dyso.spec import UserError

    (copy / "metadata.json").write_text(json.dumps(junk))
    (copy / ".work").mkdir()
    (copy / ".work" / "progress.json").write_text(json.dumps(junk))
    with pytest.raises(UserError) as error:
        status.main(str(copy))
    assert len(str(error.value).splitlines()) == 1
    try:
        assert stats.main(copy) == 0
    except UserError as error:
        assert len(str(error).splitlines()) == 1


def shown_with(folder, resolved, capsys, **fields) -> str:
    """Returns what `dyso show` prints of records with these fields, both ways."""
    from dyso.cli import show

    write(folder, resolved, lambda own: [edited(data, **fields) for data in own])
    for as_json in (False, True):
        assert show.main(folder, json=as_json) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("versions", ["[1]", "{", "7", '{"a": {"b": 1}}'])
def test_a_record_with_junk_for_versions_is_shown(
    tmp_path, resolved, versions, capsys
) -> None:
    from dyso.cli import validate

    shown_with(tmp_path / "data", resolved, capsys, versions=versions)
    assert validate.main(tmp_path / "data") == 1
    fault = "versions: is not a JSON object of names and versions"
    assert fault in capsys.readouterr().out


@pytest.mark.parametrize("scene", ["{", "[" * 10_000, "7", "{}", '{"objects": [7]}'])
def test_a_record_with_junk_for_its_scene_is_shown(
    tmp_path, resolved, scene, capsys
) -> None:
    printed = shown_with(tmp_path / "data", resolved, capsys, scene=scene)
    assert "caption " not in printed
