import json
from collections import Counter

import numpy as np
import pytest

from dyso.cli.stats import main
from dyso.reading import Dataset
from dyso.spec import UserError


def test_it_counts_what_the_records_hold(synthetic, capsys):
    assert main(synthetic, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    dataset = Dataset(synthetic)
    records = [*dataset["train"], *dataset["test"]]
    assert found["scenes"] == found["scenes_in_all"] == 6
    assert found["split"] == {"train": 4, "test": 2}
    for name, field in [("pattern", "camera_pattern"), ("hdri", "background/asset_id")]:
        assert found[name] == Counter(str(record[field]) for record in records)
    assert found["category"] == Counter(
        str(name) for record in records for name in record["objects/category"]
    )
    pixels = np.concatenate([record["objects/pixels"].ravel() for record in records])
    share = found["object_share_of_view"]
    assert share["histogram"]["not seen"] == (pixels == 0).sum()
    assert sum(share["histogram"].values()) == pixels.size
    largest = pixels.max() / (24 * 32)
    assert share["quantiles"]["100%"] == pytest.approx(largest, rel=1e-3)
    nearest = min(record["depth"].min() for record in records)
    assert found["nearest_depth_of_a_view"]["0%"] == pytest.approx(nearest, rel=1e-3)
    assert found["failed"] == {}


def test_it_prints_a_table_with_bars_and_looks_at_some(synthetic, capsys):
    assert main(synthetic, scenes=3) == 0
    said = capsys.readouterr().out
    assert said.startswith("3 of 6 scenes")
    assert "█" in said
    for title in ("camera patterns", "HDRIs", "quantiles", "attempts"):
        assert title in said
    assert max(map(len, said.splitlines())) <= 100


def test_a_number_of_scenes_below_1_is_a_one_line_error(synthetic):
    with pytest.raises(UserError, match="scenes: must be at least 1, got -3"):
        main(synthetic, scenes=-3)
