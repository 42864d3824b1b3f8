"""The page in a real browser: seen, clicked, pressed, pointed at."""

import dataclasses
import io

import numpy as np
import pytest
from browser import Browser, find_chromium
from made import write_dataset
from PIL import Image

from dyso.looking.page import page
from dyso.looking.scenes import choose, look
from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Render

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">&amp;{{data}}"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_resolved):
    resolved = make_resolved(
        resolution=(40, 48),
        splits={"train": 2, "test": 1},
        render=Render(layers=("color", "depth", "instance", "category", "normal")),
    )
    # Names of assets come from strangers' manifests.
    hostile = tuple(
        dataclasses.replace(asset, id=asset.id + HOSTILE, category=HOSTILE)
        for asset in resolved.objects.assets
    )
    resolved = dataclasses.replace(
        resolved, objects=dataclasses.replace(resolved.objects, assets=hostile)
    )
    folder = tmp_path_factory.mktemp("looking") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))


@pytest.fixture(scope="module")
def address(dataset, tmp_path_factory):
    sights = [look(dataset, *chosen) for chosen in choose(dataset, 3)]
    text, count = page(dataset.resolved, {"train": 2, "test": 1}, sights)
    assert count == 3
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def browser(address, tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: run `apt-get install chromium`")
    with Browser(program, tmp_path / "profile", 1280, 860) as browser:
        browser.open(address)
        yield browser


def text_of(browser, selector):
    return browser.run(f"document.querySelector('{selector}').textContent")


def facts(browser):
    pairs = browser.run(
        "[...document.querySelectorAll('#about dt')]"
        ".map(e => [e.textContent, e.nextSibling.textContent])"
    )
    return dict(pairs)


def seen(browser):
    """Gives the view as it is on the screen, without its rounded corners."""
    image = Image.open(io.BytesIO(browser.screenshot("#view"))).convert("RGB")
    small = image.resize((48, 40), Image.Resampling.BOX)
    return np.asarray(small, np.float64)[4:-4, 4:-4]


def expected(dataset, split, index, layer, view):
    picture = look(dataset, split, index).layers[layer]
    return picture.reshape(-1, *picture.shape[2:])[view].astype(float)[4:-4, 4:-4]


def assert_shows(browser, dataset, split, index, layer, view):
    """The pixels on the screen are nearer to this view than to all others."""
    found = seen(browser)
    errors = [
        np.abs(found - expected(dataset, split, index, layer, other)).mean()
        for other in range(25)
    ]
    assert int(np.argmin(errors)) == view
    assert errors[view] < 12


def test_keys_move_along_cameras_steps_layers_and_scenes(browser, dataset):
    assert text_of(browser, "#which") == "step 0, camera 0"
    assert_shows(browser, dataset, "train", 0, "color", 0)
    before = facts(browser)
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    assert text_of(browser, "#which") == "step 1, camera 2"
    assert_shows(browser, dataset, "train", 0, "color", 7)
    after = facts(browser)
    assert after["camera at"] != before["camera at"]
    assert after["object at"] != before["object at"]
    assert after["HDRI"] == before["HDRI"]
    browser.press("2")
    assert text_of(browser, "#where") == "train 0, depth"
    assert_shows(browser, dataset, "train", 0, "depth", 7)
    browser.press("]")
    browser.press("]")
    assert text_of(browser, "#where") == "test 0, depth"
    assert_shows(browser, dataset, "test", 0, "depth", 7)
    assert facts(browser)["object"] != after["object"]
    for _ in range(9):
        browser.press("ArrowUp")
        browser.press("ArrowLeft")
        browser.press("]")
    assert text_of(browser, "#which") == "step 0, camera 0"


def test_clicks_choose_scenes_layers_and_views(browser, dataset):
    browser.click("#scenes button:nth-child(2)")
    assert text_of(browser, "#where") == "train 1, color"
    browser.click("#layers label:nth-child(3)")
    assert text_of(browser, "#where") == "train 1, instance"
    browser.click("#grid button[aria-label='step 3, camera 4']")
    assert text_of(browser, "#which") == "step 3, camera 4"
    assert_shows(browser, dataset, "train", 1, "instance", 19)
    chosen = "[...document.querySelectorAll('[aria-pressed=true]')].map(e=>e.ariaLabel)"
    assert browser.run(chosen) == ["step 3, camera 4"]


def test_pointing_at_the_grid_walks_through_views(browser, dataset):
    for step, camera in [(0, 3), (4, 3), (4, 0)]:
        browser.point(f"#grid button[aria-label='step {step}, camera {camera}']")
        assert text_of(browser, "#which") == f"step {step}, camera {camera}"
    assert_shows(browser, dataset, "train", 0, "color", 20)


def test_videos_are_stepped_through_and_played(videos, tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: run `apt-get install chromium`")
    clips = Dataset(write_dataset(tmp_path / "data", videos, synthetic_views))
    sights = [look(clips, "train", index) for index in range(3)]
    text, _ = page(clips.resolved, {"train": 3, "test": 1}, sights)
    path = tmp_path / "index.html"
    path.write_text(text, encoding="utf-8")
    with Browser(program, tmp_path / "profile", 1280, 860) as browser:
        browser.open(path)
        before = facts(browser)
        browser.press("ArrowRight")
        browser.press("ArrowRight")
        assert text_of(browser, "#which") == "frame 2"
        after = facts(browser)
        for moved in ("camera at", "object at"):
            assert after[moved] != before[moved]
        browser.click("#grid button[aria-label='frame 6']")
        assert text_of(browser, "#which") == "frame 6"
        browser.click("#play")
        shown = "new Promise(r => setTimeout(() => r(at.step), 1000))"
        steps = {browser.run(shown) for _ in range(3)}
        browser.press("p")
        stopped = browser.run("at.step")
        assert browser.run(shown) == stopped
        assert steps != {6}
        assert text_of(browser, "#play") == "Play"
        complaints = ("Runtime.exceptionThrown", "Log.entryAdded")
        assert [e for e in browser.log if e["method"] in complaints] == []


def test_the_keyboard_alone_reaches_everything(browser):
    reached = set()
    for _ in range(12):
        browser.press("Tab")
        reached.add(browser.run("document.activeElement.closest('[id]')?.id ?? 'none'"))
    assert {"scenes", "layers", "grid"} <= reached


def test_names_from_data_stay_text_and_nothing_is_loaded(browser, address):
    assert HOSTILE in facts(browser)["object"]
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.title") == "test: scenes"
    browser.press("ArrowRight")
    requests = [
        entry["params"]["request"]["url"]
        for entry in browser.log
        if entry["method"] == "Network.requestWillBeSent"
    ]
    assert {url for url in requests if not url.startswith("blob:")} <= {
        address.as_uri()
    }
    complaints = ("Runtime.exceptionThrown", "Log.entryAdded")
    assert [e for e in browser.log if e["method"] in complaints] == []


TEXTS = [
    HOSTILE,
    "<script>document.title='taken'</script>",
    "--></style></title></template><svg/onload=document.title='taken'>",
    "<!--<script>",
    "'\"`${document.title='taken'}\\u003cimg src=x>\\",
    "\u2028\u2029\x00\x1b[2J\ud800",
    "javascript:document.title='taken'",
]


@pytest.mark.parametrize("hostile", TEXTS)
def test_no_text_of_a_record_is_taken_for_markup(dataset, tmp_path, hostile):
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: run `apt-get install chromium`")
    sight = look(dataset, "train", 0)
    record = dict(sight.record)
    for name, value in record.items():
        if value.dtype.kind == "U":
            record[name] = np.full(value.shape, hostile)[()]
    sight = dataclasses.replace(sight, record=record, split=hostile)
    text, _ = page(dataset.resolved, {hostile: 1}, [sight])
    path = tmp_path / "index.html"
    path.write_text(text, encoding="utf-8")
    with Browser(program, tmp_path / "profile", 1280, 860) as browser:
        browser.open(path)
        assert browser.run("document.title") == "test: scenes"
        shown = hostile.replace("\ud800", "\ufffd")
        assert shown in text_of(browser, "#where").replace("\ud800", "\ufffd")
        assert shown in facts(browser)["HDRI"].replace("\ud800", "\ufffd")
        assert browser.run("document.scripts.length") == 2
        assert browser.run("document.querySelectorAll('img, svg, a').length") == 0
        complaints = ("Runtime.exceptionThrown", "Log.entryAdded")
        assert [e for e in browser.log if e["method"] in complaints] == []


@pytest.mark.parametrize(
    ("width", "phone", "columns"), [(380, True, 1), (900, False, 2), (1400, False, 3)]
)
def test_it_fits_phones_and_desks(browser, width, phone, columns):
    browser.resize(width, 800, phone=phone)
    assert browser.run("document.documentElement.scrollWidth") <= width
    tracks = browser.run(
        "getComputedStyle(document.querySelector('main')).gridTemplateColumns"
    )
    assert len(tracks.split()) == columns
    assert browser.run("document.querySelector('#view').clientWidth") > 250
