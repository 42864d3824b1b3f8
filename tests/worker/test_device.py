"""A worker on a machine without the requested GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from dyso.cli import render
from dyso.pipeline import Job, local_flags, run
from dyso.render import Renderer, RenderError
from dyso.sampling import sample_scene
from dyso.spec import UserError
from dyso.storage import open_folder

STARTER = Path(__file__).parents[2] / "specs" / "starter.yaml"
FOUND = r"Blender finds none here, only cpu \(.+\); choose one of these"


def renderer_on(device, starter):
    return Renderer(
        objects=starter.objects.manifest,
        backgrounds=starter.backgrounds.manifest,
        device=device,
    )


# Blender on Linux has no Metal; of the others it has all but the drivers.
@pytest.fixture(params=["metal", "hip"])
def absent(request):
    # Ended at once, for Blender's own end may hang.
    command = "import bpy, os, sys; a = bpy.context.preferences.addons['cycles']\n"
    command += "os._exit(bool(a.preferences.get_devices_for_type(sys.argv[1])))"
    device = request.param
    done = subprocess.run([sys.executable, "-c", command, device.upper()], timeout=60)
    if done.returncode:
        pytest.skip(f"this machine has {device}")
    return device


def test_a_missing_device_is_reported_before_any_scene(absent, starter):
    with renderer_on(absent, starter) as own:
        with pytest.raises(RenderError) as caught:
            own.render(sample_scene(starter, "train", 0))
        assert caught.value.reason == "device"
        caught.match(f"^device {absent}: {FOUND}")
        assert "\n" not in str(caught.value)


def test_it_ends_the_whole_job(absent, starter, tmp_path):
    job = Job(resolved=starter, output=open_folder(tmp_path / "data"), device=absent)
    with pytest.raises(UserError, match=f"^device {absent}: {FOUND}"):
        run(job, local_flags(1))
    assert not list((tmp_path / "data").rglob("*array_record*"))
    assert not list((tmp_path / "data").rglob("*.progress"))


def test_the_command_prints_one_line(absent, tmp_path):
    with pytest.raises(UserError, match=f"^device {absent}: {FOUND}"):
        render.main(STARTER, out=tmp_path / "scene", device=absent)
    assert not (tmp_path / "scene").exists()


def test_an_unknown_kind_is_reported_at_once(starter):
    known = "cpu, cuda, optix, hip, metal, oneapi"
    with pytest.raises(UserError, match=f"device: must be one of {known}, got vulkan"):
        renderer_on("vulkan", starter)
