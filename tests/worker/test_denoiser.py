"""The denoiser that is loaded once does what Cycles' own does."""

import subprocess
import sys

import helpers


def test_the_denoiser_is_that_of_cycles() -> None:
    script = str(helpers.FOLDER / "denoised.py")
    ran = subprocess.run(
        [sys.executable, script], check=True, timeout=120, capture_output=True
    )
    [line] = [s for s in ran.stdout.splitlines() if s.startswith(b"denoised")]
    contrast, from_cycles, from_first = map(float, line.split()[1:])
    assert contrast > 0.1
    assert from_cycles < 1e-4 * contrast
    assert from_first == 0
