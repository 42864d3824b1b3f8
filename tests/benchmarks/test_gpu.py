"""`benchmarks/gpu.py` with tiny numbers, without packages that a GPU's image lacks."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dyso.records.synthetic import synthetic_views
from dyso.train import checkpoints
from helpers.dataset_writer import write_dataset

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
ABSENT = (
    *("grain", "bpy", "pydantic", "array_record", "tyro", "tensorflow_datasets"),
    *("apache_beam", "PIL", "tensorboardX", "trimesh", "skimage", "tqdm"),
)
WITHOUT = f"""
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, {str(SCRIPT.parent)!r})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def packed(gpu, make_resolved, tmp_path_factory):
    resolved = make_resolved(splits={"train": 6, "test": 3}, resolution=(16, 16))
    folder = tmp_path_factory.mktemp("gpu")
    write_dataset(folder / "data", resolved, synthetic_views)
    gpu.pack(folder / "data", folder / "packed", limit=1 << 20)
    return folder / "packed"


def test_views_are_packed_without_loss(gpu):
    views = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    np.testing.assert_array_equal(
        gpu.decompress(gpu.compress(views), views.shape), views
    )


def test_scenes_are_packed_up_to_a_limit(gpu, make_resolved, tmp_path):
    resolved = make_resolved(splits={"train": 6, "test": 1}, resolution=(16, 16))
    data = write_dataset(tmp_path / "data", resolved, synthetic_views)
    scene = gpu.compress(synthetic_views_of(data))
    gpu.pack(data, tmp_path / "packed", limit=4 * len(scene))
    with np.load(tmp_path / "packed" / "scenes.npz") as arrays:
        assert 1 <= len(arrays["train_sizes"]) <= 4
        assert arrays["train"].size + arrays["test"].size <= 4 * len(scene)


def test_what_a_gpus_image_lacks_is_packed(packed):
    """The two packages import and know their version with nothing else installed."""
    script = f"import sys; sys.path.insert(0, {str(packed)!r}); import jaxtyping; "
    script += "import wadler_lindig; print(jaxtyping.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(packed / "jaxtyping" / "__init__.py"), done.stderr


def synthetic_views_of(data):
    from dyso.reading import Dataset

    return Dataset(data)["train"].read(0, fields=["color"])["color"]


@pytest.mark.slow
def test_both_models_train_and_the_preset_is_timed(packed, tmp_path):
    options = "--steps 2 --batch-size 4 --width 16 --layers 1 --full-preset dyst-tiny "
    options += "--full-batch-size 1 --full-steps 1 --seconds 900"
    command = [sys.executable, "-c", WITHOUT, SCRIPT, "run", packed, "--out", tmp_path]
    done = subprocess.run(
        [*command, *options.split()],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["full_size"]["steps_per_second"] > 0
    assert 0 < results["full_size"]["share_of_peak"] < 1
    for name, control in (("swap", "swap"), ("no-swap", "none")):
        assert (results[name]["step"], results[name]["scenes"]) == (2, 6)
        (measured,) = results[name]["evaluations"]
        assert measured["evaluation/psnr"] > 5 and measured["evaluation/R_dyn"] > 0
        # It is a run that `dyso evaluate` reads.
        config = checkpoints.load_config(tmp_path / name)
        assert config.training.control == control
        assert checkpoints.load_params(tmp_path / name, config)[0] == 2
