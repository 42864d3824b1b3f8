"""Folders on local disks, in buckets and on web servers, with atomic writes."""

from dyso.storage.folder import Folder, Held, ReadOnlyFolder
from dyso.storage.local import LocalFolder, inside, require_folder
from dyso.storage.opening import open_folder, open_readonly

__all__ = [
    "Folder",
    "Held",
    "LocalFolder",
    "ReadOnlyFolder",
    "inside",
    "open_folder",
    "open_readonly",
    "require_folder",
]
