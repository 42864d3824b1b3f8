"""Locks folders in buckets by an object with a heartbeat, for lack of file locks."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator

from dyso.storage.folder import Folder, Held
from dyso.storage.lock_owner import LockOwner
from dyso.storage.service import ABSENT, Service, Stat

BEAT_SECONDS = 20.0
"""Time between two heartbeats."""

STALE_SECONDS = 90.0
"""Time without a heartbeat after which another job may take over."""

_TRIES = 5


@contextlib.contextmanager
def locked(service: Service, key: str, folder: Folder) -> Iterator[Callable[[], None]]:
    """Locks a folder by an object; see `Folder.hold`."""
    lock = _Lock(service, key, folder)
    lock.take()
    beats = threading.Thread(target=lock.keep, name=f"holds {folder}", daemon=True)
    beats.start()
    try:
        yield lock.check
        lock.check()
    finally:
        lock.release()
        beats.join(BEAT_SECONDS)


class _Lock:
    def __init__(self, service: Service, key: str, folder: Folder):
        self._service, self._key, self._folder = service, key, folder
        self._me = LockOwner.this_process()
        self._document = json.dumps(self._me.document()).encode()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._lost: str | None = None

    def take(self) -> None:
        """Makes this process the owner of the object.

        Raises:
          Held: another job is the owner.
        """
        for _ in range(_TRIES):
            current = self._read()
            if current is not None:
                stat, owner = current
                if owner.id == self._me.id:
                    return
                if not owner.is_dead():
                    self._require_silent(stat, owner)
            # The next read shows whether the write worked, because its answer may get
            # lost and some services ignore conditions.
            with contextlib.suppress(FileExistsError):
                self._write(current)
        raise Held(
            f"{self._folder}: several jobs are starting here; run one of them again"
        )

    def _read(self) -> tuple[Stat, LockOwner] | None:
        try:
            stat = self._service.stat(self._key)
            document = self._service.get(self._key)
        except FileNotFoundError:
            self._service.check()
            return None
        try:
            return stat, LockOwner.parse(document)
        except ValueError as error:
            raise Held(
                f"{self._folder}: {self._key} does not name the job that writes here; "
                "make sure that no job does, and remove it"
            ) from error

    def _write(self, current: tuple[Stat, LockOwner] | None) -> None:
        version = ABSENT if current is None else current[0].version
        self._service.put(self._key, self._document, version)

    def _require_silent(self, stat: Stat, owner: LockOwner) -> None:
        """Returns if the owner has sent no heartbeat for `STALE_SECONDS`.

        Raises:
          Held: the owner is alive.
        """
        silent = time.time() - stat.modified > STALE_SECONDS
        if silent:
            # Clocks may differ. A living owner sends a heartbeat during this time.
            time.sleep(1.5 * BEAT_SECONDS)
            silent = self._read() == (stat, owner)
        if not silent:
            raise Held(owner.describe(self._folder, stat.modified))

    def keep(self) -> None:
        """Sends heartbeats until the end, or until another job has taken over."""
        while not self._ended.wait(BEAT_SECONDS):
            # During an outage of the service, no other job can take over either.
            with contextlib.suppress(OSError), self._lock:
                if self._ended.is_set():
                    return
                try:
                    current = self._read()
                except Held as error:
                    self._lost = str(error)
                    return
                if current is not None and current[1].id != self._me.id:
                    self._lost = current[1].describe(self._folder, current[0].modified)
                    return
                self._write(current)

    def check(self) -> None:
        """Raises `Held` if another job has taken over."""
        if self._lost is not None:
            raise Held(f"{self._lost}; this job could not renew its lock for a while")

    def release(self) -> None:
        """Removes the object if this process is its owner."""
        self._ended.set()
        with contextlib.suppress(OSError, Held), self._lock:
            current = self._read()
            if current is not None and current[1].id == self._me.id:
                self._service.delete(self._key)
