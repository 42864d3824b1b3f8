"""An HTML page to browse the scenes of a dataset, with filters, views and layers.

The page lists all scenes and contains no images. It loads them from the folders that
`dyso.visualization.browsing` writes, and works both from disk and from a server.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib import resources

from dyso.spec import ResolvedSpec
from dyso.visualization.animation import VIDEO_RATE
from dyso.visualization.browsing import Entry, to_json
from dyso.visualization.pictures import layers_of
from dyso.visualization.scenes import shown

SCENES = "scenes"
"""The folder next to the page with one folder per scene."""


def page(
    resolved: ResolvedSpec, counts: dict[str, int], entries: Sequence[Entry]
) -> str:
    """Returns the page's HTML.

    Args:
      resolved: the dataset.
      counts: the number of scenes in each split, for the heading.
      entries: the scenes to browse, in order; at least one.
    """
    spec, layout = resolved.spec, resolved.spec.layout
    height, width = spec.resolution
    steps, cameras = shown(layout)
    views = f"{layout.steps} × {layout.cameras} views"
    head = {
        "name": spec.name,
        "facts": [
            f"version {spec.version}",
            ", ".join(f"{count:,} {split}" for split, count in counts.items()),
            f"{f'{layout.steps} frames' if layout.paired else views} "
            f"of {width} × {height}",
            resolved.hash,
        ],
        "total": sum(counts.values()),
        "rate": VIDEO_RATE if layout.paired else None,
        "folder": SCENES,
        "steps": [int(step) for step in steps],
        "cameras": [int(camera) for camera in cameras or (0,)],
        "layers": layers_of(spec),
        "aspect": width / height,
    }
    splits = _Names(entry.split for entry in entries)
    patterns = _Names(entry.pattern for entry in entries)
    categories = _Names(name for entry in entries for name in entry.categories)
    hdris = _Names(entry.hdri for entry in entries)
    data = {
        "head": head,
        "names": {
            "split": splits.names,
            "pattern": patterns.names,
            "category": [name or "no category" for name in categories.names],
            "HDRI": hdris.names,
        },
        # Names are replaced by numbers: ten thousand scenes take 0.25 MB.
        "scenes": [
            [
                entry.index,
                [splits[entry.split]],
                [patterns[entry.pattern]],
                [categories[name] for name in entry.categories],
                [hdris[entry.hdri]],
            ]
            for entry in entries
        ],
    }
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    text = template.replace("{{title}}", html.escape(f"{spec.name}: scenes"))
    return text.replace("{{data}}", to_json(data))


class _Names:
    """Distinct names in sorted order, with a look-up of their numbers."""

    def __init__(self, names: Iterable[str]):
        self.names = sorted(set(names))
        self._numbers = {name: i for i, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]
