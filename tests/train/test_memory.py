"""Datasets in memory: the same batches and the same run as from files."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from dyso.reading import Dataset, loader
from dyso.spec import UserError
from dyso.train import checkpoints
from dyso.train.data import Scenes, look_up
from dyso.train.memory import NumberedViews, load
from dyso.train.run import train
from dyso.train.video_data import Clips

STATIC = {"static": True, "inputs": 3, "targets": 2, "control": "none"}
TOLD = {"target_poses": "given", "input_poses": True}


def scenes(config, folder):
    return Scenes(split=Dataset(folder)["train"][1:], config=config)


@pytest.mark.parametrize("poses", [False, True])
def test_batches_of_scenes_are_those_from_files(changed, trained_on, poses):
    config = changed(TOLD, pose_noise=0.1, **STATIC) if poses else changed()
    source = scenes(config, trained_on)
    seen = []
    decoded = load(source, lambda indices: map(note(seen), indices))
    assert seen == list(range(7))
    assert decoded.pictures.shape == (7 * 25, 16, 16, 3)
    alike(source, decoded)


def note(seen):
    def noted(index):
        seen.append(index)
        return index

    return noted


def alike(source, decoded):
    both = [iter(loader(s, batch_size=3, seed=1)) for s in (source, decoded.source)]
    for _ in range(4):
        batch, numbered = next(both[0]), next(both[1])
        assert numbered["inputs"].shape == batch["inputs"].shape[:2]
        found = look_up(numbered, decoded.pictures)
        assert found.keys() == batch.keys()
        for name, values in batch.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values)


def test_batches_of_clips_are_those_from_files(clips, small):
    source = Clips.open(clips, small)
    alike(source, load(source))


@pytest.fixture(scope="module")
def sources(small, trained_on, clips):
    return scenes(small, trained_on), Clips.open(clips, small)


@pytest.mark.slow
def test_a_run_is_the_same_from_memory_and_may_change_to_it(small, sources, tmp_path):
    config = dataclasses.replace(small, save_every=3, sample_every=6)
    files, changing = tmp_path / "files", tmp_path / "changing"
    decoded = [load(source) for source in sources]
    assert train(config, files, *sources) == 6
    shutil.copytree(files, changing)
    shutil.rmtree(changing / "checkpoints" / "6")
    assert train(config, changing, *decoded) == 6
    assert pictures(changing) == pictures(files)
    for one, other in zip(params(changing), params(files), strict=True):
        np.testing.assert_array_equal(one, other)


def pictures(workdir):
    return (workdir / "samples" / "00000006.png").read_bytes()


def params(workdir):
    config = checkpoints.load_config(workdir)
    return jax.tree.leaves(checkpoints.load_params(workdir, config)[1])


def test_a_dataset_that_is_too_large_is_one_line(changed, trained_on):
    source = scenes(changed(), trained_on)
    split = NumberedViews(spec=source.split.spec, count=10**8, fields={})
    told = (
        r"2500000000 pictures of 16 x 16 take 1920\.0 GB, expected at most .* train on"
    )
    with pytest.raises(UserError, match=told) as error:
        load(dataclasses.replace(source, split=split))
    assert "\n" not in str(error.value)
