"""Who holds a folder."""

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
class Holder:
    """A process that holds a folder.

    Attributes:
      id: of this holding.
      host: the machine's name.
      machine: tells machines, and containers on them, apart, where names do not; empty
        where that is not known.
      pid: of the process on that machine.
      started: when it began to hold, in seconds since 1970.
    """

    id: str
    host: str
    machine: str
    pid: int
    started: float

    @classmethod
    def here(cls) -> Holder:
        """Gives this process as a new holder."""
        return cls(
            id=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=time.time(),
        )

    @classmethod
    def parse(cls, document: bytes) -> Holder:
        """Reads what `document` gave.

        Raises:
          ValueError: it is something else.
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
            raise ValueError(f"not a holder: {error}") from error

    def document(self) -> dict[str, Any]:
        """Gives plain values for JSON."""
        return asdict(self)

    def is_dead(self) -> bool:
        """Says whether the process has surely ended: it was one of this machine."""
        if not self.machine or self.machine != _machine():
            return False
        return not Path(f"/proc/{self.pid}").exists()

    def say(self, folder: Folder, seen: float | None = None) -> str:
        """Says in a line that it holds a folder.

        Args:
          folder: the folder.
          seen: when it was last heard of, in seconds since 1970.
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
