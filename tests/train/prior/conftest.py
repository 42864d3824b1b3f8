"""A small dataset of captioned videos and a smaller prior."""

import pytest

from dyso.records.synthetic import synthetic_views
from dyso.spec import Cameras, Dynamics
from dyso.train.prior.config import Config, Network, Training
from helpers.dataset_writer import write_dataset


@pytest.fixture(scope="session")
def films(make_resolved, tmp_path_factory):
    """The folder of a dataset: 3 and 2 scenes, 6 steps, 2 cameras of 16 x 16."""
    resolved = make_resolved(
        splits={"train": 3, "validation": 2},
        resolution=(16, 16),
        dynamics=Dynamics(steps=6, motion="smooth", frame_rate=12),
        cameras=Cameras(count=2),
    )
    folder = tmp_path_factory.mktemp("films") / "data"
    return write_dataset(folder, resolved, synthetic_views)


@pytest.fixture(scope="session")
def small_prior():
    return Config(
        model=Network(
            resolution=(8, 8),
            frames=3,
            channels=(4, 16),
            blocks=1,
            layers=1,
            heads=2,
            text_layers=1,
            tokens=6,
            compute="float32",
        ),
        training=Training(
            steps=6,
            decay_steps=6,
            batch_size=2,
            image_share=0.34,
            strides=2,
            warmup_steps=1,
            learning_rate=1e-2,
        ),
        sample_steps=2,
        log_every=2,
        save_every=2,
        sample_every=6,
        evaluate_every=6,
        evaluate_videos=4,
    )
