"""The one exception for data that is not as written."""

from dyso.spec import UserError


class RecordError(UserError):
    """A record or a shard is damaged, or was not made by this project."""
