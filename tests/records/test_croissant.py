"""croissant.json and the dataset card, read by mlcroissant and huggingface_hub."""

import json

import mlcroissant
import pytest
from huggingface_hub import DatasetCard

from dyso import records
from dyso.records.card import CARD, card
from dyso.records.croissant import CROISSANT, licenses_in

# mlcroissant uses what rdflib deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")

SHARDS = {"train": (4, 6), "test": (2,)}
LICENSES = ["CC BY 4.0", "CC0 1.0"]


@pytest.fixture(scope="module")
def folder(make_resolved, tmp_path_factory):
    """The metadata of a dataset, whose shards are empty files."""
    path = tmp_path_factory.mktemp("described")
    shards = []
    for split, lengths in SHARDS.items():
        for index, length in enumerate(lengths):
            file = path / records.shard_name("test", split, index, len(lengths))
            file.touch()
            shards.append(
                {
                    "file": file.name,
                    "split": split,
                    "count": length,
                    "bytes": 0,
                    "sha256": records.checksum(file),
                }
            )
    resolved = make_resolved(splits={"train": 10, "test": 2}, description="Made up.")
    about = {"shards": shards, "versions": {"dyso": "0.1.0", "bpy": "4.5"}}
    records.write_metadata(path, resolved, SHARDS, about, LICENSES)
    return path


def test_mlcroissant_accepts_the_description(folder):
    metadata = mlcroissant.Dataset(str(folder / CROISSANT)).metadata
    assert metadata.ctx.is_latest_version() and not metadata.ctx.issues.errors
    # Only whoever publishes the data knows when.
    [warning] = metadata.ctx.issues.warnings
    assert "datePublished" in str(warning)
    assert metadata.name == "test" and metadata.license == LICENSES
    assert [file.content_url for file in metadata.file_objects] == [
        "test-train.array_record-00000-of-00002",
        "test-train.array_record-00001-of-00002",
        "test-test.array_record-00000-of-00001",
    ]
    assert all(
        records.checksum(folder / file.content_url) == file.sha256
        for file in metadata.file_objects
    )
    assert metadata.data_limitations and metadata.personal_sensitive_information


def test_the_provenance_names_spec_versions_and_catalogs(folder):
    stored = json.loads((folder / CROISSANT).read_text())
    [spec_hash] = {stored["identifier"].removeprefix("spec ")}
    activity = stored["prov:wasGeneratedBy"]["prov:label"]
    assert spec_hash in activity and "bpy 4.5" in activity
    sources = [entity["prov:label"] for entity in stored["prov:wasDerivedFrom"]]
    assert sources == [
        "Objects: catalog objects, 40 assets",
        "Backgrounds: catalog hdris, 6 assets",
    ]
    assert licenses_in(folder) == tuple(LICENSES)
    assert licenses_in(folder / "nothing") == ()


def test_the_hub_reads_the_card(folder):
    text = (folder / CARD).read_text()
    data = DatasetCard(text).data
    assert data.pretty_name == "test" and data.license == "other"
    assert data.size_categories == ["n<1K"]
    assert "Made up." in text and "| `depth` | Metres, Euclidean" in text
    assert "CC BY 4.0; CC0 1.0" in text


def test_free_assets_make_a_free_dataset(make_resolved):
    def data(rows, licenses):
        text = card(make_resolved(), rows=rows, layout="", licenses=licenses)
        return DatasetCard(text).data

    assert data(5_000, ["CC0 1.0"]).license == "cc0-1.0"
    assert data(5_000, ["CC0 1.0"]).size_categories == ["1K<n<10K"]
    assert data(10**6, []).license is None
    assert data(10**6, []).size_categories == ["1M<n<10M"]
