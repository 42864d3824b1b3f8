"""Named settings of a video prior."""

from __future__ import annotations

import dataclasses

from dyso.train.presets import Preset
from dyso.train.prior.config import Config, Network, Training

PRESETS = {
    "video-prior": Preset(
        about="a text-conditional diffusion model of videos of 16 frames, for a GPU",
        needs="a dataset with at least 16 dynamics steps, of 64 x 64 pixels or more",
        config=Config(),
    ),
    "video-prior-tiny": Preset(
        about="a video prior of 8 frames of 32 x 32 pixels, for a CPU",
        needs="a dataset such as specs/captioned_videos.yaml",
        config=Config(
            model=Network(
                resolution=(32, 32),
                frames=8,
                channels=(32, 64, 128),
                blocks=1,
                layers=2,
                heads=4,
                text_layers=1,
                tokens=24,
                compute="float32",
            ),
            training=Training(
                steps=6_000,
                decay_steps=6_000,
                batch_size=8,
                image_share=0.4,
                strides=2,
                learning_rate=1e-3,
                final_learning_rate=3e-5,
                warmup_steps=200,
            ),
            guidance=3.0,
            sample_steps=25,
            log_every=50,
            save_every=250,
            sample_every=500,
            evaluate_every=500,
            evaluate_videos=24,
        ),
    ),
}

_TINY = PRESETS["video-prior-tiny"].config
PRESETS["video-prior-super-resolution-tiny"] = Preset(
    about="super-resolution of videos from 32 x 32 to 64 x 64 pixels, for a CPU",
    needs="a dataset such as specs/captioned_videos.yaml, of 64 x 64 pixels",
    config=dataclasses.replace(
        _TINY,
        model=dataclasses.replace(
            _TINY.model, resolution=(64, 64), upsampling=2, patch=4
        ),
        training=dataclasses.replace(_TINY.training, steps=2_000, decay_steps=2_000),
    ),
)
