"""Datasets on a web server and in a bucket, read through the cache."""

import collections
import functools
import http.server
import json
import multiprocessing
import os
import shutil
import signal
import threading
import uuid

import numpy as np
import pytest

from dyso import records
from dyso.reading import Dataset, Source, loader
from dyso.reading.order import WindowedOrder
from dyso.spec import UserError
from dyso.storage import open_folder, retries
from helpers import emulators
from helpers.waiting import wait_for


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, counts them, and waits before a shard while `slow` is set."""

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.server.asked[name] += 1
        if "array_record" in name:
            wait_for(lambda: not self.server.slow, "the server may go on")
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def served(folder, tmp_path):
    """A web server for a copy of the dataset."""
    copy = tmp_path / "served"
    shutil.copytree(folder, copy)
    handler = functools.partial(Handler, directory=str(copy))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.asked, server.slow = collections.Counter(), False
    server.folder = copy
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def cached(folder):
    return {path.name[17:]: path for path in folder.glob("*.array_record-*[0-9]")}


def assert_equal(split, expected):
    for got, wanted in zip(split, expected, strict=True):
        assert got.keys() == wanted.keys()
        assert all(np.array_equal(got[name], wanted[name]) for name in wanted)


def test_a_web_server_gives_the_same_scenes(served, dataset, tmp_path):
    remote = Dataset(served.url, cache_dir=tmp_path / "cache")
    assert remote.resolved.hash == dataset.resolved.hash
    assert not cached(tmp_path / "cache")
    assert_equal(remote["train"], dataset["train"])
    assert_equal(remote["test"][::-1], dataset["test"][::-1])
    # Another opening downloads the metadata alone.
    assert_equal(
        Dataset(served.url, cache_dir=tmp_path / "cache")["test"], dataset["test"]
    )
    shards = {name: n for name, n in served.asked.items() if "array_record" in name}
    assert len(shards) == 4 and set(shards.values()) == {1}


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_gives_the_same_scenes(
    scheme, servers, monkeypatch, folder, dataset, tmp_path
):
    emulators.speak_to(monkeypatch, scheme, servers(scheme))
    location = f"{scheme}://{emulators.BUCKET}/{uuid.uuid4().hex}"
    for path in folder.iterdir():
        open_folder(location).write(path.name, path.read_bytes())
    remote = Dataset(location, cache_dir=tmp_path / "cache")
    assert_equal(remote["train"], dataset["train"])


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_faults_of_a_bucket_are_mended(
    scheme, servers, monkeypatch, folder, dataset, tmp_path
):
    proxy = emulators.Proxy(servers(scheme))
    emulators.speak_to(monkeypatch, scheme, proxy.url)
    location = f"{scheme}://{emulators.BUCKET}/{uuid.uuid4().hex}"
    for path in folder.iterdir():
        open_folder(location).write(path.name, path.read_bytes())

    def reads_shard(request):
        return request.method == "GET" and "array_record" in request.path

    for fault in (emulators.unavailable, emulators.cut_answer, emulators.flip_answer):
        proxy.break_next(fault, 1, reads_shard)
    try:
        remote = Dataset(location, cache_dir=tmp_path / "cache")
        assert_equal(remote["train"], dataset["train"])
        monkeypatch.setattr(retries, "RETRY_SECONDS", 2.0)
        proxy.break_next(emulators.unavailable, 1000, reads_shard)
        with pytest.raises(OSError):
            remote["test"][0]
    finally:
        proxy.close()
    assert len(cached(tmp_path / "cache")) == 3
    assert not list((tmp_path / "cache").glob("dyso-scratch-*"))


def test_the_cache_keeps_its_size_and_what_was_opened_last(served, dataset, tmp_path):
    names = [records.shard_name("test", "train", shard, 3) for shard in range(3)]
    sizes = [(served.folder / name).stat().st_size for name in names]
    size = sizes[0] + sizes[2]
    for index, expected in (
        (0, {names[0]}),
        (4, {names[0], names[1]}),
        (0, {names[0], names[1]}),
        (9, {names[0], names[2]}),
    ):
        # Opened anew, because an open shard is not opened again.
        remote = Dataset(served.url, cache_dir=tmp_path / "cache", cache_size=size)
        scene = remote["train"][index]
        assert np.array_equal(scene["color"], dataset["train"][index]["color"])
        kept = cached(tmp_path / "cache")
        assert set(kept) == expected
        assert sum(path.stat().st_size for path in kept.values()) <= size


def test_an_open_shard_is_read_after_it_was_removed(served, dataset, tmp_path):
    remote = Dataset(served.url, cache_dir=tmp_path / "cache", cache_size=1)
    assert_equal(remote["train"], dataset["train"])
    assert len(cached(tmp_path / "cache")) == 1
    assert_equal(remote["train"], dataset["train"])
    assert max(n for name, n in served.asked.items() if "array_record" in name) == 1


def test_a_damaged_shard_is_refused_and_not_kept(served, tmp_path):
    described = records.read_json(served.folder / "metadata.json")
    shards = sorted(path.name for path in served.folder.glob("*array_record*"))
    described["shards"] = [
        {"file": name, "sha256": records.checksum(served.folder / name)}
        for name in shards
    ]
    (served.folder / "metadata.json").write_text(json.dumps(described))
    with (served.folder / shards[0]).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    split = Dataset(served.url, cache_dir=tmp_path / "cache")["test"]
    with pytest.raises(records.RecordError, match="differs from its checksum"):
        split[0]
    assert not cached(tmp_path / "cache")


def test_a_location_without_a_dataset_is_a_one_line_error(served, tmp_path):
    with pytest.raises(UserError, match="nothing: not a finished dataset") as caught:
        Dataset(f"{served.url}/nothing", cache_dir=tmp_path)
    assert "\n" not in str(caught.value)


def read(url, cache, queue):
    queue.put([int(scene["index"]) for scene in Dataset(url, cache_dir=cache)["train"]])


def start(url, cache):
    # Not fork: other tests of this process may have started JAX's threads.
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=read, args=(url, cache, queue))
    process.start()
    return process, queue


def test_processes_share_the_downloads(served, tmp_path):
    served.slow = True
    readers = [start(served.url, tmp_path / "cache") for _ in range(3)]
    wait_for(lambda: served.asked["spec.json"] == 3, "all have opened the dataset")
    served.slow = False
    for process, queue in readers:
        assert queue.get(timeout=60) == list(range(10))
        process.join(60)
    assert max(n for name, n in served.asked.items() if "array_record" in name) == 1


def test_a_killed_process_leaves_nothing_that_others_read(served, dataset, tmp_path):
    served.slow = True
    process, _ = start(served.url, tmp_path / "cache")
    wait_for(lambda: any("train" in name for name in served.asked), "a download began")
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    served.slow = False
    split = Dataset(served.url, cache_dir=tmp_path / "cache")["train"]
    assert_equal(split, dataset["train"])
    assert not list((tmp_path / "cache").glob("dyso-scratch-*"))


def test_windows_hold_few_shards_and_every_scene_once(dataset):
    split = dataset["train"]  # 3 shards of 4, 1 and 5 scenes
    order = WindowedOrder(split, seed=0, window=2)
    orders = [[order(10 * epoch + i) for i in range(10)] for epoch in range(8)]
    for each in orders:
        assert sorted(each) == list(range(10))
        shards = split.shards_of(np.array(each)).tolist()
        first = next(i for i in range(10) if len(set(shards[: i + 1])) == 3)
        assert len(set(shards[first:])) == 1
    assert len({tuple(each) for each in orders}) == 8
    assert [WindowedOrder(split, 0, 2)(i) for i in range(10)] == orders[0]
    assert len(WindowedOrder(split[4:], 0, 1)) == 6


def test_the_next_window_is_downloaded_while_this_one_is_read(
    served, dataset, tmp_path
):
    local = dataset["train"]
    order = WindowedOrder(local, seed=0, window=1)
    shards = local.shards_of(np.array([order(place) for place in range(10)]))
    second = int(shards[shards != shards[0]][0])
    following = records.shard_name("test", "train", second, 3)
    split = Dataset(served.url, cache_dir=tmp_path / "cache")["train"]
    assert WindowedOrder(split, seed=0, window=1)(0) == order(0)
    # Not its only shard there: checking the type of a split may read any of its scenes.
    wait_for(lambda: following in cached(tmp_path / "cache"), "the next shard is there")


def test_the_loader_reads_windows_and_resumes(served, dataset, tmp_path):
    split = Dataset(served.url, cache_dir=tmp_path / "cache")["train"]
    source = Source(split=split, fields=("color", "index"), views=2)

    def batches():
        return iter(loader(source, batch_size=2, seed=1, epochs=2, window=1))

    whole = list(batches())
    indices = np.concatenate([batch["index"] for batch in whole])
    assert sorted(indices[:10]) == sorted(indices[10:]) == list(range(10))
    changes = np.diff(split.shards_of(indices)) != 0
    assert changes[:9].sum() == changes[10:].sum() == 2
    begun = batches()
    for _ in range(3):
        next(begun)
    state, resumed = begun.get_state(), batches()
    resumed.set_state(state)
    for got, wanted in zip(resumed, whole[3:], strict=True):
        assert all(np.array_equal(got[name], wanted[name]) for name in wanted)
