import json
import re

import numpy as np
import pytest

from dyso import geometry
from dyso.cli.show import main
from dyso.reading import Dataset, captions
from dyso.records.synthetic import synthetic_views
from dyso.spec import UserError
from helpers.dataset_writer import write_dataset


def test_it_prints_what_a_record_holds(synthetic, capsys):
    assert main(synthetic, split="test", index=-1) == 0
    said = capsys.readouterr().out
    data = Dataset(synthetic)
    record = data["test"][1]
    for text in ("scene_1 of split test", str(record["objects/asset_id"][0])):
        assert text in said
    assert f"  caption     {captions(record, data.resolved.objects)[-1]}\n" in said
    for name in ("camera_pattern", "background/asset_id", "spec_hash"):
        assert str(record[name]) in said
    position = " +".join(f"{v:.3f}" for v in record["objects/positions"][0, 4])
    assert re.search(position, said)
    # The bytes of all layers and of all else make up the record.
    total = len(Dataset(synthetic)["test"].record(1))
    rows = re.findall(r"^  (\w[\w ]*?) +([\d,]+)(?:  .* a view)?$", said, re.M)
    parts = {name: int(count.replace(",", "")) for name, count in rows}
    assert sum(parts.values()) == total
    assert set(parts) >= {"color", "depth", "instance", "category", "all else"}


def test_a_video_has_a_camera_at_every_step(videos, tmp_path, capsys):
    folder = write_dataset(tmp_path / "data", videos, synthetic_views)
    assert main(folder, index=1) == 0
    said = capsys.readouterr().out
    assert "7 dynamics steps, a camera each, 24 x 32" in said
    record = Dataset(folder)["train"][1]
    for view in range(7):
        place = geometry.invert(record["extrinsics"][view].astype(float))[:, 3]
        assert re.search(
            f"^ +{view} +" + " +".join(f"{v:.3f}" for v in place), said, re.M
        )
        assert re.search(f" {record['objects/pixels'][0, view]}$", said, re.M)


def test_json_has_every_field_but_the_images(synthetic, capsys):
    assert main(synthetic, index=2, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    record = Dataset(synthetic)["train"][2]
    assert set(found) >= set(record) - {"color", "depth", "instance", "category"}
    assert np.allclose(found["objects/positions"], record["objects/positions"])
    assert found["scene"]["index"] == 2
    assert found["images"]["depth"] == [25, 24, 32, 1]
    near, far = found["depth_range"]
    assert 0 < near == record["depth"].min() < far == record["depth"].max()
    assert found["bytes"]["color"] < found["total_bytes"]


@pytest.mark.parametrize(
    ("split", "index", "text"),
    [
        ("train", 4, "no scene 4 in 'train', which has 4"),
        ("nope", 0, "no split 'nope'"),
    ],
)
def test_missing_splits_and_scenes_are_a_one_line_error(synthetic, split, index, text):
    with pytest.raises(UserError, match=text) as error:
        main(synthetic, split=split, index=index)
    assert len(str(error.value).splitlines()) == 1
