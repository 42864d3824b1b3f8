"""Validation of finished datasets: files, records, and the geometry between views."""

from dyso.geometry import DEPTH_TOLERANCE as TOLERANCE
from dyso.validation.dataset import Problem, Shard, Validation, chosen
from dyso.validation.geometry import REQUIRED, Agreement, agreement
from dyso.validation.record import Finding, check_record

__all__ = [
    "REQUIRED",
    "TOLERANCE",
    "Agreement",
    "Finding",
    "Problem",
    "Shard",
    "Validation",
    "agreement",
    "check_record",
    "chosen",
]
