"""Reading datasets: random access without TensorFlow, and Grain's loader."""

from dyso.reading.dataset import Dataset, Split
from dyso.reading.loading import Source, loader

__all__ = ["Dataset", "Source", "Split", "loader"]
