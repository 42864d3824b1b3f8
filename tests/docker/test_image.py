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


def _pins(file: str) -> dict[str, tuple[str, str]]:
    """Reads a requirements file: each package's version, and its other lines."""
    text = re.sub(r"^#.*\n", "", (ROOT / file).read_text(), flags=re.M)
    pins = {}
    for entry in re.split(r"\n(?! )", text.strip()):
        found = re.fullmatch(r"([\w.-]+)==([\w.+!-]+)((?: \\\n {4}\S+)*)", entry)
        assert found, entry
        pins[canonicalize_name(found[1])] = found[2], found[3]
    return pins


def test_image_installs_the_versions_of_constraints_txt_by_their_hashes() -> None:
    tested = _pins("constraints.txt")
    installed = _pins("docker/requirements.txt")
    for name, (version, hashes) in installed.items():
        assert version == tested[name][0], name
        assert re.fullmatch(r"( \\\n {4}--hash=sha256:[0-9a-f]{64})+", hashes), name
    assert "--require-hashes" in DOCKERFILE


def test_image_installs_all_that_its_packages_need_and_no_more() -> None:
    """As pip does with --require-hashes, which takes nothing that is not listed."""
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
    assert {name for name, _ in needed} == {*_pins("docker/requirements.txt")}


def test_beams_boot_is_of_the_version_that_is_installed() -> None:
    image = re.search(r"^ARG BEAM=apache/beam_python3.11_sdk:(\S+)$", DOCKERFILE, re.M)
    assert image
    assert image[1] == _pins("docker/requirements.txt")["apache-beam"][0]


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
