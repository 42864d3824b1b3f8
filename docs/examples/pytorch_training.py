"""Reads batches in PyTorch, with new views in each epoch.

pip install torch
python docs/examples/pytorch_training.py [DATASET]
"""

import sys

import torch

from dyso.reading import Dataset, Source
from dyso.reading.torch import EpochSampler, Scenes

EPOCHS = 2

train = Dataset(sys.argv[1] if len(sys.argv) > 1 else "data/demo")["train"]
scenes = Scenes(Source(split=train, fields=("color", "camera_pattern"), views=7))
sampler = EpochSampler(scenes, seed=0)
batches = torch.utils.data.DataLoader(
    scenes, batch_size=2, sampler=sampler, collate_fn=scenes.collate
)
for epoch in range(EPOCHS):
    sampler.set_epoch(epoch)  # a new order, and other views of each scene
    for batch in batches:
        color = batch["color"].float() / 255  # [scenes, views, height, width, 3]
        chosen = batch["views"].tolist()  # view = dynamics step * cameras + camera
        print(f"epoch {epoch}: {tuple(color.shape)}, first views {chosen[0]}")
