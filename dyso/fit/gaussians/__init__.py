"""Dynamic 3D Gaussians: a rasterizer, and the fit of a scene over time."""
