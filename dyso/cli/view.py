"""`dyso view`: shows scenes in 3D and over time, in Rerun."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import tyro

from dyso.reading import Dataset
from dyso.spec import UserError
from dyso.visualization.recording import load_rerun, shown_cameras, write_recording

_END_SECONDS = 10  # for Rerun to exit after SIGTERM


def main(
    dataset: tyro.conf.Positional[Path],
    /,
    *,
    split: str | None = None,
    index: tuple[int, ...] = (0,),
    save: Path | None = None,
    web: bool = False,
) -> int:
    """Show scenes in Rerun: cameras, images, points, boxes and paths over time.

    Args:
      dataset: the folder of the dataset.
      split: the split; default: the first.
      index: the records' positions in the split, one tab each.
      save: write this .rrd file, which `rerun FILE` opens, instead of a window.
      web: serve the viewer to a browser on this machine until Ctrl-C.
    """
    load_rerun()
    subject = Dataset(dataset)
    split = split or next(iter(subject.splits))
    count = len(subject[split])
    outside = [i for i in index if not 0 <= i < count]
    if outside or not index:
        raise UserError(
            f"{dataset}: index must be 0 to {count - 1} in split {split!r}, "
            f"got {outside[0] if outside else 'none'}"
        )
    if save and web:
        raise UserError("give --save or --web, not both")
    if save and save.suffix != ".rrd":
        raise UserError(f"--save {save}: the file's name must end in .rrd")
    if not (save or web or _has_display()):
        raise UserError(
            "no display for a window; use --web to serve a browser, or --save "
            "scenes.rrd to write a file that can be opened elsewhere"
        )
    chosen = [(split, i) for i in dict.fromkeys(index)]
    spec = subject.resolved.spec
    shown = len(shown_cameras(spec.layout, spec.resolution))
    if shown < spec.layout.cameras:
        print(f"{shown} of {spec.layout.cameras} cameras are shown, evenly spaced")
    if save:
        _write(save, subject, chosen)
        print(f"{save}  {save.stat().st_size / 1e6:.1f} MB; next: rerun {save}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{spec.name}.rrd"
        _write(path, subject, chosen)
        return _open(path, web)


def _has_display() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform != "linux" or any(map(os.environ.get, names))


def _write(path: Path, subject: Dataset, chosen: list[tuple[str, int]]) -> None:
    try:
        write_recording(path, subject, chosen)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _open(path: Path, web: bool) -> int:
    """Runs Rerun's viewer, or its server, until it is closed."""
    port, web_port = _free_ports()
    # By default, Rerun accepts connections from the whole network.
    arguments = ["--bind", "127.0.0.1", "--port", str(port), str(path)]
    if web:
        arguments += ["--serve-web", "--web-viewer-port", str(web_port)]
        source = quote(f"rerun+http://127.0.0.1:{port}/proxy", safe="")
        print(f"open http://127.0.0.1:{web_port}?url={source}  (Ctrl-C to stop)")
        sys.stdout.flush()
    process = subprocess.Popen(
        [sys.executable, "-m", "rerun", *arguments],
        env={"RUST_LOG": "warn", **os.environ},
        # Otherwise, its launcher prints a traceback at Ctrl-C.
        start_new_session=True,
    )
    try:
        status = process.wait()
    except KeyboardInterrupt:
        status = 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
    if status:
        raise UserError(
            f"Rerun exited with status {status}, see above; --save FILE.rrd writes the "
            "recording to a file"
        )
    return 0


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
