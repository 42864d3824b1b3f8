"""The exception for mistakes that a user can correct, and the shape of messages."""

from __future__ import annotations


class UserError(Exception):
    """Invalid input; `str()` is the message, one line per mistake.

    The command line prints it without a traceback and exits with 2.
    """


def one_line(message: object, most: int = 300) -> str:
    """Returns a message as one line of at most `most` characters."""
    return " ".join(str(message).split())[:most]
