"""Stock Kubric, which the renderer is compared with, shows the worker's scene."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

import helpers
from dyso.render import Renderer
from dyso.render.resources import usable_cpus
from dyso.sampling import sample_scene
from dyso.spec import ResolvedSpec

pytestmark = pytest.mark.slow


def test_stock_kubric_shows_what_the_worker_shows(
    starter: ResolvedSpec,
    renderer: Renderer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(helpers.FOLDER.parents[1] / "benchmarks")
    measure = importlib.import_module("measure")
    scene = sample_scene(starter, "train", 1)
    one_view = dataclasses.replace(
        scene,
        cameras=scene.cameras[:1],
        objects=tuple(
            dataclasses.replace(item, poses=item.poses[:1]) for item in scene.objects
        ),
        render=dataclasses.replace(scene.render, samples=32),
    )
    job = {
        "objects": starter.objects.manifest,
        "hdris": starter.backgrounds.manifest,
        "scenes": [dataclasses.asdict(one_view)],
        "scratch": str(tmp_path / "scratch"),
        "out": str(tmp_path),
        "samples": 32,
        "denoise": False,
    }
    process = measure.start("stock.py", job, tmp_path, usable_cpus()[0])
    measure.finish(process, tmp_path)
    [stock] = np.load(tmp_path / "color-0.npy").astype(float)
    views = renderer.render(one_view)
    shown = views.instance[0, 0] > 0
    assert shown.any() and not shown.all()
    difference = stock - views.color[0, 0]
    assert np.sqrt((difference**2).mean()) < 8
    assert np.sqrt((difference[shown] ** 2).mean()) < 16
