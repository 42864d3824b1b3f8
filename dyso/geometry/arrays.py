"""Chooses numpy or jax.numpy by the arrays that come in."""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace(*arrays: Any) -> Any:
    """Returns jax.numpy if any array is a JAX array, else numpy; never imports jax."""
    for array in arrays:
        if type(array).__module__.startswith("jax"):
            import jax.numpy as jnp

            return jnp
    return np
