"""Small datasets for tests, of synthetic views or of real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dyso import records
from dyso.render import Views
from dyso.sampling import sample_scene
from dyso.sampling.scene import Scene
from dyso.spec import ResolvedSpec


def write_shards(
    folder: Path,
    resolved: ResolvedSpec,
    lengths: dict[str, tuple[int, ...]],
    render: Callable[[Scene], Views],
) -> Path:
    """Writes a dataset's shards, and metadata that names no job.

    Args:
      folder: exists.
      resolved: the dataset.
      lengths: the number of scenes in each shard of each split.
      render: gives a scene's views.
    """
    name = resolved.spec.name
    for split, counts in lengths.items():
        for shard, count in enumerate(counts):
            first = sum(counts[:shard])
            scenes = [sample_scene(resolved, split, first + i) for i in range(count)]
            records.write_shard(
                folder / records.shard_name(name, split, shard, len(counts)),
                [records.encode(scene, render(scene)) for scene in scenes],
            )
    rendered = sum(map(sum, lengths.values()))
    records.write_metadata(folder, resolved, lengths, {"rendered": rendered})
    return folder


def write_dataset(
    folder: Path,
    resolved: ResolvedSpec,
    render: Callable[[Scene], Views],
    change: Callable[[str, list[bytes]], list[bytes]] = lambda split, own: own,
) -> Path:
    """Writes a dataset as a finished job leaves it, one shard a split.

    Args:
      folder: is made.
      resolved: the dataset.
      render: gives a scene's views.
      change: given a split and its records, gives what is written in their place.
    """
    folder.mkdir(parents=True)
    counts, shards = {}, []
    for split, scenes in resolved.spec.splits.items():
        sampled = [sample_scene(resolved, split, index) for index in range(scenes)]
        own = change(split, [records.encode(scene, render(scene)) for scene in sampled])
        name = records.shard_name(resolved.spec.name, split, 0, 1)
        info = records.write_shard(folder / name, own)
        counts[split] = [info.count]
        entry: dict[str, Any] = {"file": name, "split": split, "start": 0}
        entry |= {"stop": scenes, **vars(info)}
        shards.append(entry)
    extra = {"planned": sum(resolved.spec.splits.values()), "failures": []}
    records.write_metadata(folder, resolved, counts, {**extra, "shards": shards})
    (folder / "COMPLETED").write_text(f"{resolved.hash}\n")
    return folder
