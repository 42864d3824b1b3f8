"""Methods that fit one scene at a time, in JAX."""
