"""A child process answers in time, or its error says why not."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dyso.child_process import ChildProcess, Deadline, signal_name, to_line
from helpers.waiting import wait_for

START = """
import os, signal, sys, time
from dyso.child_process import open_answers, write_line
answers = open_answers()
write_line(answers, {})
"""


@pytest.fixture
def start():
    """Returns a function that starts a child with this code after its greeting."""
    children = []

    def start(code: str) -> ChildProcess:
        child = ChildProcess([sys.executable, "-c", START + code], max_line=1000)
        children.append(child)
        assert child.read_line(Deadline(60)) == b"{}\n"
        return child

    yield start
    for child in children:
        child.close()
        assert child.status is not None


def test_a_child_answers_with_lines_and_data(start):
    child = start("for line in sys.stdin: write_line(answers, len(line), b'a\\nb')")
    for _ in range(2):
        child.send(to_line("x" * 200_000), Deadline(60))
        assert child.read_line(Deadline(60)) == b"200003\n"
        assert child.read(3, Deadline(60)) == b"a\nb"


def test_what_libraries_print_is_not_an_answer(start):
    child = start("print('noise', flush=True); os.system('echo more'); sys.exit(3)")
    with pytest.raises(EOFError):
        child.read_line(Deadline(60))
    assert child.wait(60) == 3
    assert child.stderr == "noise\nmore\n" and child.last_words == "more"


def test_a_line_without_an_end_is_returned_in_parts(start):
    child = start("answers.write(b'x' * 10**6); answers.flush(); time.sleep(60)")
    assert child.read_line(Deadline(60)) == b"x" * 1000


def test_a_late_answer_is_a_timeout_and_can_be_awaited_again(start):
    child = start("sys.stdin.readline(); write_line(answers, 1); time.sleep(60)")
    with pytest.raises(TimeoutError, match=r"not done in 0\.1 s"):
        child.read_line(Deadline(0.1))
    child.send(b"\n", Deadline(60))
    assert child.read_line(Deadline(60)) == b"1\n"


def test_a_child_that_reads_nothing_is_a_timeout(start):
    child = start("time.sleep(60)")
    with pytest.raises(TimeoutError):
        child.send(b"x" * 10**6, Deadline(0.1))


def test_a_crash_ends_the_wait_at_once(start):
    child = start("os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(EOFError):
        child.read_line(Deadline(60))
    assert signal_name(child.wait(60)) == "SIGSEGV"
    with pytest.raises(EOFError):
        child.send(b"\n", Deadline(60))


def test_another_thread_can_close_a_child_that_is_waited_for(start):
    child = start("time.sleep(60)")
    threading.Timer(0.2, child.close).start()
    begin = time.monotonic()
    with pytest.raises(EOFError):
        child.read_line(Deadline(60))
    assert time.monotonic() - begin < 30
    child.close()
    with pytest.raises(EOFError):
        child.read_line(Deadline(60))


PARENT = f"""
import sys, time
from dyso.child_process import ChildProcess, Deadline
code = {START + "os.kill(os.getpid(), signal.SIGSTOP)"!r}
child = ChildProcess([sys.executable, "-c", code], max_line=1000)
child.read_line(Deadline(60))
print(child.pid, flush=True)
time.sleep(60)
"""


def ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_hanging_child_ends_with_its_killed_parent():
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    wait_for(lambda: ended(child))
