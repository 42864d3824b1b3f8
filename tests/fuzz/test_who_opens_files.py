"""Only the worker opens untrusted meshes, pictures and archives."""

import io
import re
from pathlib import Path

import pytest
from PIL import UnidentifiedImageError

from dyso.images import FORMATS, open_image

ROOT = Path(__file__).parents[2]
DYSO = ROOT / "dyso"

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"

# What opens them, and where in `dyso` it may stand: for what this project writes, the
# pictures that the users of `dyso manipulate` and `dyso score` name, and Python that
# `dyso export` prints.
OPENERS = {
    r"\btrimesh\b": {"export/gltf.py"},
    r"\bimageio\b": set(),
    r"(?m)^\s*(import|from) bpy\b": set(),
    r"\bopen_image\(": {
        "images.py",
        "records/images.py",
        "records/clips.py",
        "scoring/predictions.py",
        "train/manipulation.py",
    },
    r"\bOpenEXR\.(File|InputFile)\(": {"visualization/files.py"},
    r"\btarfile\.open\(": {"assets/starter.py", "export/gltf.py"},
    r"\bgzip\.(open|GzipFile|decompress)\(": {"assets/starter.py"},
    r"\bzipfile\.(ZipFile|Path)|\bshutil\.unpack_archive\(": set(),
    r"\bpickle\.load|allow_pickle=True": {"cli/export.py"},
    r"\b(eval|exec|os\.system)\(": set(),
    r"\byaml\.(load|full_load|unsafe_load)\(": set(),
}


@pytest.mark.parametrize("pattern", OPENERS)
def test_only_the_worker_opens_untrusted_files(pattern) -> None:
    found = {
        path.relative_to(DYSO).as_posix()
        for path in DYSO.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found == OPENERS[pattern]


def test_one_function_opens_every_image_and_none_that_runs_programs() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in (DYSO, ROOT / "worker")
        for path in folder.rglob("*.py")
        if re.search(r"\bImage(\w+)?\.open\(|\bImageFile\b", path.read_text("utf-8"))
    }
    assert found == {"dyso/images.py"}
    for form in ("EPS", *FORMATS):
        with pytest.raises(UnidentifiedImageError):
            open_image(io.BytesIO(EPS), [form])
