"""From what a user writes to a folder."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

from dyso.storage.bucket import BucketFolder
from dyso.storage.folder import Folder
from dyso.storage.local import LocalFolder

_PUBLIC = "https://storage.googleapis.com/"


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


def open_source(location: str | Path) -> Folder:
    """Gives a folder to read from; see `open_folder`.

    Args:
      location: also `https://host/folder` and `http://...`. Where there are no
        credentials for Google's buckets, the public ones are read over https.
    """
    where = str(location)
    emulated = "STORAGE_EMULATOR_HOST" in os.environ
    if re.match("gs://[^/]", where) and not emulated and not _has_google_credentials():
        where = _PUBLIC + where.removeprefix("gs://")
    if where.startswith(("https://", "http://")):
        from dyso.storage.web import WebFolder

        return WebFolder(where)
    return open_folder(where)


@functools.cache
def _has_google_credentials() -> bool:
    try:
        import google.auth
        import google.cloud.storage
        from google.auth.exceptions import DefaultCredentialsError
    except ImportError:
        return False
    try:
        google.auth.default()
    except DefaultCredentialsError:
        return False
    return True
