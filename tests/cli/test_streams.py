"""Commands with closed, full and abandoned standard streams."""

import subprocess
import sys

import pytest

SPEC = """
name: tiny
splits: {train: 1}
resolution: [16, 16]
dynamics: {steps: 2}
cameras: {count: 2}
render: {samples: 1, denoise: false}
"""
FULL = "standard output: No space left on device\n"
BAD = "dyso: no command 'nothing'"


def dyso(arguments, streams):
    """Runs a command with streams as a shell makes them; returns status and stderr."""
    command = f'"{sys.executable}" -c "from dyso.cli import main; main()"'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {arguments} {streams}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", ["--help", "doctor --help"])
@pytest.mark.parametrize(
    ("streams", "ends"),
    [
        ("", (0, "")),
        (">&-", (0, "")),
        ("2>&-", (0, "")),
        ("<&- >&- 2>&-", (0, "")),
        ("2>/dev/full", (0, "")),
        (">/dev/full", (1, FULL)),
        ("| true", (0, "")),
    ],
)
def test_printed_text_may_be_lost(arguments, streams, ends):
    assert dyso(arguments, streams) == ends


@pytest.mark.parametrize("streams", ["", ">&-", "2>&-", ">/dev/full", "2>/dev/full"])
def test_the_status_is_the_commands_own(streams):
    status, err = dyso("nothing", streams)
    assert status == 2
    assert err.startswith(BAD) or streams.startswith("2")


@pytest.mark.slow
def test_a_dataset_is_complete_whatever_its_streams_are(tmp_path):
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    deaf, full = tmp_path / "deaf", tmp_path / "full"
    assert dyso(f"generate {spec} --out {deaf}", "<&- >&- 2>&-") == (0, "")
    status, err = dyso(f"generate {spec} --out {full}", ">/dev/full")
    assert status == 1 and err.endswith(FULL) and "Traceback" not in err
    names = ["COMPLETED", "spec.json", "tiny-train.array_record-00000-of-00001"]
    for name in names:
        assert (deaf / name).read_bytes() == (full / name).read_bytes()
    assert sorted(deaf.iterdir()) == sorted(deaf / p.name for p in full.iterdir())
