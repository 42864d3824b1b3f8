"""From what a user writes to a folder."""

from __future__ import annotations

import re
from pathlib import Path

from dyso.storage.bucket import BucketFolder
from dyso.storage.folder import Folder
from dyso.storage.local import LocalFolder


def open_folder(location: str | Path) -> Folder:
    """Gives the folder of a location, without looking whether it is there.

    Args:
      location: a path, `s3://bucket/prefix` or `gs://bucket/prefix`.

    Raises:
      UserError: there is no such scheme, the bucket is not named, or the library that
        it takes is not installed.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):/", str(location))
    if scheme is None:
        return LocalFolder(str(location))
    return BucketFolder(str(location))
