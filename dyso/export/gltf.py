"""glTF: the objects and the cameras of each dynamics step, to look at.

    step_000.glb
    scene.glb         instead of these, if objects change their shapes

Blender, three.js, Omniverse and other viewers open it. Each object is the mesh of its
asset with its textures, in metres, at its pose; each view of the step has a camera,
`camera_000` ... glTF's world has y up: (x, y, z) of the record is (x, z, -y) there.

Objects without a material of their own have the mean of the two colours that were drawn
for them, without the pattern. The background, the light and materials beyond colour
are not included. The meshes are those of procedural and starter catalogs; others are in
archives that only the worker opens. Objects that change their shapes have the meshes of
the record, see `dyso.export.gltf_animation`; their catalogs may be any.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float64

from dyso import geometry
from dyso.assets import procedural
from dyso.assets.manifest import read_manifest
from dyso.assets.resolve import object_manifest
from dyso.export.cameras import opengl_pose, square
from dyso.export.gltf_animation import FIELDS, NEAR, animated_glb
from dyso.reading import Split
from dyso.sampling.scene import Material
from dyso.spec import ProceduralCatalog, ResolvedSpec, Spec, UserError

ABOUT = "glTF: .glb files of objects and cameras, of each step or animated, to look at"
CATALOG = True

Y_UP = square(np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]))
"""From the record's world, z up, to glTF's, y up."""
_MESH = "visual_geometry.obj"


def check(spec: Spec) -> None:
    """Checks that the format can hold the dataset.

    Raises:
      UserError: the meshes are in archives that only the worker opens.
    """
    if spec.dynamics.changes_shapes:
        return
    if spec.objects.catalog not in ("procedural", "starter"):
        raise UserError(
            "gltf: has the meshes of procedural and starter objects only, but "
            f"objects.catalog is {spec.objects.catalog}"
        )


def write(split: Split, index: int, folder: Path, resolved: ResolvedSpec) -> None:
    """Writes one scene; see `dyso.export.formats`."""
    if split.spec.dynamics.changes_shapes:
        glb = animated_glb(split.read(index, fields=FIELDS), split.spec)
        (folder / "scene.glb").write_bytes(glb)
        return
    record = split.read(
        index,
        fields=(
            *("intrinsics", "extrinsics", "objects/asset_id", "objects/sizes"),
            *("objects/positions", "objects/quaternions"),
        ),
    )
    objects = [
        _meshes(resolved, described.asset_id, size, described.material)
        for described, size in zip(
            split.scene(index).objects, record["objects/sizes"], strict=True
        )
    ]
    poses = geometry.pose_matrix(
        record["objects/positions"].astype(np.float64),
        record["objects/quaternions"].astype(np.float64),
    )
    steps, cameras = split.spec.layout.shape
    for step in range(steps):
        scene = trimesh.Scene()
        for number, meshes in enumerate(objects):
            for part, mesh in enumerate(meshes):
                scene.add_geometry(
                    mesh,
                    node_name=f"object_{number:03}_{part}",
                    geom_name=f"mesh_{number:03}_{part}",
                    transform=Y_UP @ square(poses[number, step]),
                )
        views = range(step * cameras, (step + 1) * cameras)

        def add(tree: dict[str, Any], views: Sequence[int] = views) -> None:
            _add_cameras(tree, record, views, split.spec.resolution)

        data = trimesh.exchange.gltf.export_glb(
            scene, include_normals=True, tree_postprocessor=add
        )
        (folder / f"step_{step:03}.glb").write_bytes(data)


def _meshes(
    resolved: ResolvedSpec,
    asset_id: str,
    size: Float64[np.ndarray, " 3"] | Any,
    material: Material | None,
) -> list[Any]:
    """Returns an object's meshes, one for each material, in its own frame in metres."""
    files = _files(resolved, asset_id)
    loaded = trimesh.load_scene(
        io.BytesIO(files[_MESH]),
        file_type="obj",
        resolver=trimesh.resolvers.ZipResolver(
            {name: io.BytesIO(data) for name, data in files.items()}
        ),
    )
    low, high = loaded.bounds
    to_box = np.diag([*(size / (high - low)), 1.0])
    to_box[:3, 3] = -to_box[:3, :3] @ ((low + high) / 2)
    meshes = list(loaded.geometry.values())
    for mesh in meshes:
        mesh.apply_transform(to_box)
        if material is not None:
            color = [*np.mean(material.colors, axis=0), 1.0]
            mesh.visual = trimesh.visual.TextureVisuals(
                material=trimesh.visual.material.PBRMaterial(
                    baseColorFactor=color,
                    roughnessFactor=material.roughness,
                    metallicFactor=material.metallic,
                )
            )
    return meshes


def _files(resolved: ResolvedSpec, asset_id: str) -> dict[str, bytes]:
    """Returns the files of an object's mesh by name."""
    # Checks the version of the generator, or the starter assets.
    manifest = object_manifest(resolved)
    catalog = resolved.objects
    if isinstance(catalog, ProceduralCatalog):
        return procedural.make(catalog, catalog.index(asset_id)).files()
    # A scene may be untrusted: its asset must be one that this project has packed.
    if asset_id not in read_manifest(manifest)["assets"]:
        raise UserError(f"gltf: no starter object {asset_id!r:.80}")
    with tarfile.open(Path(manifest).parent / f"{asset_id}.tar.gz") as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in files.items() if file}


def _add_cameras(
    tree: dict[str, Any],
    record: Mapping[str, Any],
    views: Sequence[int],
    resolution: tuple[int, int],
) -> None:
    """Adds cameras to glTF's JSON."""
    height, width = resolution
    for number, view in enumerate(views):
        pose = Y_UP @ opengl_pose(record["extrinsics"][view])
        lens = {
            "yfov": 2 * float(np.arctan(height / 2 / record["intrinsics"][view, 1, 1])),
            "aspectRatio": width / height,
            "znear": NEAR,
        }
        cameras = tree.setdefault("cameras", [])
        cameras.append({"type": "perspective", "perspective": lens})
        tree["scenes"][0]["nodes"].append(len(tree["nodes"]))
        tree["nodes"].append(
            {
                "name": f"camera_{number:03}",
                "camera": len(cameras) - 1,
                # By columns.
                "matrix": pose.T.ravel().tolist(),
            }
        )
