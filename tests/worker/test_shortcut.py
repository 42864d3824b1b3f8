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
    """Gives the spec with objects in the air at its two steps."""
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
    ("backdrop", "falls"), [("dome", False), ("environment", False), ("dome", True)]
)
def test_shortcuts_show_in_no_picture(
    starter: ResolvedSpec,
    renderer: Renderer,
    tmp_path: Path,
    backdrop: str,
    falls: bool,
) -> None:
    scene = sample_scene(flying(starter) if falls else starter, "train", 1)
    scene = dataclasses.replace(
        scene,
        cameras=scene.cameras[:1] if falls else scene.cameras,
        resolution=(96, 96),
        render=dataclasses.replace(scene.render, samples=128, denoise=True),
        background=dataclasses.replace(
            scene.background, asset_id="sunrise", backdrop=backdrop
        ),
    )
    (tmp_path / "scene.json").write_text(scene.to_json())
    script = helpers.FOLDER / "shortcut_pixels.py"
    command = [sys.executable, str(script), str(tmp_path / "scene.json")]
    command += [starter.objects.manifest, starter.backgrounds.manifest]
    command += [str(tmp_path / "out.npz")]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    with np.load(tmp_path / "out.npz") as arrays:
        quick, whole, instance = arrays["quick"], arrays["whole"], arrays["instance"]
        positions = arrays["positions"]
    assert not np.array_equal(quick, whole)  # else no shortcut was taken
    for step, camera in np.ndindex(quick.shape[:2]):
        assert psnr(quick[step, camera], whole[step, camera]) > 38
        # No step in brightness anywhere on the floor, so no seam.
        difference = quick[step, camera].astype(int) - whole[step, camera]
        floor = instance[step, camera] == 0
        assert abs(difference[floor].mean()) < 1
    # Another process has them fall the same way.
    elsewhere = renderer.render(dataclasses.replace(scene, resolution=(8, 8)))
    np.testing.assert_array_equal(elsewhere.positions, positions)
