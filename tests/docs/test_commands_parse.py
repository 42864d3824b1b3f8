"""The command line accepts every command in the manual."""

import configparser
import contextlib
import importlib
import io
import re

import pytest

from dyso import cli
from dyso.cli import arguments
from dyso.pipeline.command import _parser
from dyso.pipeline.runners import register_options
from helpers.manual import PAGES, ROOT, blocks, commands

ELSEWHERE = {"source", "printf", "rm", "dask", "pytest", "tensorboard"}
"""Programs that are not this project's, and whose options it cannot know."""


def parse(words):
    """Returns dyso's error message about arguments, or an empty text."""
    name, *rest = words
    if name not in cli.COMMANDS:
        return f"no command {name}"
    module = importlib.import_module(f"dyso.cli.{name}")
    main = module.main if hasattr(module, "main") else None
    if hasattr(module, "select"):
        name, main, rest = module.select(rest)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            arguments.parse(main, f"dyso {name}", rest)
    except SystemExit as end:
        return said.getvalue() if end.code else ""
    return ""


def docker(words):
    """Checks the arguments that `docker run IMAGE` passes to dyso."""
    for image in ("dyso-worker", "dyso-trainer"):
        if image in words and words[1] == "run" and "--entrypoint" not in words:
            arguments = words[words.index(image) + 1 :]
            return parse(arguments) if arguments else ""
    return ""


def pip(words):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = re.findall(r"dyso\[([\w,]+)\]", " ".join(words))
    extras = {extra for each in asked for extra in each.split(",")}
    return ", ".join(extras - set(setup["options.extras_require"]))


def python(words):
    match words[1:]:
        case ["beam_pipeline.py", *arguments] if arguments:
            said = io.StringIO()
            if "..." in arguments:
                arguments += ["--spec=s", "--output=o"]
                arguments.remove("...")
            try:
                with contextlib.redirect_stderr(said):
                    register_options(arguments)
                    _parser(beam=True).parse_args(arguments)
            except SystemExit:
                return said.getvalue()
        case ["-m", module, *_]:
            if importlib.util.find_spec(module) is None:
                return f"no module {module}"
        case [script, *_] if script.endswith(".py"):
            if not (ROOT / script).exists():
                return f"no file {script}"
    return ""


def make(words):
    known = re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return "" if set(words[1:]) <= set(known) else f"the targets are {known}"


def complaint(words):
    program = words[0]
    if program in ELSEWHERE or program.startswith("-"):  # the latter are options alone
        return ""
    if "/" in program:
        return "" if (ROOT / program).exists() else f"no file {program}"
    known = {"docker": docker, "pip": pip, "python": python, "make": make}
    known["dyso"] = lambda words: parse(words[1:])
    return known[program](words) if program in known else f"no program {program}"


def texts(page):
    """Returns where shell text stands in a page, and the text, indented blocks' too."""
    for block in blocks(page):
        if block.language == "bash":
            yield str(block), block.text
    for match in re.finditer(r"^    (dyso \w.*)$", page.read_text(), re.MULTILINE):
        yield f"{page.relative_to(ROOT)}: {match[1]}", match[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_code_blocks_parse(page):
    wrong = [
        f"{place}: {' '.join(words)}\n{said}"
        for place, text in texts(page)
        for words in commands(text)
        if (said := complaint(words))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_sentences_exist(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for command in re.findall(r"`dyso ([a-z][^`]*)`", text):
        said = parse(command.replace("PRESET", "dyst").split())
        assert "Unrecognized" not in said and "no command" not in said, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_exist(page):
    text = page.read_text()
    made = set(re.findall(r"^# (specs/[\w-]+\.yaml)$", text, re.MULTILINE))
    made |= {"specs/schema.json"}
    found = re.findall(
        r"(?<![\w/])((?:specs|benchmarks|dyso|tests)/[\w/-]+\.\w+)", text
    )
    assert not [name for name in set(found) - made if not (ROOT / name).exists()]


def test_a_wrong_command_is_noticed():
    wrong = """
        dyso generate specs/demo.yaml --output data/demo
        dyso train dyst --data d --workdir w --training.setps 3
        dyso assets shapenet --source s && dyso fly
        python beam_pipeline.py --spec s --output o --runer=DaskRunner
        pip install 'dyso[generete]'
        make nothing
        frobnicate
    """
    said = [bool(complaint(words)) for words in commands(wrong)]
    assert said == [True] * 8
