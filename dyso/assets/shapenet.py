"""Lists the models of ShapeNetCore, version 1 or 2, in folders or zip files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dyso.assets.items import Item, Listing
from dyso.assets.processes import do_all
from dyso.spec import UserError

# In the order of the synset ids, by which the official release numbers them from 1.
# The names are those of Kubric's manifest, in the same order. A complete catalog
# therefore has the same numbers.
CATEGORIES = {
    "02691156": "airplane",
    "02747177": "ashcan",
    "02773838": "bag",
    "02801938": "basket",
    "02808440": "bathtub",
    "02818832": "bed",
    "02828884": "bench",
    "02843684": "birdhouse",
    "02871439": "bookshelf",
    "02876657": "bottle",
    "02880940": "bowl",
    "02924116": "bus",
    "02933112": "cabinet",
    "02942699": "camera",
    "02946921": "can",
    "02954340": "cap",
    "02958343": "car",
    "02992529": "cellular telephone",
    "03001627": "chair",
    "03046257": "clock",
    "03085013": "computer keyboard",
    "03207941": "dishwasher",
    "03211117": "display",
    "03261776": "earphone",
    "03325088": "faucet",
    "03337140": "file",
    "03467517": "guitar",
    "03513137": "helmet",
    "03593526": "jar",
    "03624134": "knife",
    "03636649": "lamp",
    "03642806": "laptop",
    "03691459": "loudspeaker",
    "03710193": "mailbox",
    "03759954": "microphone",
    "03761084": "microwave",
    "03790512": "motorcycle",
    "03797390": "mug",
    "03928116": "piano",
    "03938244": "pillow",
    "03948459": "pistol",
    "03991062": "pot",
    "04004475": "printer",
    "04074963": "remote control",
    "04090263": "rifle",
    "04099429": "rocket",
    "04225987": "skateboard",
    "04256520": "sofa",
    "04330267": "stove",
    "04379243": "table",
    "04401088": "telephone",
    "04460130": "tower",
    "04468005": "train",
    "04530566": "vessel",
    "04554684": "washer",
}

LICENSE = "https://shapenet.org/terms"
AUTHOR = "Chang et al. 2015, ShapeNet, and those who made the models"
MESHES = {"models/model_normalized.obj": "v2", "model.obj": "v1"}
_MODEL = re.compile(r"(?:.*/)?(\d{8})/([^/]+)\Z")
_LIST_TIMEOUT = 600.0


def list_shapenet(source: Path) -> Listing:
    """Finds the models of a folder.

    Args:
      source: has a folder or a zip file for each synset, or one of them that has.

    Raises:
      UserError: there is no model in it, or a zip file is damaged.
    """
    ignored: Counter[str] = Counter()
    items: dict[str, Item] = {}
    try:
        folders = [source, *(p for p in source.iterdir() if p.is_dir())]
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}") from error
    zips = sorted(path for folder in folders for path in folder.glob("*.zip"))
    for item in (*_in_folders(folders, ignored), *_in_zips(zips, ignored)):
        items.setdefault(item.id, item)
    if not items:
        raise UserError(
            f"{source}: no models in it; expected SYNSET/MODEL/models/"
            "model_normalized.obj, SYNSET/MODEL/model.obj or SYNSET.zip"
        )
    return Listing(items=sorted(items.values(), key=lambda i: i.id), ignored=ignored)


def _in_folders(folders: Iterable[Path], ignored: Counter[str]) -> Iterator[Item]:
    for folder in folders:
        for synset in sorted(folder.glob("[0-9]" * 8)):
            if not synset.is_dir():
                continue
            for root in sorted(synset.iterdir()):
                if not root.is_dir():
                    continue
                files = [name for name in MESHES if (root / name).is_file()]
                item = _item(f"{synset.name}/{root.name}", files, ignored)
                if item is not None:
                    mesh = root / item.request["source"]
                    paths = {"source": str(mesh), "root": str(root)}
                    stamp = [0, 0]
                    if files:
                        stat = mesh.stat()
                        stamp = [stat.st_size, stat.st_mtime_ns]
                    yield item.at(paths, stamp)


def _in_zips(zips: Iterable[Path], ignored: Counter[str]) -> Iterator[Item]:
    requests = [{"do": "zip", "zip": str(path)} for path in zips]
    if not requests:
        return
    for request, answer in do_all(requests, 1, _LIST_TIMEOUT):
        if answer.reason:
            raise UserError(f"{request['zip']}: {answer.message}")
        for model in answer.value:
            item = _item(model["root"], model["files"], ignored)
            if item is not None:
                root = model["root"]
                paths = {"source": f"{root}/{item.request['source']}", "root": root}
                yield item.at(paths | {"zip": request["zip"]}, model["stamp"])


def _item(root: str, files: Iterable[str], ignored: Counter[str]) -> Item | None:
    """Makes an item, whose source is relative to its root."""
    match = _MODEL.match(root)
    if match is None or match[1] not in CATEGORIES:
        ignored["of a category that the release does not have"] += 1
        return None
    names = set(files)
    mesh = next((name for name in MESHES if name in names), "")
    synset, model = match.groups()
    version = f".{MESHES[mesh]}" if mesh else ""
    metadata: dict[str, Any] = {
        "author": AUTHOR,
        "category": CATEGORIES[synset],
        "category_id": synset,
        "source": f"ShapeNetCore{version} {synset}/{model}",
    }
    # ShapeNet's models have y up.
    request = {"do": "mesh", "source": mesh, "up": "Y"}
    return Item(
        id=f"{synset}/{model}",
        entry={
            "asset_type": "FileBasedObject",
            "license": LICENSE,
            "metadata": metadata,
        },
        request=request,
        fault="" if mesh else f"has none of {', '.join(MESHES)}",
    )
