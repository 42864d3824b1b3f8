"""Progress bars on terminals of all sizes, and progress lines in logs."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from dyso import cli
from dyso.cli.bar import Bar


def on_terminal(rows, columns, *arguments):
    """Returns what `dyso` writes to a terminal, by carriage returns and lines."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", rows, columns, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    script = "from dyso.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 1 << 16)
        except OSError:  # The last process that had it open has ended.
            break
    os.close(ours)
    assert process.wait(60) == 0, written
    return written.decode().replace("\r\n", "\n").replace("\n", "\r").split("\r")


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (0, 0), (24, 50)])
def test_a_terminal_of_any_size_shows_a_bar_that_fits(synthetic, rows, columns):
    shown = on_terminal(rows, columns, "stats", synthetic)
    assert max(map(len, shown)) <= (columns or 80)
    last = [line for line in shown if line.strip()][-1]
    assert last.startswith("6/6 scenes |█") and "100%, 00:0" in last
    assert columns == 50 or "elapsed" in last


def test_a_log_says_at_once_what_a_job_waits_for_and_how_it_ended(capsys):
    with Bar("scenes", "failed", waiting="starting Blender") as bar:
        for done in (0.0, 0.0, 2.5, 4.0):
            bar.show(done, 4, "1 (1 timeout)", whole=int(done))
    first, last = capsys.readouterr().err.splitlines()
    start, _, rest = first.rpartition("| ")
    assert start.startswith("0/4 scenes |") and "/h" not in rest and "?" not in rest
    assert rest == "0%, 00:00 elapsed, starting Blender, 1 (1 timeout) failed"
    assert last.startswith("4/4 scenes |#") and "/s, 1 (1 timeout) failed" in last


def test_a_short_job_writes_nothing_to_a_log(capsys):
    with Bar("scenes") as bar:
        bar.show(0, 1)
        bar.show(1, 1)
    assert capsys.readouterr().err == ""


def test_a_line_goes_above_the_bar(monkeypatch, capsys):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar("scenes") as bar:
        bar.show(1, 2)
        bar.write("bad\x1b")
    assert capsys.readouterr().out == "bad\\x1b\n"
    assert stream.getvalue().count("1/2 scenes") >= 2


def test_there_is_one_bar():
    users = [
        path.name
        for path in Path(cli.__file__).parent.glob("*.py")
        if "tqdm" in path.read_text()
    ]
    assert users == ["bar.py"]
