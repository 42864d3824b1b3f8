"""DyST's forward and backward pass beside the same model in PyTorch, on a CPU.

    pip install '.[train]' torch
    python benchmarks/train_torch.py dyst-tiny

Both have the same parameters and see the same pictures; their losses and gradients must
agree before anything is timed. PyTorch's attention is `scaled_dot_product_attention`,
its convolutions are in its faster memory format, channels last. A pass is one loss over
a batch and its gradient, in float32, without optimizer. Both take turns, in one
process on all of its cores; the figures are medians.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dyso.train.config import Config, Model
from dyso.train.model import Dyst
from dyso.train.presets import PRESETS
from dyso.train.step import init_params

PAIRS = 7
TURN = 5  # passes in a row, as in training, after one that is not timed
REST = 0.1  # seconds: the threads of the one before wait in a loop for more work


def to_torch(params: Any) -> Any:
    """Returns Flax's parameters in PyTorch's layouts: outputs first."""
    result = {}
    for name, value in params.items():
        if isinstance(value, dict):
            result[name] = to_torch(value)
            continue
        array = np.asarray(value)
        if name == "kernel" and array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        elif name == "kernel":
            array = array.reshape(array.shape[0], -1).T
        result[name] = torch.tensor(array.copy(), requires_grad=True)
        if result[name].ndim == 4:
            result[name] = (
                result[name]
                .detach()
                .to(memory_format=torch.channels_last)
                .requires_grad_()
            )
    return result


def leaves(params: Any) -> list[Tensor]:
    """Returns all tensors of nested dictionaries, in the order of their names."""
    if isinstance(params, Tensor):
        return [params]
    return [leaf for name in sorted(params) for leaf in leaves(params[name])]


def linear(p: Any, x: Tensor) -> Tensor:
    """A dense layer."""
    return F.linear(x, p["kernel"], p.get("bias"))


def norm(p: Any, x: Tensor) -> Tensor:
    """A layer norm with Flax's epsilon."""
    return F.layer_norm(x, x.shape[-1:], p["scale"], p["bias"], 1e-6)


def features(x: Tensor) -> Tensor:
    """Returns Fourier features of positions [..., 2], 8 octaves."""
    scales = 2.0 ** torch.arange(8) * math.pi
    angles = (x[..., None] * scales).flatten(-2)
    return torch.cat([torch.sin(angles), torch.cos(angles)], -1)


def attention(p: Any, model: Model, x: Tensor, to: Tensor) -> Tensor:
    """Multi-head attention [B, Q, D] into [C, K, D]; C divides B."""
    size = model.width // model.heads

    def heads(name: str, value: Tensor) -> Tensor:
        value = linear(p[name], value).reshape(to.shape[0], -1, model.heads, size)
        return value.transpose(1, 2)

    out = F.scaled_dot_product_attention(
        heads("query", x), heads("key", to), heads("value", to)
    )
    return linear(p["out"], out.transpose(1, 2).reshape(*x.shape[:2], model.width))


def block(
    p: Any,
    model: Model,
    x: Tensor,
    scene: Tensor | None = None,
    to_itself: bool = False,
) -> Tensor:
    """A pre-norm layer: cross-attention, self-attention, MLP."""
    norms = (p[f"LayerNorm_{i}"] for i in range(3))
    if scene is not None:
        x = x + attention(p["cross"], model, norm(next(norms), x), scene)
    if to_itself:
        y = norm(next(norms), x)
        x = x + attention(p["self"], model, y, y)
    hidden = F.gelu(linear(p["Dense_0"], norm(next(norms), x)), approximate="tanh")
    return x + linear(p["Dense_1"], hidden)


def patches(p: Any, views: Tensor, blocks: int, width: int) -> Tensor:
    """SRT's CNN: tokens [N, K, D] of views [N, H, W, 3]."""
    x = views.permute(0, 3, 1, 2)  # contiguous as [N, H, W, C]: channels last
    for i in range(2 * blocks):
        kernel = p[f"Conv_{i}"]["kernel"]
        if i % 2:
            x = F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, stride=2)
        else:
            x = F.conv2d(x, kernel, padding=1)
        x = F.relu(x)
    count, (height, wide) = len(x), x.shape[2:]
    down, across = torch.meshgrid(
        (torch.arange(height) + 0.5) / height,
        (torch.arange(wide) + 0.5) / wide,
        indexing="ij",
    )
    places = features(torch.stack([across, down], -1)).expand(count, -1, -1, -1)
    x = torch.cat([x.permute(0, 2, 3, 1), places], -1)
    return linear(p["tokens"], x).reshape(count, -1, width)


def forward(
    params: Any,
    config: Config,
    inputs: Tensor,
    targets: Tensor,
    owners: Tensor,
    positions: Tensor,
) -> Tensor:
    """Returns the colours [B, P, 3]; see `Dyst.__call__`."""
    model = config.model
    batch, count = targets.shape[:2]
    p = params["encoder"]
    tokens = patches(
        p["patches"], inputs.flatten(0, 1), model.encoder_blocks, model.width
    )
    tokens = tokens.reshape(batch, inputs.shape[1], -1, model.width)
    tokens = torch.cat([tokens[:, :1] + p["first_view"], tokens[:, 1:]], 1)
    scene = tokens.reshape(batch, -1, model.width)
    for i in range(model.encoder_layers):
        scene = block(p[f"layer_{i}"], model, scene, to_itself=True)
    scene = norm(p["LayerNorm_0"], scene)

    p = params["estimator"]
    tokens = patches(
        p["patches"], targets.flatten(0, 1), model.estimator_blocks, model.width
    )
    token = p["dynamics_token"].expand(batch * count, 1, -1)
    tokens, first = torch.cat([tokens, token], 1), scene[:, : model.tokens_a_view]
    for i in range(model.estimator_layers):
        tokens = block(p[f"layer_{i}"], model, tokens, first, to_itself=True)
    tokens = norm(p["LayerNorm_0"], tokens)
    latents = torch.cat(
        [
            linear(p["camera"], tokens[:, :-1].mean(1)),
            linear(p["dynamics"], tokens[:, -1]),
        ],
        -1,
    ).reshape(batch, count, -1)

    p = params["decoder"]
    query = linear(p["query_position"], features(positions))
    one_hot = F.one_hot(owners.long(), count).to(query.dtype)
    query = query + one_hot @ linear(p["query_latents"], latents)
    for i in range(model.decoder_layers):
        query = block(p[f"layer_{i}"], model, query, scene)
    hidden = F.relu(linear(p["color_hidden"], norm(p["LayerNorm_0"], query)))
    return torch.sigmoid(linear(p["color"], hidden))


def main() -> None:
    """Prints the seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=("dyst", "dyst-tiny"))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    arguments = parser.parse_args()
    config = PRESETS[arguments.preset].config
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, compute="float32")
    )
    training, rng = config.training, np.random.default_rng(0)
    size, shape = arguments.batch_size, (*config.model.resolution, 3)

    def draw(*shape: int) -> np.ndarray:
        return rng.random(shape, np.float32)

    inputs = draw(size, training.inputs, *shape)
    targets = draw(size, training.targets, *shape)
    owners = rng.integers(
        training.targets, size=(size, training.pixels), dtype=np.int32
    )
    positions = draw(size, training.pixels, 2)
    colors = draw(size, training.pixels, 3)
    params = init_params(config)
    model = Dyst(config.model)

    data = inputs, targets, owners, positions, colors

    @jax.jit
    @jax.value_and_grad
    def pass_(params: Any, data: Any) -> Any:
        return ((model.apply({"params": params}, *data[:4]) - data[4]) ** 2).mean()

    def ours() -> Any:
        return jax.block_until_ready(pass_(params, data))

    copied = to_torch(jax.device_get(params))
    parameters = leaves(copied)
    tensors = [torch.tensor(x) for x in data]

    def theirs() -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = ((forward(copied, config, *tensors[:4]) - tensors[4]) ** 2).mean()
        return loss, torch.autograd.grad(loss, parameters)

    loss, gradient = ours()
    other, gradients = theirs()
    np.testing.assert_allclose(loss, other.detach(), rtol=1e-5)
    for ours_, theirs_ in zip(
        leaves(to_torch(jax.device_get(gradient))), gradients, strict=True
    ):
        np.testing.assert_allclose(
            ours_.detach(), theirs_, rtol=1e-2, atol=1e-3 * float(theirs_.abs().max())
        )
    times: dict[str, list[float]] = {"jax": [], "torch": []}
    for _ in range(arguments.pairs):
        for name, run in (("jax", ours), ("torch", theirs)):
            time.sleep(REST)
            run()
            start = time.perf_counter()
            for _ in range(TURN):
                run()
            times[name].append((time.perf_counter() - start) / TURN)
    ratio = statistics.median(
        b / a for a, b in zip(times["jax"], times["torch"], strict=True)
    )
    print(f"{arguments.preset}, {size} scenes, forward and backward, float32")
    print(f"jax {jax.__version__:10} {statistics.median(times['jax']):.3f} s")
    print(f"torch {torch.__version__:8} {statistics.median(times['torch']):.3f} s")
    print(f"torch's time over ours, median of {arguments.pairs} pairs: {ratio:.2f}")


if __name__ == "__main__":
    main()
