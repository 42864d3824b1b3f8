"""Scenes a second from a web server through the cache, against a local copy.

    python benchmarks/remote.py [DATASET]

Reads 7 of 25 views of every scene, in an order of windows of two shards, five times in
turn: from the folder; from a web server with an empty cache; again, with all shards in
the cache; and with a cache that holds four shards. Prints the medians of the ratios of
wall time. The server runs on this machine, so the figures show the cost of the cache,
not that of a network. Without a dataset it makes one of 12 shards of 16 scenes,
without a renderer.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from reading import VIEWS, make_dataset

from dyso.reading import Dataset, Source, loader

ROUNDS = 5


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder; the context's value is its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=10).close()
                break
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def seconds(dataset: Dataset) -> float:
    """Reads every scene once; returns the wall time."""
    split = next(iter(dataset.splits.values()))
    source = Source(split=split, fields=("color",), views=VIEWS)
    start = time.perf_counter()
    for _ in loader(source, batch_size=8, seed=0, epochs=1, window=2):
        pass
    return time.perf_counter() - start


def benchmark(folder: Path, cache: Path) -> None:
    shards = [path.stat().st_size for path in folder.glob("*.array_record*")]
    small = 4 * max(shards)
    rows: dict[str, list[float]] = {}
    with served(folder) as url:
        for number in range(ROUNDS + 1):
            local = seconds(Dataset(folder))
            whole, part = cache / f"{number}-whole", cache / f"{number}-part"
            times = {
                "empty cache": seconds(Dataset(url, cache_dir=whole)),
                "full cache": seconds(Dataset(url, cache_dir=whole)),
                "cache of 4 shards": seconds(
                    Dataset(url, cache_dir=part, cache_size=small)
                ),
            }
            for name, value in times.items():
                rows.setdefault(name, []).append(value / local)
            for used in (whole, part):
                shutil.rmtree(used)
    print(f"{len(shards)} shards, {sum(shards) / 1e6:.0f} MB; wall time / local copy's")
    for name, ratios in rows.items():
        print(f"{name:20} {statistics.median(ratios[1:]):.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "data"
        made.mkdir()
        if len(sys.argv) == 1:
            make_dataset(made, 12)
        benchmark(
            Path(sys.argv[1]) if len(sys.argv) > 1 else made, Path(temporary) / "cache"
        )
