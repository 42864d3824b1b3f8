from contextlib import ExitStack

import pytest

from dyso.cli import doctor
from dyso.render.resources import (
    PACKAGES,
    claimed_cpu,
    require_system_libraries,
    usable_cpus,
)
from dyso.spec import UserError


@pytest.fixture
def bare_system(tmp_path, monkeypatch):
    """A system on which ldd reports missing libraries."""
    ldd = tmp_path / "ldd"
    lines = [f"echo '\t{name} => not found'" for name in [*PACKAGES, "libodd.so.7"]]
    lines.append("echo '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)'")
    ldd.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    ldd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_missing_libraries_are_named_with_the_command_to_install_them(bare_system):
    with pytest.raises(UserError) as caught:
        require_system_libraries()
    message = str(caught.value)
    assert "\n" not in message
    assert (
        "apt-get install libgl1 libsm6 libxfixes3 libxi6 libxkbcommon0 libxrender1`"
        in message
    )
    assert "libodd.so.7" in message and "libc.so.6" not in message


def test_doctor_accepts_this_machine(tmp_path, capsys):
    assert doctor.main(out=tmp_path) == 0
    out = capsys.readouterr().out
    assert "PROBLEM" not in out
    assert "4.5" in next(line for line in out.splitlines() if " bpy  " in line)
    assert "next: dyso generate" in out


def test_doctor_fails_and_says_how_to_fix_it(bare_system, capsys):
    assert doctor.main() == 1
    [line] = [x for x in capsys.readouterr().out.splitlines() if "PROBLEM" in x]
    assert "libraries" in line and "apt-get install" in line


def test_every_cpu_is_claimed_once_and_released(tmp_path, monkeypatch):
    monkeypatch.setattr("dyso.render.resources.CLAIM", str(tmp_path))
    cpus = usable_cpus()
    with ExitStack() as stack:
        claims = [stack.enter_context(claimed_cpu()) for _ in [*cpus, "one more"]]
    assert claims == [*cpus, None]
    with claimed_cpu() as again:
        assert again == cpus[0]
