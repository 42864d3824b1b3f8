"""Looked-up pixels equal path traced ones where objects change nothing."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import helpers
from dyso.render import Renderer
from dyso.sampling import sample_scene
from dyso.spec import ResolvedSpec

pytestmark = pytest.mark.slow


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return float(10 * np.log10(255**2 / error))


def flying(starter: ResolvedSpec) -> ResolvedSpec:
    """Returns the spec with objects in the air at both steps."""
    spec = starter.spec
    dynamics = dataclasses.replace(
        spec.dynamics,
        motion="physics",
        contact="free",
        frame_rate=6,
        drop=(0.5, 0.6),
        speed=(1.0, 2.0),
    )
    objects = dataclasses.replace(spec.objects, count=(2, 2), size=0.9)
    spec = dataclasses.replace(spec, dynamics=dynamics, objects=objects)
    return dataclasses.replace(starter, spec=spec)


@pytest.mark.parametrize(
    ("backdrop", "falls", "ground_seed"),
    [
        ("dome", False, None),
        ("dome", False, 3),
        ("environment", False, None),
        ("dome", True, None),
    ],
)
def test_shortcuts_show_in_no_picture(
    starter: ResolvedSpec,
    renderer: Renderer,
    backdrop: str,
    falls: bool,
    ground_seed: int | None,
) -> None:
    scene = sample_scene(flying(starter) if falls else starter, "train", 1)
    scene = dataclasses.replace(
        scene,
        cameras=scene.cameras[:1],
        resolution=(96, 96),
        render=dataclasses.replace(scene.render, samples=128, denoise=True),
        background=dataclasses.replace(
            scene.background,
            asset_id="sunrise",
            backdrop=backdrop,
            ground_seed=ground_seed,
        ),
    )
    quick = renderer.render(scene)
    settings = dataclasses.replace(scene.render, shortcut=False)
    whole = renderer.render(dataclasses.replace(scene, render=settings))
    np.testing.assert_array_equal(quick.positions, whole.positions)
    np.testing.assert_array_equal(quick.instance, whole.instance)
    assert not np.array_equal(quick.color, whole.color)  # else no shortcut was taken
    for step, camera in np.ndindex(quick.color.shape[:2]):
        one, other = quick.color[step, camera], whole.color[step, camera]
        assert psnr(one, other) > 38
        floor = quick.instance[step, camera] == 0
        assert abs((one.astype(int) - other)[floor].mean()) < 1


def test_the_edges_of_windows_do_not_show(tmp_path: Path) -> None:
    script = helpers.FOLDER / "seams.py"
    command = [sys.executable, str(script), "16", str(tmp_path / "out.npz")]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    with np.load(tmp_path / "out.npz") as arrays:
        _, step, noise = arrays["steps"].T
    assert len(step) > 100
    # In a segment of 8 pixels: a hundredth, or what the noise of its pixels hides.
    shows = step > np.maximum(0.01, noise)
    assert shows.mean() < 0.01
    assert step.max() < 0.03


def test_a_shadow_thinner_than_a_cell_is_followed() -> None:
    script = str(helpers.FOLDER / "thin_shadow.py")
    ran = subprocess.run(
        [sys.executable, script], check=True, timeout=120, capture_output=True
    )
    lost, error = map(float, ran.stdout.split())
    assert lost > 0.7
    assert error < 0.03
