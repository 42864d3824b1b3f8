"""A small dataset and a smaller model."""

import dataclasses
import sys

import pytest

from dyso.records.synthetic import synthetic_views
from dyso.train.config import Config, Model, Training
from dyso.videos import Options, ingest
from helpers.dataset_writer import write_dataset
from helpers.video_files import film, numbered

SMALL = Config(
    model=Model(
        resolution=(16, 16),
        width=16,
        heads=2,
        mlp=16,
        cnn_width=4,
        encoder_layers=1,
        estimator_blocks=3,
        estimator_layers=1,
        decoder_layers=1,
        color_hidden=16,
        compute="float32",
    ),
    training=Training(
        steps=6, batch_size=4, pixels=64, warmup_steps=2, learning_rate=1e-2, clip=1.0
    ),
    log_every=2,
    save_every=2,
    sample_every=6,
)


@pytest.fixture(scope="session")
def small() -> Config:
    return SMALL


@pytest.fixture(scope="session")
def trained_on(make_resolved, tmp_path_factory):
    """The folder of a dataset of 8 scenes, 25 views of 16 x 16."""
    resolved = make_resolved(splits={"train": 8, "test": 4}, resolution=(16, 16))
    folder = tmp_path_factory.mktemp("train") / "data"
    return write_dataset(folder, resolved, synthetic_views)


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """The folder of 6 clips of 9 to 14 numbered frames of 16 x 16."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(6):
        film(folder / "films" / f"{i}.mp4", numbered(9 + i))
    ingest(folder / "films", folder / "clips", Options(resolution=(16, 16)), workers=1)
    return folder / "clips"


@pytest.fixture
def changed(small):
    """Gives the small run with other settings."""

    def change(model=None, **training):
        return dataclasses.replace(
            small,
            model=dataclasses.replace(small.model, **(model or {})),
            training=dataclasses.replace(small.training, **training),
        )

    return change


@pytest.fixture(scope="session")
def command(trained_on):
    """Gives the command that trains a small model."""

    def give(workdir, *more):
        start = [sys.executable, "-c", "from dyso.cli import main; main()", "train"]
        options = "--model.width 16 --model.heads 2"
        options += " --model.mlp 16 --model.cnn-width 4 --model.color-hidden 16"
        options += " --model.encoder-layers 1 --model.estimator-layers 1"
        options += " --model.decoder-layers 1 --model.estimator-blocks 3"
        options += " --training.batch-size 4 --training.pixels 64 --log-every 1"
        # However long it is, so that its step is compiled once for all tests.
        options += " --training.decay-steps 100"
        folders = ["--data", trained_on, "--workdir", workdir]
        return [*start, "dyst-tiny", *folders, *options.split(), *more]

    return give
