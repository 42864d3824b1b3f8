"""The micro-batch that a device has memory for."""

import dataclasses

import pytest

from dyso.train.device_memory import activation_bytes, fit, largest_portion
from dyso.train.presets import PRESETS
from dyso.train.step import devices_mesh


def test_activations_of_the_papers_model_are_those_measured():
    config = PRESETS["dyst"].config
    training = dataclasses.replace(config.training, pixels=0)
    rest = activation_bytes(dataclasses.replace(config, training=training))
    assert activation_bytes(config) - rest == pytest.approx(300e6, rel=0.02)
    model = dataclasses.replace(
        config.model, decoder_layers=0, encoder_layers=0, estimator_layers=0
    )
    cnn = activation_bytes(dataclasses.replace(config, model=model))
    assert cnn == pytest.approx(58e6, rel=0.02)
    # Batch 256 does not fit 80 GB in one piece, and half of it does.
    scenes = int(0.8 * 76e9 / activation_bytes(config))
    assert largest_portion(256, 1, scenes) == 128


def test_rematerialisation_takes_less():
    config = PRESETS["dyst"].config
    none, dots, full = (
        activation_bytes(
            dataclasses.replace(
                config, model=dataclasses.replace(config.model, remat=remat)
            )
        )
        for remat in ("none", "dots", "full")
    )
    assert full < 0.5 * none and full < dots < 0.6 * none


@pytest.mark.parametrize(
    "batch, devices, scenes, held",
    [(256, 1, 300, 256), (256, 1, 255, 128), (256, 8, 17, 128), (12, 2, 3, 6)],
)
def test_a_portion_divides_the_batch_and_is_shared_by_the_devices(
    batch, devices, scenes, held
):
    assert largest_portion(batch, devices, scenes) == held


def test_where_nothing_fits_each_device_holds_one_scene():
    assert largest_portion(256, 4, 0) == 4


def test_a_cpu_holds_the_whole_batch(small):
    lines = []
    assert fit(small, devices_mesh(), 0, lines.append) == small
    assert not lines
