"""`dyso train`: its presets, and the resolution that it trains at."""

import dataclasses

import pytest

from dyso.cli import train
from dyso.records.synthetic import synthetic_views
from dyso.spec import UserError
from dyso.train.presets import PRESETS
from helpers.dataset_writer import write_dataset


def test_help_lists_every_preset_with_a_line():
    said = str(train.main.__doc__).splitlines()
    for name, preset in PRESETS.items():
        assert any(line.split()[:1] == [name] and preset.about in line for line in said)


def test_help_of_a_preset_says_what_it_needs_and_its_score():
    _, command, _ = train.select(["rust"])
    said = str(command.__doc__)
    assert PRESETS["rust"].needs in said and "PSNR 23.49 on MultiShapeNet" in said
    assert "upsrt" not in said and "--training.steps" in said


def test_the_resolution_is_the_datasets_unless_set():
    _, command, _ = train.select(["dyst-tiny"])
    config = command.keywords["config"]
    assert train.at_resolution(config, (96, 160)).model.resolution == (96, 160)
    model = dataclasses.replace(config.model, resolution=(64, 64))
    own = dataclasses.replace(config, model=model)
    assert train.at_resolution(own, (96, 160)) == own
    told = "must be multiples of 8; the dataset has 100 x 96"
    with pytest.raises(UserError, match=told):
        train.at_resolution(config, (100, 96))


@pytest.mark.parametrize(
    "splits, trained_on, evaluated",
    [
        (["train", "test", "validation"], "train", "validation"),
        (["train", "test"], "train[:10]", "test"),
        (["train", "test"], "test", None),
        (["train"], "train", None),
    ],
)
def test_a_run_is_measured_on_a_split_that_it_is_not_trained_on(
    splits, trained_on, evaluated
):
    assert train.split_to_evaluate(splits, trained_on) == evaluated


def test_measurements_are_a_line_of_their_own():
    config = train.select(["dyst-tiny"])[1].keywords["config"]
    scores = {"psnr": 18.514, "R_cam": 0.29, "R_dyn": 1.17}
    named = {f"evaluation/{name}": value for name, value in scores.items()}
    line = train.describe({"step": 500, **named}, config)
    assert line == "step 500/4000, evaluation PSNR 18.51, R_cam 0.290, R_dyn 1.170"


def test_data_are_identified_by_content_wherever_they_lie(videos, tmp_path):
    for name in ("one", "other"):
        write_dataset(tmp_path / name, videos, synthetic_views)
    one, other = (train.identify(tmp_path / n, "train", 3) for n in ("one", "other"))
    assert one == other and one["split"] == "train" and one["count"] == 3
    resolved = dataclasses.replace(
        videos, spec=dataclasses.replace(videos.spec, seed=1)
    )
    write_dataset(tmp_path / "seed", resolved, synthetic_views)
    assert train.identify(tmp_path / "seed", "train", 3) != one
