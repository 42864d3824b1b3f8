"""Each layer, imported alone in a fresh process, brings only what it may."""

import ast
import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

RENDERERS = {"bpy", "mathutils", "kubric", "pybullet", "dyso.worker"}
TENSORFLOW = {"tensorflow", "tensorflow_datasets"}
BEAM = {"apache_beam"}
TRAINING = {"jax", "flax", "optax", "orbax"}
DATA = {"grain", "array_record", "tensorflow_datasets"}
HEAVY = RENDERERS | TENSORFLOW | BEAM | TRAINING

ABSENT = {
    "dyso": HEAVY | DATA | {"numpy", "pydantic", "yaml"},
    "dyso.spec": HEAVY | DATA | {"numpy", "PIL", "trimesh"},
    "dyso.geometry": HEAVY | DATA | {"PIL", "trimesh", "pydantic", "dyso.spec"},
    "dyso.sampling": HEAVY | DATA | {"PIL", "trimesh", "dyso.assets"},
    "dyso.assets": HEAVY | DATA | {"dyso.sampling", "dyso.geometry"},
    "dyso.render": HEAVY | DATA | {"PIL", "dyso.assets", "dyso.records"},
    "dyso.records": HEAVY | {"grain", "dyso.pipeline", "dyso.reading"},
    "dyso.pipeline": RENDERERS | TENSORFLOW | TRAINING | {"grain", "dyso.reading"},
    "dyso.reading": RENDERERS | TENSORFLOW | BEAM | {"grain", "dyso.pipeline"},
    "dyso.export": RENDERERS | TENSORFLOW | BEAM | {"grain", "dyso.pipeline"},
    "dyso.visualization": RENDERERS | TENSORFLOW | BEAM | {"grain", "dyso.pipeline"},
    "dyso.validation": RENDERERS | TENSORFLOW | BEAM | {"grain", "dyso.pipeline"},
    "dyso.scoring": HEAVY | {"grain", "skimage", "dyso.pipeline"},
    # As on a machine with JAX alone; see benchmarks/gpu.py.
    "dyso.train.run": RENDERERS | TENSORFLOW | BEAM | DATA | {"pydantic", "PIL"},
    "dyso.fit.gaussians.run": RENDERERS | TENSORFLOW | BEAM | {"flax", "orbax"},
    "dyso.fit.motion.run": RENDERERS | TENSORFLOW | BEAM | {"flax", "orbax"},
    "dyso.cli": HEAVY | DATA | {"PIL", "dyso.pipeline", "dyso.records"},
}

# What an import must leave as it was, and what it brings.
SCRIPT = """
import importlib, json, logging, os, sys, tempfile
def state():
    return {
        "argv": list(sys.argv),
        "environment": dict(os.environ),
        "log handlers": [repr(handler) for handler in logging.root.handlers],
        "temporary files": sorted(os.listdir(tempfile.gettempdir())),
    }
before = state()
importlib.import_module(sys.argv[1])
after = state()
changed = [key for key in before if before[key] != after[key]]
print(json.dumps({"modules": sorted(sys.modules), "changed": changed}))
"""


def imported(name: str, folder: Path) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ABSENT)
def test_import_brings_only_its_layer_and_does_nothing_else(name, tmp_path):
    result = imported(name, tmp_path)
    assert name in result["modules"]
    assert ABSENT[name].intersection(result["modules"]) == set()
    # JAX sets environment variables when it is imported, and Orbax adds a log handler.
    theirs = {"environment", "log handlers"} if "jax" in result["modules"] else set()
    assert set(result["changed"]) <= theirs


def test_nothing_imports_the_worker_package():
    # Import-linter knows its folder, not the name that it is installed under.
    for path in sorted((ROOT / "dyso").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert not [n for n in names if f"{n}.".startswith("dyso.worker.")], path


def test_an_installation_contains_every_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = (path.parent for path in ROOT.glob("dyso/**/__init__.py"))
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert {*setup["options"]["packages"].split()} == found | {"dyso.worker"}
