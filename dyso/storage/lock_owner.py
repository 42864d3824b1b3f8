"""The process that has locked a folder."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dyso.storage.folder import Folder


@dataclass(frozen=True, kw_only=True)
class LockOwner:
    """A process that has locked a folder.

    Attributes:
      id: unique id of this lock.
      host: the machine's host name.
      machine: id of the machine, and of the container in it; empty if unknown. Unlike
        `host` it is unique.
      pid: process id on that machine.
      started: time at which the folder was locked, in seconds since 1970.
    """

    id: str
    host: str
    machine: str
    pid: int
    started: float

    @classmethod
    def this_process(cls) -> LockOwner:
        """Returns this process as the owner of a new lock."""
        return cls(
            id=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=time.time(),
        )

    @classmethod
    def parse(cls, document: bytes) -> LockOwner:
        """Parses the JSON of a `document`.

        Raises:
          ValueError: the text does not describe a lock owner.
        """
        try:
            fields = json.loads(document)
            return cls(
                id=str(fields["id"]),
                host=str(fields["host"]),
                machine=str(fields["machine"]),
                pid=int(fields["pid"]),
                started=float(fields["started"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a lock owner: {error}") from error

    def document(self) -> dict[str, Any]:
        """Returns the attributes as values for JSON."""
        return asdict(self)

    def is_dead(self) -> bool:
        """Returns whether the process certainly ended; False for other machines."""
        if not self.machine or self.machine != _machine():
            return False
        return not Path(f"/proc/{self.pid}").exists()

    def describe(self, folder: Folder, seen: float | None = None) -> str:
        """Returns the error message for other jobs.

        Args:
          folder: the locked folder.
          seen: time of the last heartbeat, in seconds since 1970.
        """
        last = f", last seen {time.time() - seen:.0f} s ago" if seen else ""
        return (
            f"{folder}: another job is writing here (host {self.host}, process "
            f"{self.pid}, since {time.strftime('%F %T', time.localtime(self.started))}"
            f"{last}); wait for it or stop it"
        )


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
