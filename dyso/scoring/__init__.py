"""Scores of other people's methods on a dataset's exact truth; see docs/scoring.md."""

from dyso.scoring.queries import Queries, queries_of, true_tracks, write_queries
from dyso.scoring.scores import SCORES, score
from dyso.scoring.view_sets import Inputs, held_out_views

__all__ = [
    "SCORES",
    "Inputs",
    "Queries",
    "held_out_views",
    "queries_of",
    "score",
    "true_tracks",
    "write_queries",
]
