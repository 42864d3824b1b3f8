"""ShapeNet's folders in small: its layout, with generated meshes."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

CAR, CHAIR, TABLE = "02958343", "03001627", "04379243"
OTHER = "02834778"
"""A synset of version 1 that is not among the 55."""


def png(color: tuple[int, ...], size: int = 16) -> bytes:
    file = io.BytesIO()
    mode = "RGBA" if len(color) == 4 else "RGB"
    Image.new(mode, (size, size), color).save(file, "PNG")
    return file.getvalue()


def obj(mesh: trimesh.Trimesh, *materials: str, library: str = "") -> str:
    """OBJ text; the faces are shared out among the materials, each a group."""
    lines = [f"mtllib {library}"] if library else []
    lines += [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.vertices]
    lines += [f"vn {x:.6g} {y:.6g} {z:.6g}" for x, y, z in mesh.vertex_normals]
    lines += ["vt 0 0", "vt 1 0", "vt 0 1"]
    parts = np.array_split(mesh.faces + 1, max(len(materials), 1))
    for i, faces in enumerate(parts):
        lines += [f"g part_{i}", f"usemtl {materials[i]}"] if materials else []
        lines += [f"f {a}/1/{a} {b}/2/{b} {c}/3/{c}" for a, b, c in faces]
    return "\n".join(lines) + "\n"


def box(*sides: float) -> trimesh.Trimesh:
    return trimesh.creation.box(sides)


class Tree:
    """A ShapeNet folder in the making; y is up."""

    def __init__(self, root: Path):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "taxonomy.json").write_text(json.dumps([{"synsetId": CAR}]))

    def v2(
        self,
        synset: str,
        model: str,
        mesh: trimesh.Trimesh | str,
        *materials: str,
        mtl: str | None = None,
        images: dict[str, bytes] | None = None,
    ) -> Path:
        folder = self.root / synset / model
        (folder / "models").mkdir(parents=True)
        name = folder / "models" / "model_normalized"
        if isinstance(mesh, trimesh.Trimesh):
            mesh = obj(mesh, *materials, library="model_normalized.mtl")
        name.with_suffix(".obj").write_text(mesh)
        if mtl is not None:
            name.with_suffix(".mtl").write_text(mtl)
        name.with_suffix(".json").write_text(json.dumps({"numVertices": 8}))
        (folder / "models" / "model_normalized.solid.binvox").write_bytes(bytes(999))
        for file, data in (images or {}).items():
            (folder / "images").mkdir(exist_ok=True)
            (folder / "images" / file).write_bytes(data)
        return folder

    def v1(self, synset: str, model: str, mesh: trimesh.Trimesh) -> Path:
        folder = self.root / synset / model
        folder.mkdir(parents=True)
        (folder / "model.obj").write_text(obj(mesh, "a", library="./model.mtl"))
        (folder / "model.mtl").write_text("newmtl a\nKd 0.1 0.8 0.1\n")
        return folder


def zipped(root: Path, target: Path) -> Path:
    """Packs each synset's folder into SYNSET.zip, as the release has them."""
    target.mkdir(parents=True)
    for synset in root.iterdir():
        if synset.is_dir():
            with zipfile.ZipFile(target / f"{synset.name}.zip", "w") as file:
                for path in sorted(synset.rglob("*")):
                    file.write(path, path.relative_to(root))
    return target


def many_cases(root: Path) -> Tree:
    """A model for each thing that is odd in ShapeNet."""
    tree = Tree(root)
    tall = box(0.2, 0.8, 0.4)  # y is up
    picture = "newmtl a\nKd 1 1 1\nmap_Kd ../images/texture0.png\n"
    red = {"texture0.png": png((220, 20, 20))}
    tree.v2(CAR, "textured", tall, "a", mtl=picture, images=red)
    tree.v2(CAR, "texture_missing", tall, "a", mtl=picture)
    tree.v2(
        CAR, "texture_broken", tall, "a", mtl=picture, images={"texture0.png": b"no"}
    )
    other = picture.replace("/texture0.png", "\\Texture0.TIF")
    file = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 200, 200, 0)).save(file, "TIFF")
    tree.v2(
        CAR,
        "texture_tif",
        tall,
        "a",
        mtl=other,
        images={"texture0.tif": file.getvalue()},
    )
    parts = (
        "newmtl a\nKd 1 0 0\nnewmtl b c\nKd 0 1 0\nd 0.4\nnewmtl d\nKd 0 0 1\nTr 1\n"
    )
    tree.v2(CHAIR, "submeshes", tall, "a", "b c", "d", mtl=parts)
    tree.v2(CHAIR, "no_materials", tall)
    tree.v2(
        CHAIR, "huge", tall.copy().apply_scale(1e12), "a", mtl="newmtl a\nKd 1 0 0\n"
    )
    tree.v2(
        CHAIR, "tiny", tall.copy().apply_scale(1e-12), "a", mtl="newmtl a\nKd 1 0 0\n"
    )
    far = tall.copy().apply_translation([1e6, 0, 0])
    tree.v2(CHAIR, "far", far, "a", mtl="newmtl a\nKd 1 0 0\n")
    inverted = tall.copy()
    inverted.invert()
    tree.v2(TABLE, "inverted", inverted)
    opened = trimesh.Trimesh(tall.vertices, tall.faces[:-3], process=False)
    tree.v2(TABLE, "open", opened)
    fin = np.vstack([tall.vertices, [[2, 0, 0]]])
    faces = np.vstack([tall.faces, [[*tall.faces[0][:2], len(fin) - 1]]])
    tree.v2(TABLE, "not_manifold", trimesh.Trimesh(fin, faces, process=False))
    tree.v2(TABLE, "flat", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    stray = obj(tall) + "v nan nan nan\nv inf 0 0\n"
    tree.v2(TABLE, "stray_nan", stray)
    # What cannot become an asset.
    tree.v2(TABLE, "bad_no_faces", "v 0 0 0\nv 1 0 0\n")
    tree.v2(TABLE, "bad_nan", "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    tree.v2(TABLE, "bad_no_size", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n")
    tree.v2(TABLE, "bad_garbage", "\x00\x01 f f f")
    (root / TABLE / "bad_empty" / "models").mkdir(parents=True)
    tree.v2(OTHER, "bicycle", tall)
    return tree
