"""Catalogs of animated glTF files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dyso.assets import resolve
from dyso.assets.converting import Summary, convert
from dyso.assets.items import list_meshes
from dyso.assets.manifest import read_catalog
from dyso.cli import assets as command
from dyso.spec import LAYERS, Animate, Dynamics, Objects, Render, Spec, UserError


@pytest.fixture(scope="module")
def source(animated_files: Path, tmp_path_factory) -> Path:
    """Two sound files and one whose keyframes are not finite."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("arm", "face"):
        shutil.copy(animated_files / f"{name}.glb", folder)
    data = bytearray((animated_files / "nodes.glb").read_bytes())
    length = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + length])
    [animation] = document["animations"]
    times = document["accessors"][animation["samplers"][0]["input"]]
    start = 28 + length + document["bufferViews"][times["bufferView"]]["byteOffset"]
    data[start : start + 4] = np.float32(np.nan).tobytes()
    (folder / "torn.glb").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory) -> Summary:
    out = tmp_path_factory.mktemp("catalog")
    listing = list_meshes(source, up="Y", categories=None, license="", author="")
    return convert(listing, out, name="animated", options={}, workers=1)


def test_clips_are_in_the_catalog(converted: Summary, animated_files: Path) -> None:
    arm, face, torn = read_catalog(str(converted.manifest), "FileBasedObject").assets
    assert {clip.name for clip in arm.clips} == {"bow", "sway"}
    assert [clip.name for clip in face.clips] == ["Scene"]
    assert torn.clips == ()
    assert (converted.animated, {*converted.still}) == (2, {"torn"})
    assert converted.still["torn"].endswith("has keyframes that are not finite")
    for asset in (arm, face):
        expected = np.load(animated_files / f"{asset.id}.npz")
        for clip in asset.clips:
            low, high = np.array(clip.bounds)
            points = expected[clip.name].reshape(-1, 3)
            # Measured at 33 moments, not at the 6 of Blender.
            assert (points > low - 0.02).all() and (points < high + 0.02).all()
            shown = np.array([points.min(0), points.max(0)])
            assert abs(shown - clip.bounds).max() < 0.3
            assert (clip.start, clip.end) == (0, 1)
    rest = np.load(animated_files / "face.npz")["Scene"][0]
    assert np.allclose(face.rest, [rest.min(0), rest.max(0)], atol=1e-6)


def test_the_archive_is_that_without_clips(converted: Summary) -> None:
    entries = json.loads(converted.manifest.read_text())["assets"]
    for name, entry in entries.items():
        kept = {"author", "source", "category", "nr_faces", "nr_vertices", "textured"}
        more = {"animation_fault" if name == "torn" else "animation"}
        assert {*entry["metadata"]} == kept | more | {"volume", "sha256"}
    import tarfile

    with tarfile.open(converted.manifest.parent / "arm.tar.gz") as archive:
        [member] = [m for m in archive.getmembers() if m.name.endswith("data.json")]
        inside = json.load(archive.extractfile(member))
    assert {*inside["metadata"]} == kept | {"volume"}


def test_the_command_tells_of_clips(source: Path, tmp_path: Path, capsys) -> None:
    assert command.meshes(source=source, out=tmp_path / "out", workers=1) == 0
    printed = capsys.readouterr().out
    assert "2 have clips, which dynamics.animate plays" in printed
    assert "1 have clips that are left out, and are rigid:" in printed
    reason = "cannot be animated: clip 'Scene' has keyframes that are not finite"
    assert f"  1 {reason}: torn" in printed
    assert command.verify(str(tmp_path / "out" / "manifest.json"), workers=1) == 0


def spec(manifest: Path, *clips: str) -> Spec:
    return Spec(
        name="it",
        splits={"train": 2},
        objects=Objects(catalog=str(manifest), held_out=0.0),
        dynamics=Dynamics(animate=Animate(clips=clips)),
        render=Render(layers=LAYERS),
    )


def test_a_spec_names_clips_of_its_catalog(converted: Summary) -> None:
    resolve(spec(converted.manifest, "sw*"), Path())
    with pytest.raises(UserError) as caught:
        resolve(spec(converted.manifest, "jump"), Path())
    assert "dynamics.animate.clips: none of the objects has a clip jump" in (
        str(caught.value)
    )
    assert "they have Scene, bow, sway" in str(caught.value)
    starter = spec(converted.manifest, "*")
    starter = Spec(**vars(starter) | {"objects": Objects()})
    with pytest.raises(UserError, match="makes a catalog with the clips of glTF"):
        resolve(starter, Path())


CLIP = {"name": "a", "start": 0, "end": 1, "bounds": [[0, 0, 0], [1, 1, 1]]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"clips": []}, "an animation has 1 to 1024 clips"),
        ({"clips": [3]}, "a clip must be a table"),
        ({"clips": [CLIP | {"name": "\n"}]}, "a clip's name must be text"),
        ({"clips": [CLIP | {"start": None}]}, "start and end must be seconds"),
        ({"clips": [CLIP | {"start": 2}]}, "start must be seconds before its end"),
        ({"clips": [CLIP | {"end": 1e300}]}, "start must be seconds before its end"),
        ({"clips": [CLIP | {"bounds": [[0]]}]}, "bounds must be two corners"),
        ({"clips": [CLIP, CLIP]}, "two clips have the same name"),
        ({"rest": [[0, 0, 0], [0, 0, 0]]}, "rest shape has no size"),
        ({"rest": None}, "bounds must be two corners"),
    ],
)
def test_a_bad_manifest_has_one_clear_line(
    converted: Summary, tmp_path: Path, change: dict, expected: str
) -> None:
    manifest = json.loads(converted.manifest.read_text())
    manifest["assets"]["arm"]["metadata"]["animation"] |= change
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError) as caught:
        read_catalog(str(path), "FileBasedObject")
    message = str(caught.value)
    assert "'arm'" in message and expected in message and "\n" not in message
