"""Fixtures for all tests."""

import contextlib
import dataclasses
import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# JAX reads these when it is imported, which checking types does.
# Tests' models run for less time than compiling them takes: it takes a third so.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)

# Many tests compile the same programs, also in processes that they start.
_compiled = tempfile.TemporaryDirectory(prefix="compiled")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _compiled.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# JAX writes an entry in place. Who finds half of one warns, and compiles it again.
os.environ.setdefault(
    "PYTHONWARNINGS",
    "ignore:Error reading persistent compilation cache entry:UserWarning,"
    "ignore:Error writing persistent compilation cache entry:UserWarning",
)

import helpers
from helpers import emulators, typecheck

# Before anything of the packages is imported.
typecheck.install()

from dyso.assets import resolve
from dyso.render import Renderer
from dyso.spec import (
    LAYERS,
    Asset,
    Cameras,
    Catalog,
    Dynamics,
    Patterns,
    Render,
    ResolvedSpec,
    Spec,
)

# Run in the background, Ctrl-C may be ignored here, and so in what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Looking through the objects of all imported packages again and again for cycles takes
# an eighth of the time of tests that compile.
gc.set_threshold(50_000, 20, 20)

# The same examples in every run, and no failure because a machine was busy.
hypothesis.settings.register_profile("dyso", derandomize=True, deadline=None)
hypothesis.settings.load_profile("dyso")

MakeResolved = Callable[..., ResolvedSpec]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with more slow tests first, so that no process is busy alone at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def make_resolved() -> MakeResolved:
    """A function that makes a resolved spec without files.

    `make_resolved(assets=40, hdris=6, **fields of the Spec)` has that many made-up
    assets, whose boxes have different sides and centres.
    """

    def make(assets: int = 40, hdris: int = 6, **fields: Any) -> ResolvedSpec:
        objects = tuple(
            Asset(
                id=f"object_{i:05}",
                category=f"category_{i % 7}",
                bounds=((-0.1, -0.2, 0.0), (0.1 + i % 3, 0.5, 0.4 + i % 5)),
                textured=i % 2 == 0,
            )
            for i in range(assets)
        )
        backgrounds = tuple(Asset(id=f"hdri_{i:05}") for i in range(hdris))
        return ResolvedSpec(
            spec=Spec(
                **{
                    "name": "test",
                    "splits": {"train": 100, "validation": 10, "test": 10},
                    **fields,
                }
            ),
            objects=Catalog(name="objects", manifest="o.json", assets=objects),
            backgrounds=Catalog(name="hdris", manifest="h.json", assets=backgrounds),
        )

    return make


@pytest.fixture(scope="session")
def videos(make_resolved: MakeResolved) -> ResolvedSpec:
    """Videos of 7 frames over made-up assets: paired, smooth, handheld."""
    weights = dict.fromkeys(Patterns().weights(), 0.0) | {"handheld": 1.0}
    patterns = Patterns(
        **{
            name: dataclasses.replace(getattr(Patterns(), name), weight=weight)
            for name, weight in weights.items()
        }
    )
    return make_resolved(
        resolution=(24, 32),
        splits={"train": 3, "test": 1},
        dynamics=Dynamics(steps=7, motion="smooth"),
        cameras=Cameras(count=7, paired=True, patterns=patterns),
    )


@pytest.fixture(scope="session")
def resolved(make_resolved: MakeResolved) -> ResolvedSpec:
    """The schema's defaults over made-up assets."""
    return make_resolved()


@pytest.fixture(scope="session")
def starter() -> ResolvedSpec:
    """A small spec on the starter assets: 24 x 24 pixels, 2 samples, all layers."""
    return resolve(
        Spec(
            name="tiny",
            splits={"train": 6, "test": 3},
            resolution=(24, 24),
            dynamics=Dynamics(steps=2),
            cameras=Cameras(count=2),
            render=Render(samples=2, denoise=False, layers=LAYERS),
        ),
        Path(),
    )


@pytest.fixture(scope="session")
def renderer(starter: ResolvedSpec) -> Iterator[Renderer]:
    """A real worker on the starter assets, shared by the tests that do not harm it."""
    with Renderer(
        objects=starter.objects.manifest,
        backgrounds=starter.backgrounds.manifest,
        timeout=120,
    ) as started:
        yield started


@pytest.fixture(scope="session")
def animated_files(tmp_path_factory) -> Path:
    """The folder that `helpers.animated_meshes` writes."""
    folder = tmp_path_factory.mktemp("animated")
    script = helpers.FOLDER / "animated_meshes.py"
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "WRITTEN" in done.stdout, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], str]]:
    """A function that starts the server of a scheme, once, and returns its URL."""
    with contextlib.ExitStack() as stack:
        started: dict[str, str] = {}

        def server(scheme: str) -> str:
            if scheme not in started:
                kinds = {"s3": emulators.s3_server, "gs": emulators.gs_server}
                started[scheme] = stack.enter_context(kinds[scheme]())
            return started[scheme]

        yield server
