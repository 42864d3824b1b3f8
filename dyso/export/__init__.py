"""Writers for the dataset formats of other projects, one module each."""

from dyso.export.formats import FORMATS, format_named
from dyso.export.job import Export

__all__ = ["FORMATS", "Export", "format_named"]
