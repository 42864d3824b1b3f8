"""The JSON Schema accepts and refuses what the loader does, as far as it can."""

import json
import subprocess
import sys

import jsonschema
import pytest
import yaml

from dyso.spec.json_schema import json_schema
from helpers.manual import ROOT


@pytest.fixture(scope="module")
def check():
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=str)
def test_every_spec_fits(check, path):
    check.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("name: x", []),
        ("{name: x, splits: {train: many}}", ["splits", "train"]),
        ("{name: x, splits: {train: 1}, cameras: {cout: 3}}", ["cameras"]),
        ("{name: x, splits: {train: 1}, dynamics: {steps: 0}}", ["dynamics", "steps"]),
        (
            "{name: x, splits: {train: 1}, cameras: {elevation: [0, 91]}}",
            ["cameras", "elevation", 1],
        ),
        (
            "{name: x, splits: {train: 1}, render: {layers: [color, dpth]}}",
            ["render", "layers", 1],
        ),
    ],
)
def test_mistakes_are_marked_where_they_are(check, text, where):
    [error] = check.iter_errors(yaml.safe_load(text))
    assert list(error.absolute_path) == where


def test_every_key_is_explained():
    schema = json_schema()
    silent = [
        f"{name}.{key}"
        for name, section in {"Spec": schema, **schema["definitions"]}.items()
        for key, entry in section["properties"].items()
        if "$ref" not in entry and not entry.get("description")
    ]
    assert not silent


def test_it_is_printed_for_a_file():
    done = subprocess.run(
        [sys.executable, "-m", "dyso.spec.json_schema"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == json_schema()
