"""DySO: dynamic multi-view datasets, ray-traced and exactly reproducible."""

__version__ = "0.1.0"
