"""The help of every command, and the suggestions for misspelt ones."""

import itertools
import re
import subprocess
import sys

import pytest

from dyso import __version__, cli
from dyso.cli import assets
from helpers.commands import Command

COMMANDS = [
    *([name] for name in cli.COMMANDS),
    ["train", "dyst"],
    ["train", "video-prior-tiny"],
    ["fit", "hexplane"],
    ["videos", "ingest"],
    *(["assets", action] for action in assets._ACTIONS),
]


def printed(words, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("GLIBC_TUNABLES", "")  # or training would begin in a new process
    monkeypatch.setattr(sys, "argv", ["dyso", *words, "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_plain_and_broken_once(words, width, monkeypatch, capsys):
    text = printed(words, width, monkeypatch, capsys)
    assert text.startswith(f"usage: dyso {words[0]}")
    assert "{None}" not in text and "default: None" not in text
    assert not re.search(r"default:\s*\)", text)
    assert text.count("(default:") == text.count("default:")
    assert not re.search(r"\w\.\)", text)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    # A box is as wide as its rule; no line ends where the next word would fit.
    full = max(len(line) for line in lines if "---" in line or line is lines[0])
    for line, after in itertools.pairwise(lines):
        indent = len(after) - len(after.lstrip())
        if indent >= 6 and len(line) - len(line.lstrip()) == indent:
            assert len(line) + 1 + len(after.split()[0]) > full, line


def test_the_version_is_printed():
    for flag in ("--version", "-V"):
        assert Command(flag).end(60) == (0, f"dyso {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generat"], "dyso: no command 'generat'; did you mean 'generate'?"),
        (["assets", "verfy"], "dyso assets: no action 'verfy'; did you mean 'verify'?"),
        (["videos", "frames"], "dyso videos: no action 'frames'; expected ingest"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(words, said):
    assert Command(*words).end(60) == (2, "", f"{said}\n")


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_overview_imports_no_command(flag):
    script = (
        "import sys, dyso.cli\n"
        "try: dyso.cli.main()\n"
        "except SystemExit: assert not {'numpy', 'tyro'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, flag], check=True, timeout=60)
