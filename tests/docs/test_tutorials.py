"""The tutorials' commands and the Python of other pages run and print what they say."""

import json

import pytest

from helpers.manual import FIRST, PAGES, ROOT, blocks, go_through

TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
EXPLAINING = [
    ROOT / "docs/flow.md",
    ROOT / "docs/boxes.md",
    *(ROOT / "docs/explanations").glob("*.md"),
]


@pytest.mark.slow
def test_the_first_tutorial_leaves_a_sound_dataset(place):
    metadata = json.loads((place / "data/demo/metadata.json").read_text())
    assert metadata["planned"] == 5 and not metadata["failures"]
    assert (place / "data/demo/preview/index.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in TUTORIALS if page != FIRST], ids=lambda page: page.stem
)
def test_a_tutorial_can_be_gone_through(page, place):
    go_through(page, place)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(EXPLAINING), ids=lambda page: page.stem)
def test_python_of_explanations_runs(page, place):
    go_through(page, place)


@pytest.mark.slow
@pytest.mark.parametrize(
    "block",
    [
        block
        for block in blocks(ROOT / "README.md")
        if block.language == "python" and "import tensorflow" not in block.text
    ],
    ids=str,
)
def test_python_of_the_readme_runs(block, place):
    if "import torch" in block.text:
        pytest.importorskip("torch")
    exec(compile(block.text, str(block), "exec"), {})


def test_commands_that_are_not_run_have_a_reason():
    for page in PAGES:
        for block in blocks(page):
            kind, _, what = block.mark.partition(": ")
            if kind == "not run":
                assert what, block
            else:
                assert not kind or kind.startswith("ends with status "), block
