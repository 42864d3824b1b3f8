"""The job with its output in a bucket, on real emulators."""

import functools
import itertools
import uuid

import pytest

from dyso.cli import status
from dyso.pipeline import Job, is_complete, local_flags, run
from dyso.pipeline.output_folder import open_output
from dyso.spec import UserError
from dyso.storage import open_folder, service
from helpers import emulators
from helpers.instant_renderer import InstantRenderer


def make(resolved, output, renderer=InstantRenderer, **options):
    options = {"scenes_per_shard": 4, "scenes_per_part": 2} | options
    job = Job(resolved=resolved, output=output, renderer=renderer, **options)
    return run(job, local_flags(2))


def shards(output):
    return {
        name: output.read(name) for name in output.sizes() if ".array_record-" in name
    }


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    output = open_folder(tmp_path_factory.mktemp("whole") / "data")
    make(tiny, output)
    return output


@pytest.fixture(params=["s3", "gs"])
def bucket(request, servers, monkeypatch):
    emulators.speak_to(monkeypatch, request.param, servers(request.param))
    return open_folder(f"{request.param}://{emulators.BUCKET}/{uuid.uuid4().hex}/data")


class FullDisk(InstantRenderer):
    def render(self, scene, watch=None):
        if scene.index == 5:
            raise OSError(28, "No space left on device", "part")
        return super().render(scene)


def test_a_bucket_gets_the_bytes_that_a_disk_gets(tiny, whole, bucket, capsys):
    accounts = make(tiny, bucket)
    assert shards(bucket) == shards(whole)
    assert set(bucket.sizes()) == set(whole.sizes())
    assert accounts["rendered"] == 10
    job = Job(resolved=tiny, output=bucket, renderer=InstantRenderer)
    assert is_complete(job)
    assert status.main(str(bucket)) == 0
    assert f"{bucket}: complete\n10 of 10 scenes" in capsys.readouterr().out


def test_a_stopped_job_resumes_in_a_bucket(tiny, whole, bucket, tmp_path):
    with pytest.raises(UserError, match="No space left on device; fix this"):
        make(tiny, bucket, renderer=FullDisk, scenes_per_part=1)
    kept = [name for name in bucket.sizes(".work") if name.endswith(".array_record")]
    assert 0 < len(kept) < 10
    assert status.main(str(bucket)) == 1
    log = tmp_path / "log"
    make(tiny, bucket, renderer=functools.partial(InstantRenderer, log=log))
    assert len(log.read_text().splitlines()) == 10 - len(kept)
    assert shards(bucket) == shards(whole)


def test_a_second_job_on_one_bucket_is_refused(tiny, bucket):
    with (
        open_output(tiny, bucket),
        pytest.raises(UserError, match="another job is writing here"),
    ):
        make(tiny, bucket)


def test_only_the_lost_shard_is_remade_in_a_bucket(tiny, whole, bucket, tmp_path):
    make(tiny, bucket)
    bucket.remove(sorted(shards(bucket))[0])
    log = tmp_path / "log"
    make(tiny, bucket, renderer=functools.partial(InstantRenderer, log=log))
    assert 0 < len(log.read_text().splitlines()) < 5
    assert shards(bucket) == shards(whole)


def test_another_specs_bucket_is_refused(tiny, make_resolved, bucket):
    make(tiny, bucket)
    before = bucket.sizes()
    other = make_resolved(seed=5, splits={"train": 7}, resolution=(8, 8))
    with pytest.raises(UserError, match="seed: expected 5, got 0"):
        make(other, bucket)
    assert bucket.sizes() == before


@pytest.mark.slow
def test_faults_of_a_bucket_change_no_byte(tiny, whole, servers, monkeypatch):
    proxy = emulators.Proxy(servers("s3"))
    emulators.speak_to(monkeypatch, "s3", proxy.url)
    output = open_folder(f"s3://{emulators.BUCKET}/{uuid.uuid4().hex}")
    turn = itertools.count()
    faults = (emulators.unavailable, emulators.cut, emulators.truncate)
    for fault in faults * 5:
        proxy.break_next(fault, when=lambda request: next(turn) % 5 == 4)
    try:
        make(tiny, output)
        assert next(turn) >= 5 * 15, "not all faults were met"
        assert shards(output) == shards(whole)
    finally:
        proxy.close()
        service._connected.cache_clear()
