"""`dyso train`: its presets, and the resolution that it trains at."""

import dataclasses

import pytest

from dyso.cli import train
from dyso.spec import UserError
from dyso.train.presets import ABOUT, PRESETS


def test_help_lists_every_preset_with_a_line():
    said = str(train.main.__doc__).splitlines()
    assert ABOUT.keys() == PRESETS.keys()
    for name in PRESETS:
        assert any(line.split()[:1] == [name] and ABOUT[name] in line for line in said)


def test_the_resolution_is_the_datasets_unless_set():
    _, command, _ = train.select(["dyst-tiny"])
    config = command.keywords["config"]
    assert train.at_resolution(config, (96, 160)).model.resolution == (96, 160)
    model = dataclasses.replace(config.model, resolution=(64, 64))
    own = dataclasses.replace(config, model=model)
    assert train.at_resolution(own, (96, 160)) == own
    told = "must be multiples of 16; the dataset has 100 x 96"
    with pytest.raises(UserError, match=told):
        train.at_resolution(config, (100, 96))
