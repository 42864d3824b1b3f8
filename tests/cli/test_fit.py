"""`dyso fit`: its methods and their settings."""

import pytest

from dyso.cli import arguments, fit
from dyso.fit.gaussians.presets import PRESETS
from dyso.spec import UserError


def test_help_lists_every_method(capsys):
    name, command, rest = fit.select(["--help"])
    with pytest.raises(SystemExit):
        arguments.parse(command, f"dyso {name}", rest)
    said = " ".join(capsys.readouterr().out.split())
    for method, preset in PRESETS.items():
        assert f"{method} " in said and preset.about in said
    assert "--losses.rigid" in said


def test_settings_replace_those_of_the_method():
    words = "dynamic-gaussians-tiny DATA --out W --losses.rigid 0 --held-out 1 4"
    name, command, rest = fit.select(words.split())
    bound = arguments.parse(command, f"dyso {name}", rest)
    config = bound.keywords["config"]
    assert config.losses.rigid == 0 and config.losses.rotation == 4
    assert config.held_out == (1, 4)
    assert config.gaussians == PRESETS["dynamic-gaussians-tiny"].config.gaussians


def test_unknown_method_and_wrong_setting():
    with pytest.raises(UserError, match="did you mean 'dynamic-gaussians'"):
        fit.select(["dynamic-gausians"])
    name, command, rest = fit.select(
        ["dynamic-gaussians", "DATA", "--out", "W", "--initial", "2"]
    )
    with pytest.raises(UserError, match="initial: must be above 0 and at most 1"):
        arguments.parse(command, f"dyso {name}", rest)
