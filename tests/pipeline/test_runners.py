"""The same job on runners with many processes, compared with this process."""

import dataclasses
import functools
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time

import pytest
from apache_beam.options.pipeline_options import PortableOptions

from dyso import assets
from dyso.pipeline import Job, build, local_flags, run, workers
from dyso.pipeline.command import main
from dyso.pipeline.output_folder import open_output
from dyso.pipeline.output_settings import shards_of
from dyso.pipeline.runners import find_runner
from dyso.spec import Dynamics, Render, UserError
from dyso.storage import open_folder
from helpers.clusters import Dask, Noting, job_service, notes, processes
from helpers.instant_renderer import InstantRenderer
from helpers.waiting import SECONDS, wait_for

pytestmark = pytest.mark.filterwarnings(
    # Of Dask's client, in the process that runs the tests.
    "ignore::DeprecationWarning:distributed.*",
)
_MAIN = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
HARNESS = [
    "--environment_type=beam:env:harness_subprocess_python:v1",
    f"--environment_config={_MAIN}",
]


@pytest.fixture(autouse=True)
def time_out():
    """Ends a test whose runner hangs."""

    def end(*_):
        # Not an OSError, of which a job says that the disk failed.
        pytest.fail("the test takes too long")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(2 * SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def tiny(make_resolved):
    return make_resolved(
        splits={"train": 9, "test": 3},
        resolution=(8, 8),
        dynamics=Dynamics(steps=2),
        render=Render(samples=1),
    )


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "data"
    job = Job(
        resolved=tiny,
        output=open_folder(output),
        renderer=InstantRenderer,
        scenes_per_shard=4,
    )
    run(job, local_flags(1))
    return shards(job)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with processes(tmp_path_factory.mktemp("dask")) as own:
        yield Dask(own)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with processes(tmp_path_factory.mktemp("service")) as own:
        yield job_service(own)


@pytest.fixture
def job(tiny, tmp_path):
    renderer = functools.partial(Noting, note=str(tmp_path / "note"))
    output = open_folder(tmp_path / "data")
    return Job(resolved=tiny, output=output, renderer=renderer, scenes_per_shard=4)


def noting(job, **options):
    renderer = functools.partial(job.renderer, **options)
    return dataclasses.replace(job, renderer=renderer)


def shards(job):
    names = [name for name in job.output.sizes() if ".array_record" in name]
    assert names and job.output.size("COMPLETED")
    return job.output.read_all(names)


def rendered(job):
    """Returns the scenes begun, as pairs of process id and index."""
    pairs = notes(job.renderer.keywords["note"])
    return [(pid, what) for pid, what in pairs if what != "start"]


# --- Dask


def test_dask_spreads_parts_and_keeps_renderers_between_them(dask, job, whole):
    accounts = run(noting(job, seconds=0.1), dask.flags)
    assert accounts["rendered"] == accounts["planned"] == 12
    assert shards(job) == whole
    pids = {worker.pid for worker in dask.workers}
    assert {pid for pid, _ in rendered(job)} == pids
    starts = [
        pid for pid, what in notes(job.renderer.keywords["note"]) if what == "start"
    ]
    assert sorted(starts) == sorted(pids)


def test_a_killed_dask_worker_costs_no_scene_and_no_byte(dask, job, whole):
    victim = dask.add()
    dask.wait_for_worker(len(dask.workers) - 1)
    slow = noting(job, seconds=0.2, hangs=victim.pid)
    launcher = dask.own.launch(slow, [*dask.flags, "--dask_npartitions=6"])
    wait_for(
        lambda: victim.pid in {pid for pid, _ in rendered(job)}, "the worker renders"
    )
    victim.kill()
    assert launcher.wait(SECONDS) == 0
    assert shards(job) == whole
    # The scenes that it had begun were begun by another one, too.
    assert len(rendered(job)) > 12


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("user", "^worker: not so, got so; do it so$"),
        ("disk", "^part: No space left on device; fix this, then run the same command"),
        ("bug", "^dask: .*of ours.*; see the runner's log; fix this"),
    ],
)
def test_an_error_on_dask_is_one_line_and_the_same_command_resumes(
    dask, job, whole, broken, line
):
    with pytest.raises(UserError, match=line) as caught:
        run(noting(job, broken=broken), dask.flags)
    assert "\n" not in str(caught.value)
    run(job, dask.flags)
    assert shards(job) == whole


@pytest.mark.parametrize(
    ("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_dask_workers_stop_when_the_launcher_does(
    dask, job, whole, signal_number, status
):
    # One task of twelve scenes, which Dask itself would let run to its end.
    slow = noting(job, seconds=1.0)
    launcher = dask.own.launch(slow, [*dask.flags, "--dask_npartitions=1"])
    wait_for(lambda: rendered(job), "a scene is begun")
    os.kill(launcher.pid, signal_number)
    assert launcher.wait(SECONDS) == status

    def stopped():
        begun = rendered(job)
        time.sleep(2.5)
        return rendered(job) == begun

    wait_for(stopped, "no scene is begun any more")
    assert len(rendered(job)) < 12
    run(job, dask.flags)
    assert shards(job) == whole


@pytest.fixture
def nobody():
    """An address on which no process listens or can listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_a_missing_scheduler_is_a_one_line_error(job, nobody):
    flags = ["--runner=DaskRunner", f"--dask_client_address=tcp://{nobody}"]
    with pytest.raises(UserError, match="no Dask scheduler answers there") as caught:
        run(job, [*flags, "--dask_connection_timeout=1"])
    assert "\n" not in str(caught.value)
    assert not job.output.sizes()


class Closing(InstantRenderer):
    """Remembers that it was closed."""

    closed = False

    def close(self):
        self.closed = True


def test_a_pooled_renderer_serves_again_and_ends_when_idle(tiny, monkeypatch):
    pooled = functools.partial(workers.pooled_renderer, tiny, pin=True, device="cpu")
    pooled = functools.partial(pooled, timeout=60.0, renderer=Closing)
    with pooled() as first, pooled() as second:
        assert first is not second
    for _ in range(3):
        with pooled() as again:
            assert again in (first, second) and not again.closed
    with pooled(timeout=61.0) as other:
        assert other not in (first, second)
    # Used once more, each ends this long after it was returned, and not before.
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.1)
    with pooled(), pooled(), pooled(timeout=61.0):
        time.sleep(0.5)
        assert not (first.closed or second.closed or other.closed)
    wait_for(lambda: first.closed and second.closed and other.closed, "all end")


# --- The portable runner


@pytest.mark.parametrize("environment", [["--environment_type=LOOPBACK"], HARNESS])
def test_a_portable_runner_makes_the_same_bytes(service, job, whole, environment):
    accounts = run(job, [*service, *environment])
    assert accounts["rendered"] == accounts["planned"] == 12
    assert shards(job) == whole
    inside = {pid for pid, _ in rendered(job)} == {os.getpid()}
    assert inside == (environment is not HARNESS)


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("user", "^worker: not so, got so; do it so$"),
        ("bug", "^portable: .*of ours.*; see the runner's log; fix this"),
    ],
)
def test_an_error_on_a_portable_runner_is_a_one_line_error(service, job, broken, line):
    with pytest.raises(UserError, match=line) as caught:
        run(noting(job, broken=broken), [*service, *HARNESS])
    assert "\n" not in str(caught.value)


def test_a_portable_job_may_last_longer_than_the_job_servers_time_out(service):
    options = find_runner([*service, "--environment_type=LOOPBACK"], "data").options
    assert options.view_as(PortableOptions).job_server_timeout > 30 * 24 * 3600


def test_a_missing_job_service_is_a_one_line_error(job, nobody):
    flags = ["--runner=PortableRunner", f"--job_endpoint={nobody}"]
    with pytest.raises(UserError, match="no job service answers there"):
        run(job, flags)
    assert not job.output.sizes()


# --- Dataflow, whose service is not there: what it would be sent

DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=us-central1",
    "--temp_location=gs://my-bucket/temp",
    "--sdk_container_image=us-docker.pkg.dev/my-project/dyso/worker:1",
    "--machine_type=e2-standard-16",
    "--number_of_worker_harness_threads=16",
    "--disk_size_gb=50",
    "--max_num_workers=20",
    "--flexrs_goal=COST_OPTIMIZED",
    "--no_auth",
]


@pytest.fixture
def bucket(monkeypatch):
    server = pytest.importorskip("gcp_storage_emulator.server")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    emulator = server.create_server(
        "localhost", port, in_memory=True, default_bucket="my-bucket"
    )
    emulator.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{port}")
    yield
    emulator.stop()


@pytest.fixture
def dataflow():
    """A service that takes any job and says that it is done; returns what it got."""
    got = []

    class Service(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.do_GET()

        def do_GET(self):
            answer = b'{"id": "1", "currentState": "JOB_STATE_DONE"}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"--dataflow_endpoint=http://localhost:{server.server_port}", got
        server.shutdown()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_dataflow_gets_a_job_of_one_thread_a_core(bucket, dataflow, job):
    endpoint, got = dataflow
    engine = find_runner([*DATAFLOW, endpoint], "gs://my-bucket/data")
    with open_output(job.resolved, job.output) as work:
        todo = shards_of(work, job.resolved, job.scenes_per_shard)
        build(job, engine, work, todo).run().wait_until_finish()
    [sent] = got
    [pool] = sent["environment"]["workerPools"]
    image = "us-docker.pkg.dev/my-project/dyso/worker:1"
    assert [x["containerImage"] for x in pool["sdkHarnessContainerImages"]] == [image]
    assert (pool["machineType"], pool["numThreadsPerWorker"]) == ("e2-standard-16", 16)
    assert (pool["diskSizeGb"], pool["autoscalingSettings"]["maxNumWorkers"]) == (
        *(50, 20),
    )
    assert "no_use_multiple_sdk_containers" in sent["environment"]["experiments"]
    assert sent["environment"]["flexResourceSchedulingGoal"] in (
        2,
        "FLEXRS_COST_OPTIMIZED",
    )
    assert sent["type"] == 1  # batch


@pytest.mark.parametrize(
    ("without", "line"),
    [
        ("--sdk_container_image", "it must name the worker image"),
        ("--number_of_worker_harness_threads", "--machine_type's vCPUs"),
    ],
)
def test_dataflow_without_its_required_options_is_refused(without, line):
    flags = [flag for flag in DATAFLOW if not flag.startswith(without)]
    with pytest.raises(UserError, match=f"^{without}: is missing; .*{line}"):
        find_runner(flags, "gs://my-bucket/data")


def test_dataflow_cannot_write_to_this_machine(tmp_path):
    with pytest.raises(UserError, match="cannot access a folder of this machine"):
        find_runner(DATAFLOW, tmp_path)


# --- All


@pytest.mark.parametrize("runner", ["NoRunner", "no.such.Runner"])
def test_an_unknown_runner_is_a_one_line_error(job, runner):
    with pytest.raises(UserError, match=r"^--runner: ") as caught:
        run(job, [f"--runner={runner}"])
    assert "\n" not in str(caught.value)


def test_the_command_knows_the_options_of_dask(tmp_path, capsys):
    argv = ["--spec=none.yaml", f"--output={tmp_path}", "--runner=DaskRunner"]
    assert main([*argv, "--dask_client_address=tcp://127.0.0.1:1"]) == 2
    assert "none.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*argv, "--dask_client_adress=tcp://127.0.0.1:1"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_starter_assets_are_found_where_a_machine_keeps_them(starter):
    def elsewhere(catalog, **changes):
        return dataclasses.replace(catalog, manifest="/not/here.json", **changes)

    there = dataclasses.replace(
        starter,
        objects=elsewhere(starter.objects),
        backgrounds=elsewhere(starter.backgrounds),
    )
    assert assets.manifests(there) == (
        starter.objects.manifest,
        starter.backgrounds.manifest,
    )
    other = elsewhere(starter.objects, assets=starter.objects.assets[1:])
    with pytest.raises(UserError, match="are not those that the dataset was begun"):
        assets.manifests(dataclasses.replace(there, objects=other))


@pytest.mark.slow
def test_real_scenes_on_dask_survive_a_killed_worker(starter, tmp_path):
    spec = dataclasses.replace(starter.spec, splits={"train": 2, "test": 1})
    resolved = dataclasses.replace(starter, spec=spec)
    here, there = open_folder(tmp_path / "here"), open_folder(tmp_path / "there")
    own = Job(resolved=resolved, output=here, scenes_per_part=1)
    run(own, local_flags(1))
    job = dataclasses.replace(own, output=there)
    with processes(tmp_path) as started:
        dask = Dask(started)
        launcher = started.launch(job, dask.flags)
        wait_for(lambda: len(started.find("dyso.worker")) == 2, "workers render")
        dask.workers[0].kill()
        assert launcher.wait(SECONDS) == 0
        assert shards(job) == shards(own)
        wait_for(
            lambda: not started.find("dyso.worker"),
            "idle worker processes end",
            workers.IDLE_SECONDS + SECONDS,
        )
        assert started.find("distributed.cli.dask_worker") == [dask.workers[1].pid]
