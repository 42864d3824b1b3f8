"""LPIPS, computed by JAX from the original weights.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018, version 0.1, over AlexNet or VGG-16.
"""

from __future__ import annotations

import functools
import zipfile
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dyso.spec import UserError
from dyso.train.metrics import Images, Measure


class _Stage(NamedTuple):
    """Pooling by `pool` (0: none), then convolutions; the last one is compared."""

    pool: int
    convolutions: tuple[str, ...]
    stride: int = 1
    padding: int = 1


# Names are those of the `lpips` package, where a network's layers are counted through.
_NETS = {
    "alex": (
        _Stage(0, ("slice1.0",), 4, 2),
        _Stage(3, ("slice2.3",), 1, 2),
        _Stage(3, ("slice3.6",)),
        _Stage(0, ("slice4.8",)),
        _Stage(0, ("slice5.10",)),
    ),
    "vgg": (
        _Stage(0, ("slice1.0", "slice1.2")),
        _Stage(2, ("slice2.5", "slice2.7")),
        _Stage(2, ("slice3.10", "slice3.12", "slice3.14")),
        _Stage(2, ("slice4.17", "slice4.19", "slice4.21")),
        _Stage(2, ("slice5.24", "slice5.26", "slice5.28")),
    ),
}
_SMALLEST = {"alex": 31, "vgg": 16}
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)
_AT_ONCE = 16

CONVERSION = (
    "python -c \"import lpips, numpy; numpy.savez('lpips.npz', "
    "**lpips.LPIPS(net='alex').state_dict())\""
)
"""Makes the file of weights where `lpips` and `torch` are installed."""


def load(path: Path) -> tuple[str, Measure]:
    """Reads weights; gives the network's name, `alex` or `vgg`, and the measure.

    Args:
      path: an .npz of the state of `lpips.LPIPS`; see `CONVERSION`.

    Raises:
      UserError: it is not.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
            for net, stages in _NETS.items():
                wanted = _names(stages)
                if names >= set(wanted):
                    params = {name: file[name].astype(np.float32) for name in wanted}
                    measure = functools.partial(_measure, params, net)
                    return net, Measure(function=measure, smallest=_SMALLEST[net])
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _not_weights(path) from error
    raise _not_weights(path)


def _not_weights(path: Path) -> UserError:
    return UserError(
        f"{path}: not the weights of LPIPS as .npz; where PyTorch and `lpips` are "
        f"installed, make them with: {CONVERSION}"
    )


def _names(stages: tuple[_Stage, ...]) -> list[str]:
    return [
        *(
            f"net.{name}.{kind}"
            for stage in stages
            for name in stage.convolutions
            for kind in ("weight", "bias")
        ),
        *(f"lin{number}.model.1.weight" for number in range(len(stages))),
    ]


def _measure(
    params: dict[str, np.ndarray], net: str, true: Images, predicted: Images
) -> Float[np.ndarray, " N"]:
    portions = range(0, len(true), _AT_ONCE)
    return np.concatenate(
        [
            np.asarray(
                _distance(
                    params,
                    true[start : start + _AT_ONCE].astype(np.float32),
                    predicted[start : start + _AT_ONCE].astype(np.float32),
                    net,
                )
            )
            for start in portions
        ]
    )


@functools.partial(jax.jit, static_argnames="net")
def _distance(
    params: dict[str, Array],
    true: Float[Array, "N H W 3"],
    predicted: Float[Array, "N H W 3"],
    net: str,
) -> Float[Array, " N"]:
    x = (2 * jnp.concatenate([true, predicted]) - 1 - _SHIFT) / _SCALE
    total = jnp.zeros(len(true))
    for number, stage in enumerate(_NETS[net]):
        if stage.pool:
            x = nn.max_pool(x, (stage.pool, stage.pool), (2, 2))
        for name in stage.convolutions:
            x = jax.lax.conv_general_dilated(
                x,
                params[f"net.{name}.weight"],
                (stage.stride, stage.stride),
                [(stage.padding, stage.padding)] * 2,
                dimension_numbers=("NHWC", "OIHW", "NHWC"),
                precision="highest",
            )
            x = nn.relu(x + params[f"net.{name}.bias"])
        length = jnp.sqrt((x**2).sum(axis=-1, keepdims=True))
        first, second = jnp.split(x / (length + 1e-10), 2)
        weights = params[f"lin{number}.model.1.weight"].reshape(-1)
        total += (((first - second) ** 2) * weights).sum(axis=-1).mean(axis=(1, 2))
    return total
