"""The report of an evaluation in a browser: all pictures are visible, with captions."""

import numpy as np
import pytest

from dyso.train.evaluation import Evaluation, Example
from dyso.train.latent_sources import table_rows
from dyso.train.presets import PRESETS
from dyso.train.report import page
from helpers.browser import Browser, find_chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page of a model with both latents, whose pictures are noise."""
    rng, table = np.random.default_rng(0), table_rows(PRESETS["dyst"].config)
    rows = [
        {
            **row.latents,
            "how": row.how,
            "scored": row.region,
            "sees_what_is_scored": row.seen,
            "psnr": 20.0,
            "psnr_error": 0.1,
        }
        for row in table
    ]
    figures = {
        "run": {"name": "run", "step": 6},
        "data": {"name": "test", "split": "test", "hash": "0123456789abcdef"},
        "scenes": 4,
        "views_seed": 0,
        "views": rows,
        "skipped": {},
        "contrastiveness": {},
        "distances": {"camera": {"matrix": [[0.0, 1.0], [1.0, 0.0]]}},
        "pca": {"camera": {"explained": [0.9, 0.1]}},
    }
    example = Example(
        inputs=rng.integers(0, 255, (3, 16, 16, 3), dtype=np.uint8),
        target=rng.random((16, 16, 3)),
        predicted=list(rng.random((len(table), 16, 16, 3))),
    )
    evaluation = Evaluation(
        figures=figures,
        examples=[example],
        traversals={"camera": rng.random((1, 2, 7, 16, 16, 3))},
        recombinations=[(rng.random((5, 5, 16, 16, 3)), rng.random((5, 5, 16, 16, 3)))],
    )
    path = tmp_path_factory.mktemp("report") / "evaluation.html"
    path.write_text(page(figures, evaluation), encoding="utf-8")
    return path


def test_no_picture_is_cut_off_at_any_width(report, tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: run `apt-get install chromium`")
    with Browser(program, tmp_path, 1280, 860) as browser:
        browser.open(report)
        for width in (1280, 700, 360):
            browser.resize(width, 860)
            rights = browser.run(
                "[...document.images].map(own => own.getBoundingClientRect().right)"
            )
            assert len(rights) == 3 + 1 + 9 + 1 + 2 * 7 + 1
            assert max(rights) <= width
            assert browser.run("document.documentElement.scrollWidth") <= width
        captions = browser.run(
            "[...document.images].map(own => own.nextElementSibling?.textContent)"
        )
        assert all(captions) and captions[:4] == [
            "input 1",
            "input 2",
            "input 3",
            "target",
        ]
