"""A profile to fuzz for minutes: `pytest tests/fuzz --hypothesis-profile=fuzz`."""

import hypothesis
from hypothesis.database import DirectoryBasedExampleDatabase

hypothesis.settings.register_profile(
    "fuzz",
    derandomize=False,
    deadline=None,
    max_examples=5_000,
    # What fails is tried first in the next run.
    database=DirectoryBasedExampleDatabase(".hypothesis/fuzz"),
)
