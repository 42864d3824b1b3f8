"""A folder in which the tutorials are run, with one small dataset."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
import trimesh
import yaml

from helpers.manual import FIRST, ROOT, go_through

# What the first tutorial renders is smaller, so that it takes seconds.
SMALL = {
    "splits": {"train": 4, "test": 1},
    "resolution": [96, 96],  # at 64, warping by flow explains too little of the sand
    "render": {"samples": 2, "layers": ["color", "depth", "instance", "category"]},
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder as the first tutorial leaves it; made once for all test processes."""
    folder = tmp_path_factory.mktemp("manual") / "place"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        go_through_the_first(folder)
        return folder
    shared = tmp_path_factory.getbasetemp().parent / "manual"
    with open(shared.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            go_through_the_first(folder)
            folder.rename(shared)
    # Tutorials change it.
    shutil.copytree(shared, folder, symlinks=True)
    return folder


def go_through_the_first(folder: Path) -> None:
    """Makes the folder and does what the first tutorial says in it."""
    shutil.copytree(ROOT / "specs", folder / "specs")
    (folder / "beam_pipeline.py").symlink_to(ROOT / "beam_pipeline.py")
    demo = folder / "specs/demo.yaml"
    demo.write_text(yaml.safe_dump(yaml.safe_load(demo.read_text()) | SMALL))
    for synset in ("02958343", "03001627"):
        for model in ("one", "two"):
            place = folder / "ShapeNetCore.v2" / synset / model / "models"
            place.mkdir(parents=True)
            trimesh.creation.box((1, 2, 3)).export(place / "model_normalized.obj")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        go_through(FIRST, folder)


@pytest.fixture
def place(finished, monkeypatch) -> Path:
    """The same folder, as the current one."""
    monkeypatch.chdir(finished)
    return finished
