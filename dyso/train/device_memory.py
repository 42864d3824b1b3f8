"""How many scenes fit on a device at once: the micro-batch where none is set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from dyso.train.config import Config
from dyso.train.step import init_state

SHARE = 0.8
"""Of the free memory, that is planned with: the rest is for XLA's temporary buffers."""


def activation_bytes(config: Config) -> int:
    """Returns the memory that a scene's activations take until its backward pass.

    An estimate. `dyst` in bfloat16 takes about 300 MB for the decoder and 58 MB for the
    CNNs: 12 values of the width for each query and layer, and 2.6 of `cnn_width` for
    each pixel. Tokens of the encoder and the estimator are counted as queries are. With
    attention that is not fused (in float32), the weights are kept too.
    """
    model, training = config.model, config.training
    height, width = model.resolution
    pixels = height * width
    seen = training.inputs * model.tokens_a_view
    latent = bool(model.latents) * training.targets
    queries = pixels // 4**model.estimator_blocks + 1
    tokens = seen * model.encoder_layers + latent * queries * model.estimator_layers
    layers = tokens * (8 * model.width + 2 * model.mlp)
    decoded = training.pixels * model.decoder_layers
    layers += decoded * (8 * model.query_size + 2 * model.mlp)
    views = (training.inputs + latent) * pixels
    bytes_each = 2 if model.compute == "bfloat16" else 4
    attention = 0
    if model.compute == "float32":
        attention = model.heads * (
            training.pixels * model.decoder_layers * seen
            + seen * model.encoder_layers * seen
            + latent
            * queries
            * model.estimator_layers
            * (model.tokens_a_view + queries)
        )
    if model.remat != "none":
        # Kept are the layers' inputs, with `dots` the results of their linear layers
        # too, and everything of the largest layer.
        layers //= {"dots": 2, "full": 4}[model.remat]
        attention //= model.decoder_layers
    return int(bytes_each * (layers + attention + 2.63 * model.cnn_width * views))


def largest_portion(batch: int, devices: int, scenes: int) -> int:
    """Returns the largest micro-batch of which each device holds at most some scenes.

    Args:
      batch: scenes in a step, a multiple of `devices`.
      devices: that share it.
      scenes: that one device has memory for.

    Returns:
      A multiple of `devices` that divides the batch; `devices` if nothing fits.
    """
    portions = [
        held
        for held in range(devices, batch + 1, devices)
        if batch % held == 0 and held // devices <= scenes
    ]
    return max(portions, default=devices)


def fit(
    config: Config, mesh: Mesh, pictures: int, tell: Callable[[str], None]
) -> Config:
    """Returns a run with the micro-batch that its devices have memory for.

    A micro-batch that is set stays. A CPU holds the whole batch.

    Args:
      config: the run.
      mesh: of devices.
      pictures: bytes of pictures that will be on every device.
      tell: prints a line if the batch is divided.
    """
    batch, device = config.training.batch_size, jax.local_devices()[0]
    stats = device.memory_stats() or {}
    if config.training.micro_batch or "bytes_limit" not in stats:
        return config
    state = jax.eval_shape(lambda: init_state(config))
    # The state, and two gradients while they are summed.
    held = sum(
        leaf.size * leaf.dtype.itemsize
        for leaf in jax.tree.leaves((state, state.params, state.params))
    )
    free = stats["bytes_limit"] - stats["bytes_in_use"] - pictures - held
    each = activation_bytes(config)
    portion = largest_portion(batch, mesh.size, int(SHARE * free / each))
    # All processes must run the same program, whatever each one's device has free.
    portion = int(multihost_utils.process_allgather(np.int32(portion)).min())
    if portion == batch:
        return config
    tell(
        f"micro-batch: {portion} of {batch} scenes at a time: a scene takes about "
        f"{each / 1e6:.0f} MB and {free / 1e9:.0f} GB are free on {device}; "
        "--training.micro-batch sets another number"
    )
    return replace(config, training=replace(config.training, micro_batch=portion))
