"""The image's files, without building it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from dyso.render.system import PACKAGES

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/worker.Dockerfile").read_text()


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        ([], "dyso"),
        (["--help"], "dyso --help"),
        (["-h"], "dyso -h"),
        (["render", "--out", "a folder"], "dyso render --out a folder"),
        (["nonsense"], "dyso nonsense"),
        (
            ["--id=1-1", "--provision_endpoint=localhost:9"],
            "boot --id=1-1 --provision_endpoint=localhost:9",
        ),
        (["--worker_pool"], "boot --worker_pool"),
    ],
)
def test_flags_alone_go_to_beam(
    arguments: list[str], called: str, tmp_path: Path
) -> None:
    for name in ("dyso", "boot"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf %s "{name}"\nprintf " %s" "$@"\n')
        program.chmod(0o755)
    script = tmp_path / "entrypoint"
    text = (ROOT / "docker/entrypoint").read_text()
    assert "/opt/apache/beam/boot" in text
    script.write_text(text.replace("/opt/apache/beam", str(tmp_path)))
    done = subprocess.run(
        ["sh", script, *arguments],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert done.stdout.strip() == called


def test_entrypoint_can_be_executed() -> None:
    assert os.access(ROOT / "docker/entrypoint", os.X_OK)


def test_beams_boot_is_of_the_version_that_is_installed() -> None:
    image = re.search(r"^ARG BEAM=apache/beam_python3.11_sdk:(\S+)$", DOCKERFILE, re.M)
    pinned = re.search(
        r"^apache-beam==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M
    )
    assert image and pinned
    assert image[1] == pinned[1]


def test_image_has_the_libraries_that_bpy_loads() -> None:
    assert set(PACKAGES.values()) <= set(DOCKERFILE.split())


def test_whatever_is_copied_is_sent_to_the_builder() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    allowed = {
        line.removeprefix("!/")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    files = {file for line in copied for file in line.split()}
    assert files and files <= allowed
    assert all((ROOT / file).exists() for file in files)
