"""The image's files, without building it."""

import configparser
import importlib.metadata
import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dyso.render.resources import PACKAGES

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


def _pins(file: str) -> list[tuple[Requirement, str]]:
    """Reads a requirements file: its entries, and the other lines of each."""
    text = re.sub(r"^#.*\n", "", (ROOT / file).read_text(), flags=re.M)
    entries = [entry.split(" \\\n") for entry in re.split(r"\n(?! )", text.strip())]
    return [(Requirement(first), "".join(more)) for first, *more in entries]


def test_image_installs_the_versions_of_constraints_txt_by_their_hashes() -> None:
    tested = {canonicalize_name(pin.name): pin for pin, _ in _pins("constraints.txt")}
    for pin, hashes in _pins("docker/requirements.txt"):
        assert str(pin.specifier).startswith("=="), pin
        assert pin.specifier == tested[canonicalize_name(pin.name)].specifier, pin
        assert re.fullmatch(r"( {4}--hash=sha256:[0-9a-f]{64})+", hashes), pin
    assert "--require-hashes" in DOCKERFILE


def test_image_installs_all_that_its_packages_need_and_no_more() -> None:
    """Which pip does not look for, by --no-deps."""
    setup = configparser.RawConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = re.search(r"^IMAGE_EXTRAS := (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert extras
    lines = [
        setup["options"]["install_requires"],
        *(setup["options.extras_require"][extra] for extra in extras[1].split()),
    ]
    left = [Requirement(line) for line in "\n".join(lines).split("\n") if line]
    needed = set[tuple[str, str]]()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {e for n, e in needed if n == name}:
            needed.add((name, extra))
            for line in importlib.metadata.requires(name) or ():
                further = Requirement(line)
                marker = further.marker
                if marker is None or marker.evaluate({"extra": extra}):
                    left.append(further)
    pins = _pins("docker/requirements.txt")
    assert {name for name, _ in needed} == {canonicalize_name(p.name) for p, _ in pins}


def test_beams_boot_is_of_the_version_that_is_installed() -> None:
    image = re.search(r"^ARG BEAM=apache/beam_python3.11_sdk:(\S+)$", DOCKERFILE, re.M)
    assert image
    pins = [pin for pin, _ in _pins("docker/requirements.txt")]
    assert f"=={image[1]}" in [
        str(p.specifier) for p in pins if p.name == "apache-beam"
    ]


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
