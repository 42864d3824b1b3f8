"""Builds a tf.data pipeline of input and target views with tfds.

python docs/examples/tensorflow_input.py [DATASET]
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides notes on the CPU

import tensorflow as tf
import tensorflow_datasets as tfds

import dyso.tfds  # noqa: F401  registers "dyso"

FIELDS = {"color": True, "extrinsics": True, "scene_name": True}
INPUTS, TARGETS = 3, 4


def choose(scene: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Draws distinct input and target views."""
    count = tf.shape(scene["color"])[0]
    drawn = tf.random.shuffle(tf.range(count))[: INPUTS + TARGETS]
    color = tf.image.convert_image_dtype(tf.gather(scene["color"], drawn), tf.float32)
    cameras = tf.gather(scene["extrinsics"], drawn)
    return {
        "inputs": color[:INPUTS],
        "targets": color[INPUTS:],
        "cameras": cameras,
        "name": scene["scene_name"],
    }


tf.random.set_seed(0)
scenes = tfds.load(
    "dyso",
    data_dir=sys.argv[1] if len(sys.argv) > 1 else "data/demo",
    split="train",
    decoders=tfds.decode.PartialDecoding(FIELDS),
    shuffle_files=True,
)
batches = scenes.map(choose).batch(2).prefetch(1)
for batch in batches.take(2):
    print(batch["name"].numpy(), batch["inputs"].shape, batch["targets"].shape)
