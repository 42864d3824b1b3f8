"""The one exception for what a user can mend."""


class UserError(Exception):
    """Bad input; `str()` is what to show, one line for each thing that is wrong.

    The command line prints it without a traceback and exits with 2.
    """
