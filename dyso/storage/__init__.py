"""Folders on local disks, in buckets and on web servers, with atomic writes."""

from dyso.storage.folder import Folder, Held, Source
from dyso.storage.local import LocalFolder, inside, require_folder
from dyso.storage.opening import open_folder, open_source

__all__ = [
    "Folder",
    "Held",
    "LocalFolder",
    "Source",
    "inside",
    "open_folder",
    "open_source",
    "require_folder",
]
