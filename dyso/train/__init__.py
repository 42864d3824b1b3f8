"""The trainer: DyST, with RUST and SRT as settings of it, in JAX."""
