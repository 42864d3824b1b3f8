"""The blocks of the manual's pages, and the shell commands in them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "docs/tutorials/make-a-dataset.md"
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
      page: the file it stands in.
      line: its first line's number.
      language: after the fence.
      text: between the fences.
      mark: what a comment on the line before the fence says of it, such as
        `not run: renders for a minute`; people who read the page do not see it.
    """

    page: Path
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(
        r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$",
        text,
        re.DOTALL | re.MULTILINE,
    ):
        line = text.count("\n", 0, match.start(3)) + 1
        mark, language, body = match.groups()
        found.append(Block(page, line, language, body, mark or ""))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Splits shell text into commands; what stands for more, as [options], goes."""
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"(?<=\s)\[[a-z][^\]\n]*\](?=\s)", "", text)
    for line in text.splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        for word in lexer:
            if set(word) <= set("|&;<>"):
                if words:
                    yield words
                words = []
                if set(word) <= set("<>"):
                    break
            else:
                words.append(word)
        if words:
            yield words


def go_through(page: Path, folder: Path) -> None:
    """Does what a page says: writes its files, runs its commands and its Python."""
    names: dict[str, object] = {}
    before = None
    for block in blocks(page):
        if block.language == "yaml" and block.text.startswith("# specs/"):
            name = block.text.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block.text)
        elif block.language == "bash" and not block.mark.startswith("not run: "):
            before = run(block, folder)
        elif block.language == "text" and before is not None:
            assert block.text == before, f"{block}: the command printed\n{before}"
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        if block.language != "bash" or block.mark.startswith("not run: "):
            before = None


def run(block: Block, folder: Path) -> str:
    """Runs a block of shell text; returns what it printed."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    status = int(block.mark.removeprefix("ends with status ") or 0)
    assert done.returncode == status, f"{block}:\n{block.text}\n{done.stdout}"
    return done.stdout
