"""Registers DySO with tfds; import it for `tfds.load("dyso", data_dir=D)`.

import dyso.tfds
import tensorflow_datasets as tfds

dataset = tfds.load("dyso", data_dir="data/demo", split="train")       # TensorFlow
source = tfds.data_source("dyso", data_dir="data/demo", split="train")  # numpy
"""

from dyso.reading.builder import Dyso

__all__ = ["Dyso"]
