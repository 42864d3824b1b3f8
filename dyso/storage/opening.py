"""Opens folders by the locations that users write."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

from dyso.storage.bucket import BucketFolder
from dyso.storage.folder import Folder, ReadOnlyFolder
from dyso.storage.local import LocalFolder

_PUBLIC = "https://storage.googleapis.com/"


def open_folder(location: str | Path) -> Folder:
    """Returns the folder at a location, without checking that it exists.

    Args:
      location: a path, `s3://bucket/prefix` or `gs://bucket/prefix`.

    Raises:
      UserError: the scheme is unknown, the bucket's name is missing, or the library for
        the scheme is not installed.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):/", str(location))
    if scheme is None:
        return LocalFolder(str(location))
    return BucketFolder(str(location))


def open_readonly(location: str | Path) -> ReadOnlyFolder:
    """Returns a folder to read from; see `open_folder`.

    Args:
      location: additionally `https://host/folder` or `http://host/folder`. Without
        Google credentials, a `gs://` location is read over https, which works for
        public buckets.
    """
    url = str(location)
    emulated = "STORAGE_EMULATOR_HOST" in os.environ
    if re.match("gs://[^/]", url) and not emulated and not _has_google_credentials():
        url = _PUBLIC + url.removeprefix("gs://")
    if url.startswith(("https://", "http://")):
        from dyso.storage.web import WebFolder

        return WebFolder(url)
    return open_folder(url)


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
