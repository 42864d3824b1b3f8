"""ATTRIBUTION.md, and the credits in manifests that it is written from."""

import dataclasses
import json

from dyso.assets.credits import Credit, attribution, credit_of
from dyso.assets.manifest import read_catalog
from dyso.spec import ResolvedSpec, Spec


def written(path, name: str, **credits: dict) -> str:
    assets = {
        asset: {
            "asset_type": "FileBasedObject",
            "kwargs": {"bounds": [[0, 0, 0], [1, 1, 1]]},
            **more,
        }
        for asset, more in credits.items()
    }
    path.write_text(json.dumps({"name": name, "assets": assets}))
    return str(path)


def resolved(*manifests: str) -> ResolvedSpec:
    objects, backgrounds = (read_catalog(m, "FileBasedObject") for m in manifests)
    spec = dataclasses.replace(Spec(name="mine", splits={"train": 1}))
    return ResolvedSpec(spec=spec, objects=objects, backgrounds=backgrounds)


def test_a_row_for_each_asset_that_is_used(tmp_path) -> None:
    own = {"license": "CC0", "metadata": {"author": "Me", "source": "https://a.b/c"}}
    location = written(tmp_path / "m.json", "many", a=own, b=own, c={})
    text = attribution(resolved(location, location), [0, 2], [1])
    assert "| a | https://a.b/c | CC0 | Me |" in text
    assert "| c | not known | not known | not known |" in text
    assert text.count("\n| b |") == 1 and text.count("\n| a |") == 1
    assert "## Objects: 2 of many" in text and "## HDRIs: 1 of many" in text


def test_untrusted_texts_stay_in_their_table_cells(tmp_path) -> None:
    bad = "CC0 |\n# <b>![x](y)`\u202e\x00" + "z" * 999
    hostile = {"license": bad, "metadata": {"author": [bad, 3], "source": {"x": 1}}}
    location = written(tmp_path / "m.json", "m", a=hostile)
    text = attribution(resolved(location, location), [0], [])
    [row] = [line for line in text.splitlines() if line.startswith("| a |")]
    assert row.count(" | ") == 3 and "\\|" in row and "\\<b\\>" in row
    assert row.isprintable() and len(row) < 1000
    assert not [line for line in text.splitlines() if line.startswith("# <")]


def test_a_missing_manifest_costs_only_the_credits(tmp_path) -> None:
    location = written(tmp_path / "m.json", "m", a={"license": "CC0"})
    dataset = resolved(location, location)
    (tmp_path / "m.json").unlink()
    text = attribution(dataset, [0], [0])
    assert text.count("| a | not known | not known | not known |") == 2


def test_credits_are_read_by_kubrics_keys_and_by_ours() -> None:
    assert credit_of({}) == credit_of({"metadata": 3}) == Credit()
    kubric = {"license": "L", "metadata": {"authors": ["A", "B"], "url": "U"}}
    ours = {"license": "L", "metadata": {"author": "A, B", "source": "U"}}
    expected = Credit(license="L", author="A, B", source="U")
    assert credit_of(kubric) == credit_of(ours) == expected


def test_credits_are_no_part_of_an_assets_identity(tmp_path) -> None:
    own = {"license": "CC0", "metadata": {"author": "Me", "source": "here"}}
    catalogs = [
        read_catalog(written(tmp_path / "m.json", "m", a=each), "FileBasedObject")
        for each in ({}, own)
    ]
    assert catalogs[0].assets == catalogs[1].assets
