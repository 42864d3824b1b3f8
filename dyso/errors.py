"""The exception for mistakes that a user can correct."""


class UserError(Exception):
    """Invalid input; `str()` is the message, one line per mistake.

    The command line prints it without a traceback and exits with 2.
    """
