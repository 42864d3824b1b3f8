"""Holding a folder where there are no locks: an object with a heartbeat."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator

from dyso.storage.folder import Folder, Held
from dyso.storage.lock_owner import Holder
from dyso.storage.service import ABSENT, Service, Stat

BEAT_SECONDS = 20.0
"""Between two signs of life."""

STALE_SECONDS = 90.0
"""Of silence, after which another job may take over."""

_TRIES = 5


@contextlib.contextmanager
def leased(service: Service, key: str, folder: Folder) -> Iterator[Callable[[], None]]:
    """Holds a folder by an object; see `Folder.hold`."""
    lease = _Lease(service, key, folder)
    lease.take()
    beats = threading.Thread(target=lease.keep, name=f"holds {folder}", daemon=True)
    beats.start()
    try:
        yield lease.check
        lease.check()
    finally:
        lease.release()
        beats.join(BEAT_SECONDS)


class _Lease:
    def __init__(self, service: Service, key: str, folder: Folder):
        self._service, self._key, self._folder = service, key, folder
        self._me = Holder.here()
        self._document = json.dumps(self._me.document()).encode()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._lost: str | None = None

    def take(self) -> None:
        """Makes the object ours."""
        for _ in range(_TRIES):
            found = self._look()
            if found is not None:
                stat, holder = found
                if holder.id == self._me.id:
                    return
                if not holder.is_dead():
                    self._watch(stat, holder)
            # Whether it worked is seen on the next look: its answer may get lost, and
            # some services do not know conditions.
            with contextlib.suppress(FileExistsError):
                self._write(found)
        raise Held(f"{self._folder}: several jobs begin here; start one of them again")

    def _look(self) -> tuple[Stat, Holder] | None:
        try:
            stat = self._service.stat(self._key)
            document = self._service.get(self._key)
        except FileNotFoundError:
            self._service.check()
            return None
        try:
            return stat, Holder.parse(document)
        except ValueError as error:
            raise Held(
                f"{self._folder}: {self._key} does not say who writes here; make sure "
                "that nobody does, and remove it"
            ) from error

    def _write(self, found: tuple[Stat, Holder] | None) -> None:
        version = ABSENT if found is None else found[0].version
        self._service.put(self._key, self._document, version)

    def _watch(self, stat: Stat, holder: Holder) -> None:
        """Returns if a holder is silent, and was for long.

        Raises:
          Held: it is not.
        """
        silent = time.time() - stat.modified > STALE_SECONDS
        if silent:
            # Clocks may differ. One that lives writes again in this time.
            time.sleep(1.5 * BEAT_SECONDS)
            silent = self._look() == (stat, holder)
        if not silent:
            raise Held(holder.say(self._folder, stat.modified))

    def keep(self) -> None:
        """Writes the object again and again, until it is not ours or the end."""
        while not self._ended.wait(BEAT_SECONDS):
            # An outage: others come only after it too.
            with contextlib.suppress(OSError), self._lock:
                if self._ended.is_set():
                    return
                try:
                    found = self._look()
                except Held as error:
                    self._lost = str(error)
                    return
                if found is not None and found[1].id != self._me.id:
                    self._lost = found[1].say(self._folder, found[0].modified)
                    return
                self._write(found)

    def check(self) -> None:
        """Raises `Held` if another job has taken over."""
        if self._lost is not None:
            raise Held(f"{self._lost}; this job could not be heard of for a while")

    def release(self) -> None:
        """Removes the object if it is ours."""
        self._ended.set()
        with contextlib.suppress(OSError, Held), self._lock:
            found = self._look()
            if found is not None and found[1].id == self._me.id:
                self._service.delete(self._key)
