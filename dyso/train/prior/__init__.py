"""A text-conditional diffusion model of short videos, in pixels."""
