"""The tfds builder that `import dyso.tfds` registers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import read_only_builder

from dyso.reading.shards import Shards


class Dyso(read_only_builder.ReadOnlyBuilder):
    """Opens a dataset folder under the name `dyso`, also as a `tf.data.Dataset`.

    tfds itself reads ArrayRecord only as a random access data source.
    """

    def __init__(self, *, data_dir: str | os.PathLike[str], **kwargs: Any):
        """Takes the dataset folder itself as `data_dir`.

        Raises:
          FileNotFoundError: the folder holds no dataset.
        """
        super().__init__(builder_dir=os.fspath(data_dir), **kwargs)
        # The arguments with which unpickling calls `__init__`.
        self._original_state = {"data_dir": os.fspath(data_dir)}

    def _as_dataset(
        self,
        split: Any,
        decoders: Any = None,
        read_config: tfds.ReadConfig | None = None,
        shuffle_files: bool = False,
    ) -> Any:
        """Builds a `tf.data.Dataset`; `shuffle_files` shuffles single scenes."""
        import tensorflow as tf

        config = read_config or tfds.ReadConfig()
        features = self.info.features
        if isinstance(decoders, tfds.decode.PartialDecoding):
            features, decoders = decoders.extract_features(features), decoders.decoders
        files = self.info.splits[split].file_instructions
        shards = Shards(tuple((Path(f.filename), f.examples_in_shard) for f in files))
        places = [
            (shard, position)
            for shard, file in enumerate(files)
            for position in range(file.skip, file.skip + file.take)
        ]

        def read(place: Any) -> bytes:
            return shards.read(*place.tolist())

        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(places, tf.int64))
        if context := config.input_context:
            dataset = dataset.shard(
                context.num_input_pipelines, context.input_pipeline_id
            )
        if shuffle_files:
            dataset = dataset.shuffle(
                len(places),
                seed=config.shuffle_seed,
                reshuffle_each_iteration=config.shuffle_reshuffle_each_iteration,
            )

        def parse(place: Any) -> Any:
            data = tf.ensure_shape(tf.numpy_function(read, [place], tf.string), [])
            return features.deserialize_example(data, decoders=decoders)

        return dataset.map(
            parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        ).with_options(config.options)
