"""Textured meshes of a field that is known exactly, as others read them."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

import helpers
from dyso.fit.distillation import meshes, optimization, rendering
from dyso.fit.distillation.config import Bias
from dyso.worker.gltf_animation import AnimatedMesh
from dyso.worker.untrusted_gltf import read_gltf
from helpers.small_distillation import SMALL

CONFIG = dataclasses.replace(SMALL, bias=Bias(strength=0.0))
RADIUS, TRAVEL = 0.4, 0.3


def color_at(points, xp=np):
    """A smooth colour, of points in radii around the ball's centre."""
    return 0.5 + xp.stack([points[:, 0], points[:, 1], points[:, 2]], axis=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The meshes of a ball that moves along x."""

    def biased(bias, sigma):
        def evaluate(field, points, times):
            local = 2 * points - times[:, None] * jnp.array([TRAVEL, 0, 0])
            distance = jnp.linalg.norm(local, axis=-1)
            density = 10 * jnp.exp(jnp.clip(60 * (RADIUS - distance), -6, 6))
            return density, color_at(local, jnp)

        return evaluate

    out = tmp_path_factory.mktemp("meshes")
    # Compiled programs know nothing of the change.
    jax.clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "biased", biased)
        patch.setattr(meshes, "_CELLS", 24)
        meshes.write_meshes(out, optimization.start(CONFIG), CONFIG)
    jax.clear_caches()
    return out / "meshes"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_texture_shows_each_point_of_a_face_at_its_place(count):
    rng = np.random.default_rng(count)
    places = rng.uniform(-1, 1, (count, 3, 3))
    coordinates, texture = meshes.atlas(places)
    size = np.array(texture.shape[1::-1])
    shares = rng.dirichlet(np.ones(3), 50)
    for face, corners in zip(places, coordinates, strict=True):
        # Bilinear, as renderers do.
        at = shares @ corners * size - 0.5
        low = np.clip(np.floor(at).astype(int), 0, size - 2)
        x, y = (at - low).T[..., None]
        column, row = low.T
        found = (1 - y) * (
            (1 - x) * texture[row, column] + x * texture[row, column + 1]
        )
        found += y * (
            (1 - x) * texture[row + 1, column] + x * texture[row + 1, column + 1]
        )
        assert np.allclose(found, shares @ face, atol=1e-9)


def test_the_surface_lies_where_the_field_is_and_has_its_colors(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["animation.glb", *(f"step_{step:02}.glb" for step in range(16))]
    for step, centre in ((0, -TRAVEL), (15, TRAVEL)):
        mesh = trimesh.load(folder / f"step_{step:02}.glb", force="mesh")
        # glTF's y points up.
        x, y, z = mesh.vertices.T
        local = np.stack([x - centre, -z, y], axis=-1)
        assert np.allclose(np.linalg.norm(local, axis=-1), RADIUS, atol=0.01)
        middles = mesh.visual.uv.reshape(-1, 3, 2).mean(1)
        found = mesh.visual.material.baseColorTexture
        colors = trimesh.visual.color.uv_to_interpolated_color(middles, found)
        expected = color_at(local.reshape(-1, 3, 3).mean(1))
        # Between texels, trimesh is off by a part of one.
        assert np.abs(colors[:, :3] / 255 - expected).max() < 0.05


def test_the_animation_shows_one_step_after_another(folder):
    """By the evaluation of glTF that is checked against Blender's."""
    path = folder / "animation.glb"
    mesh = AnimatedMesh(read_gltf("it", path, folder, path.read_bytes()))
    for step in (0, 7, 15):
        # Within a step, nothing changes.
        points = mesh.vertices("scene", (step + 0.7) / 8)
        shown = points[np.abs(points).max(-1) > 1e-6]
        expected = TRAVEL * (2 * step / 15 - 1)
        assert 0.04 < len(shown) / len(points) < 0.08
        assert np.allclose(shown.min(0)[0], expected - RADIUS, atol=0.01)
        assert np.allclose(shown.max(0)[0], expected + RADIUS, atol=0.01)


def test_blender_opens_them_with_their_textures(folder):
    script = helpers.FOLDER / "imported_meshes.py"
    files = [folder / "step_00.glb", folder / "animation.glb"]
    done = subprocess.run(
        [sys.executable, script, *files], capture_output=True, text=True, timeout=300
    )
    lines = [
        json.loads(line.removeprefix("IMPORTED"))
        for line in done.stdout.splitlines()
        if line.startswith("IMPORTED")
    ]
    assert [len(each) for each in lines] == [1, 16], done.stderr
    for _, found in lines[0] + lines[1]:
        [material] = found["materials"]
        assert len(found["uvs"]) == 1
        pictures = [picture for _, picture in material[1].values() if picture]
        assert pictures and min(pictures[0][:2]) > 50
