"""The page in a real browser, with clicks, keys and mouse moves."""

import dataclasses
import io
import os

import numpy as np
import pytest
from PIL import Image

from dyso.reading import Dataset
from dyso.records.synthetic import synthetic_views
from dyso.spec import Render
from dyso.visualization.browsing import Entry, prepare, write
from dyso.visualization.page import SCENES, page
from dyso.visualization.scenes import choose, load
from helpers.browser import Browser, find_chromium
from helpers.dataset_writer import write_dataset
from helpers.waiting import wait_for

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
    folder = tmp_path_factory.mktemp("page") / "data"
    return Dataset(write_dataset(folder, resolved, synthetic_views))


@pytest.fixture(scope="module")
def address(dataset, tmp_path_factory):
    return write_page(dataset, tmp_path_factory.mktemp("page"), choose(dataset, 3))


def write_page(dataset, folder, chosen):
    """Writes a page and the files that it loads; returns its path."""
    entries = [prepare(dataset, *scene, folder / SCENES) for scene in chosen]
    counts = {name: len(split) for name, split in dataset.splits.items()}
    text = page(dataset.resolved, counts, entries)
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: run `apt-get install chromium`")
    profile = tmp_path_factory.mktemp("profile")
    with Browser(program, profile, 1280, 860) as browser:
        yield browser


@pytest.fixture
def opened(chromium):
    """A function that opens a page as a newly started browser does."""

    def open_page(path):
        chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        chromium.resize(1280, 860)
        # What the page before still has to complain of comes before this answer.
        chromium.call("Page.navigate", url="about:blank")
        waited(chromium, "location.href == 'about:blank'")
        chromium.log.clear()
        chromium.open(path)
        return chromium

    return open_page


@pytest.fixture
def browser(opened, address):
    return opened(address)


def text_of(browser, selector):
    return browser.run(f"document.querySelector('{selector}').textContent")


def waited(browser, condition):
    """Waits until the page has loaded the files that it shows."""
    wait_for(lambda: browser.run(condition), condition)


def facts(browser):
    waited(browser, "facts.has(at.scene)")
    pairs = browser.run(
        "[...document.querySelectorAll('#about dt')]"
        ".map(e => [e.textContent, e.nextSibling.textContent])"
    )
    return dict(pairs)


def seen(browser):
    """Returns the view as shown on the screen, without its rounded corners."""
    waited(
        browser,
        "(() => { const i = new Image(); i.src = $('view').style.backgroundImage"
        ".slice(5, -2); return i.decode().then(() => new Promise(r =>"
        " requestAnimationFrame(() => requestAnimationFrame(() => r(true))))); })()",
    )
    image = Image.open(io.BytesIO(browser.screenshot("#view"))).convert("RGB")
    small = image.resize((48, 40), Image.Resampling.BOX)
    return np.asarray(small, np.float64)[4:-4, 4:-4]


def expected(dataset, split, index, layer, view):
    picture = load(dataset, split, index).layers[layer]
    return picture.reshape(-1, *picture.shape[2:])[view].astype(float)[4:-4, 4:-4]


def assert_shows(browser, dataset, split, index, layer, view):
    """Checks that the screen's pixels are nearer to this view than to all others."""
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


def test_videos_are_stepped_through_and_played(videos, tmp_path, opened):
    clips = Dataset(write_dataset(tmp_path / "data", videos, synthetic_views))
    path = write_page(clips, tmp_path, choose(clips, 4))
    browser = opened(path)
    before = facts(browser)
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    assert text_of(browser, "#which") == "frame 2"
    after = facts(browser)
    for moved in ("camera at", "object at"):
        assert after[moved] != before[moved]
    assert browser.run("$('camera').hidden && !$('step').hidden")
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
    assert complaints(browser) == []


def test_the_keyboard_alone_reaches_everything(browser):
    reached = set()
    for _ in range(20):
        browser.press("Tab")
        reached.add(browser.run("document.activeElement.closest('[id]')?.id ?? 'none'"))
    assert {"filters", "scenes", "step", "camera", "layers", "grid"} <= reached


def test_sliders_go_through_steps_and_cameras(browser, dataset):
    browser.run("$('step').focus()")
    for _ in range(3):
        browser.press("ArrowRight")
    browser.run("$('camera').focus()")
    browser.press("End")
    assert text_of(browser, "#which") == "step 3, camera 4"
    assert text_of(browser, "output[for=step]") == "3"
    assert_shows(browser, dataset, "train", 0, "color", 19)
    x, y = browser.point("#step")
    for kind in ("mousePressed", "mouseReleased"):
        browser.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
        )
    assert text_of(browser, "#which") == "step 2, camera 4"
    browser.press("Escape")
    browser.run("document.activeElement.blur()")
    browser.press("ArrowUp")
    assert browser.run("[$('step').value, $('camera').value]") == ["1", "4"]


def test_names_from_data_stay_text_and_only_files_beside_it_are_loaded(
    browser, address
):
    assert HOSTILE in facts(browser)["object"]
    waited(browser, "[...document.images].every(i => i.naturalWidth > 0)")
    assert browser.run("document.images.length") == 3
    assert browser.run("document.title") == "test: scenes"
    browser.press("ArrowRight")
    browser.press("]")
    facts(browser)
    requests = {
        entry["params"]["request"]["url"].removeprefix(address.parent.as_uri())
        for entry in browser.log
        if entry["method"] == "Network.requestWillBeSent"
    }
    assert {"/index.html", "/scenes/train-00001/scene.js"} <= requests
    assert all(url.startswith(("/index.html", "/scenes/")) for url in requests)
    assert complaints(browser) == []


def complaints(browser):
    kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
    return [entry for entry in browser.log if entry["method"] in kinds]


def test_a_scene_with_missing_files_is_named(address, tmp_path, opened):
    alone = tmp_path / "index.html"
    alone.write_bytes(address.read_bytes())
    browser = opened(alone)
    waited(browser, "$('about').textContent.includes('cannot be read')")
    assert "scenes/train-00000/scene.js" in text_of(browser, "#about")


MANY = 10_000
PATTERNS = ("pan", "shift", "zoom")


@pytest.fixture(scope="module")
def large(dataset, tmp_path_factory):
    """A page of ten thousand scenes, whose files are those of one."""
    folder = tmp_path_factory.mktemp("large")
    write(folder / "one", load(dataset, "train", 0))
    (folder / SCENES).mkdir()
    entries = [
        Entry(
            split="train" if i < 9_990 else "test",
            index=i if i < 9_990 else i - 9_990,
            pattern=PATTERNS[i % 3],
            categories=(f"category {i % 55}", "lamp") if i % 100 else ("",),
            hdri=f"hdri_{i % 382:03}",
        )
        for i in range(MANY)
    ]
    for entry in entries:
        os.symlink("../one", folder / SCENES / entry.folder)
    text = page(dataset.resolved, {"train": 99_990, "test": 10}, entries)
    assert len(text) < 600_000
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


def choose_option(browser, facet, value):
    browser.run(
        f"(() => {{ const s = document.querySelector('select[aria-label={facet}]');"
        f"s.value = [...s.options].find(o => o.text.startsWith('{value}')).value;"
        "s.dispatchEvent(new Event('change')); })()"
    )


def thumbs(browser):
    """Returns the names under the thumbnails; there are never more images."""
    shown = browser.run(
        "[...document.querySelectorAll('#scenes .name')].map(e => e.textContent)"
    )
    assert browser.run("document.images.length") == len(shown) <= 30
    assert browser.run("document.querySelectorAll('*').length") < 1000
    return shown


def test_ten_thousand_scenes_are_filtered_paged_and_never_all_there(large, opened):
    browser = opened(large)
    assert text_of(browser, "#count") == "10,000 scenes"
    assert text_of(browser, "#facts").endswith("10,000 of 100,000 scenes on this page")
    assert text_of(browser, "#page") == "page 1 of 334"
    assert thumbs(browser) == [f"train {i}" for i in range(30)]

    browser.click("#forward")
    browser.press("}")
    assert text_of(browser, "#page") == "page 3 of 334"
    assert thumbs(browser)[0] == "train 60"
    browser.click("#back")
    assert thumbs(browser)[0] == "train 30"
    browser.click("#scenes button:nth-child(30)")
    assert text_of(browser, "#where") == "train 59, color"
    browser.press("]")
    assert text_of(browser, "#where") == "train 60, color"
    assert thumbs(browser)[0] == "train 60"

    choose_option(browser, "pattern", "shift")
    assert text_of(browser, "#count") == "3,333 of 10,000 scenes"
    assert text_of(browser, "#where") == "train 1, color"
    assert thumbs(browser) == [f"train {i}" for i in range(1, 90, 3)]
    choose_option(browser, "HDRI", "hdri_007")
    wanted = [i for i in range(MANY) if i % 3 == 1 and i % 382 == 7]
    assert thumbs(browser) == [f"train {i}" for i in wanted if i < 9_990]
    browser.press("]")
    assert text_of(browser, "#where") == f"train {wanted[1]}, color"
    choose_option(browser, "category", "no category")
    none = [i for i in wanted if i % 100 == 0]
    assert thumbs(browser) == [f"train {i}" for i in none]
    choose_option(browser, "split", "test")
    assert thumbs(browser) == []
    assert text_of(browser, "#none") == "No scene matches these filters."
    browser.click("#clear")
    waited(browser, "matching.length === scenes.length")
    assert text_of(browser, "#count") == "10,000 scenes"
    choose_option(browser, "split", "test")
    assert thumbs(browser) == [f"test {i}" for i in range(10)]
    choose_option(browser, "split", "any")
    assert text_of(browser, "#page") == "page 334 of 334"
    browser.press("}")
    assert text_of(browser, "#page") == "page 334 of 334"

    browser.run("for (let i = 0; i < 60; i++) go({ scene: i })")
    waited(browser, "facts.size === 50 && facts.has(59)")
    waited(browser, "document.scripts.length === 2")
    assert complaints(browser) == []


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
def test_no_text_of_a_record_is_taken_for_markup(dataset, tmp_path, opened, hostile):
    scene_view = load(dataset, "train", 0)
    record = dict(scene_view.record)
    for name, value in record.items():
        if value.dtype.kind == "U":
            record[name] = np.full(value.shape, hostile)[()]
    write(
        tmp_path / SCENES / "train-00000",
        dataclasses.replace(scene_view, record=record),
    )
    names = {"pattern": hostile, "categories": (hostile,), "hdri": hostile}
    entries = [
        Entry(split="train", index=0, **names),
        Entry(split="train", index=1, pattern="pan", categories=("cup",), hdri="hall"),
    ]
    os.symlink("train-00000", tmp_path / SCENES / "train-00001")
    path = tmp_path / "index.html"
    text = page(dataset.resolved, {hostile: 1}, entries)
    path.write_text(text, encoding="utf-8")
    browser = opened(path)
    assert browser.run("document.title") == "test: scenes"
    shown = hostile.replace("\ud800", "\ufffd")
    for text in (
        facts(browser)["HDRI"],
        text_of(browser, "#facts"),
        text_of(browser, "#filters"),
        browser.run("document.querySelector('#scenes button').title"),
    ):
        assert shown in text.replace("\ud800", "\ufffd")
    waited(browser, "document.scripts.length === 2")
    assert browser.run("document.querySelectorAll('svg, a').length") == 0
    sources = browser.run("[...document.images].map(i => i.src)")
    assert sources == [
        (tmp_path / SCENES / f"train-0000{i}" / "thumb.webp").as_uri() for i in range(2)
    ]
    assert complaints(browser) == []


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
