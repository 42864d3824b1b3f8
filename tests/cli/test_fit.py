"""`dyso fit`: its methods and their settings."""

import pytest

from dyso.cli import arguments, fit
from dyso.cli.fit import PRESETS
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


def test_a_video_has_settings_of_its_own():
    words = "small-motion-tiny DATA --out W --depth.loss expectation --cameras.no-learn"
    name, command, rest = fit.select(words.split())
    bound = arguments.parse(command, f"dyso {name}", rest)
    config = bound.keywords["config"]
    assert config.depth.loss == "expectation" and config.depth.draws == 8
    assert not config.cameras.learn
    assert config.rays == PRESETS["small-motion-tiny"].config.rays


def test_hexplanes_have_settings_of_their_own():
    words = "hexplane-tiny DATA --out W --grid.levels 2 --held-out 3"
    name, command, rest = fit.select(words.split())
    config = arguments.parse(command, f"dyso {name}", rest).keywords["config"]
    assert config.grid.levels == 2 and config.held_out == (3,)
    assert config.marching == PRESETS["hexplane-tiny"].config.marching


@pytest.mark.parametrize(
    "words, message",
    [
        ("--marching.points 600", "marching.points: must be at most"),
        ("--grid.layers 0", "grid.layers: must be at least 1"),
        ("--occupancy.decay 1", "occupancy.decay: must be at least 0 and below 1"),
        ("--occupancy.cells 48 --occupancy.least 0.05", "start, 0.0408 with 48 cells"),
        ("--grid.coarsest 1", "grid.coarsest: must be at least 2"),
    ],
)
def test_wrong_settings_of_a_hexplane(words, message):
    name, command, rest = fit.select(f"hexplane DATA --out W {words}".split())
    with pytest.raises(UserError, match=message):
        arguments.parse(command, f"dyso {name}", rest)


def test_unknown_method_and_wrong_setting():
    with pytest.raises(UserError, match="did you mean 'dynamic-gaussians'"):
        fit.select(["dynamic-gausians"])
    name, command, rest = fit.select(
        ["dynamic-gaussians", "DATA", "--out", "W", "--initial", "2"]
    )
    with pytest.raises(UserError, match="initial: must be above 0 and at most 1"):
        arguments.parse(command, f"dyso {name}", rest)
    name, command, rest = fit.select(
        ["small-motion", "DATA", "--out", "W", "--depth.temperature", "0"]
    )
    with pytest.raises(UserError, match=r"depth\.temperature and .* above 0"):
        arguments.parse(command, f"dyso {name}", rest)
