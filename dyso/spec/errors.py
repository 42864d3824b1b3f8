"""The exception for invalid keys of a spec."""

from __future__ import annotations

from collections.abc import Sequence

from dyso.errors import UserError


class SpecError(UserError):
    """Invalid keys of a spec.

    Attributes:
      problems: each invalid key, with dots, and the message about its value.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]):
        """Takes the problems; the loader adds their lines in the file."""
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{key}: {text}" for key, text in self.problems))
