"""The manual builds without warnings, is complete, and loads nothing from elsewhere."""

import html
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from dyso import cli, geometry, reading
from helpers.browser import Browser, find_chromium
from helpers.manual import ROOT

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The ids, links and sources of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        # What a browser fetches by itself.
        if tag in ("script", "img", "iframe", "source") and "src" in found:
            self.sources.append(found["src"])
        if tag == "link" and found.get("rel") != "canonical":
            self.sources.append(found["href"])


def build(*options, to):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", *options, "--site-dir", to],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = build(to=out)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    found = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert len(found) > 20
    return found


def test_every_link_and_anchor_exists(pages):
    wrong = []
    for path, page in pages.items():
        for link in page.links + page.sources:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            target = target if parts.path else path
            anchored = target not in pages or unquote(parts.fragment) in pages[
                target
            ].ids | {"", "__search"}
            # Of the page for what is not found, links start at the site's root.
            if path.name != "404.html" and not (target.exists() and anchored):
                wrong.append(f"{path.name}: {link}")
    assert not wrong


def test_no_page_shows_unreplaced_placeholders(site):
    for path in site.rglob("*.html"):
        text = re.sub(r"<[^>]*>", "", path.read_text())
        assert not re.search(r"-- ?8 ?&lt;|8&lt; ?--|\{%|\{\{", text), path
    shown = re.sub(r"<[^>]*>", "", (site / "examples.html").read_text())
    for script in (ROOT / "docs/examples").glob("*.py"):
        assert html.escape(script.read_text().strip(), quote=False) in shown, script


def test_pages_load_nothing_from_the_network(site, pages):
    for path, page in pages.items():
        assert not [s for s in page.sources if "//" in s], path
    for path in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", path.read_text()), path


def test_the_reference_has_every_command_and_name(site):
    text = (site / "reference/cli.html").read_text()
    for command in cli.COMMANDS:
        assert f"usage: dyso {command}" in text
    for package in (reading, geometry):
        ids = Page(site / f"reference/{package.__name__}.html").ids
        assert {f"{package.__name__}.{name}" for name in package.__all__} <= ids


def test_a_broken_link_is_an_error(tmp_path):
    broken = ["nowhere.md", "#nowhere", "/rooted", "missing.txt"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(
        "# Title\n" + "".join(f"\n[link]({link})\n" for link in broken)
    )
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: docs\nnav: [index.md]\nhooks: []\n"
    )
    done = build("--config-file", tmp_path / "mkdocs.yml", to=tmp_path / "site")
    assert done.returncode == 1
    assert [link for link in broken if f"'{link}'" not in done.stderr] == []


def test_the_search_works_from_files(site, tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here")
    with Browser(program, tmp_path, 1280, 900) as page:
        page.open(site / "index.html")
        page.click(".md-search__input")
        deadline = time.monotonic() + 30
        while not page.run(
            "document.querySelector('.md-search-result__item') !== null"
        ):
            assert time.monotonic() < deadline
            page.press("n")
            page.press("e")
            page.press("r")
            page.press("f")
            time.sleep(1)
            page.run("document.querySelector('.md-search__input').select()")
