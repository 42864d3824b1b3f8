"""The dataset card, README.md, as the Hugging Face Hub reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from dyso.records.croissant import CITATION
from dyso.spec import ResolvedSpec

CARD = "README.md"

_SIZES = (
    ("n<1K", 10**3),
    ("1K<n<10K", 10**4),
    ("10K<n<100K", 10**5),
    ("100K<n<1M", 10**6),
    ("1M<n<10M", 10**7),
    ("10M<n<100M", 10**8),
    ("100M<n<1B", 10**9),
)


def card(
    resolved: ResolvedSpec,
    *,
    rows: int,
    layout: str,
    licenses: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> str:
    """Returns the text of a dataset's or an export's card.

    Args:
      resolved: the spec with its catalogs.
      rows: number of examples, of which `layout` says what they are.
      layout: a paragraph on how the files hold the scenes.
      licenses: the licences of the assets that the scenes show.
      files: a glob of the files of each split, where the `datasets` package reads them.
      columns: the columns or fields and their meaning.
    """
    spec = resolved.spec
    header: dict[str, Any] = {
        "pretty_name": spec.name,
        "task_categories": ["image-to-3d", "depth-estimation", "image-to-video"],
        "size_categories": [next((n for n, end in _SIZES if rows < end), "n>1T")],
        "tags": ["synthetic", "multi-view", "dynamic-scenes", "4d", "optical-flow"],
    }
    if licenses:
        header["license"] = "cc0-1.0" if set(licenses) == {"CC0 1.0"} else "other"
    if files:
        parts = [{"split": split, "path": path} for split, path in files.items()]
        header["configs"] = [{"config_name": "default", "data_files": parts}]
    scenes = ", ".join(f"{count} {split}" for split, count in spec.splits.items())
    height, width = spec.resolution
    lines = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        f"# {spec.name} {spec.version}\n",
        f"{spec.description}\n",
        f"The spec has {scenes} scenes of {spec.views} views ({spec.dynamics.steps} "
        f"dynamics steps, {spec.cameras.count} cameras); a view has {width} x {height} "
        "pixels.",
        f"{layout}\n",
        "Every pixel and annotation was rendered from a specification with DySO; spec "
        f"hash {resolved.hash}. The same specification and versions make the same "
        "data again.\n",
        *_table(columns or {}),
        "## Licences\n",
        "The scenes show assets with these licences, which pass on with the data: "
        f"{'; '.join(licenses)}. ATTRIBUTION.md lists the assets.\n"
        if licenses
        else "ATTRIBUTION.md lists the assets that the scenes show.\n",
        "## Citation\n",
        f"```bibtex\n{CITATION}\n```",
    ]
    return "\n".join(lines) + "\n"


def _table(columns: Mapping[str, str]) -> Iterator[str]:
    if columns:
        yield "| field | meaning |\n|---|---|"
        yield from (f"| `{name}` | {meaning} |" for name, meaning in columns.items())
        yield ""
