"""The exception for what a user can mend."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Bad input; `str()` is what to show, one line for each thing that is wrong.

    The command line prints it without a traceback and exits with 2.
    """


class SpecError(UserError):
    """What is wrong with a spec's keys.

    Attributes:
      problems: each key, with dots, and what is wrong with its value.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]):
        """Keeps the problems, whose lines in a file are not known here."""
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{key}: {text}" for key, text in self.problems))
