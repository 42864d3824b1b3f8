"""The loader: seeded order, division among processes, exact resumption."""

import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dyso.reading import Source, loader
from dyso.spec import UserError
from helpers.waiting import wait_for


@pytest.fixture
def source(dataset):
    return Source(split=dataset["train"], fields=("color", "index"), views=2)


def take(batches, count):
    return [
        {key: value.copy() for key, value in batch.items()}
        for batch in itertools.islice(batches, count)
    ]


def same(first, second):
    return len(first) == len(second) and all(
        a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
        for a, b in zip(first, second, strict=True)
    )


def scenes(batches):
    return [int(i) for batch in batches for i in batch["index"]]


def test_a_source_draws_views_that_its_seed_decides(dataset, source):
    assert len(source) == 10
    first, again = source[3], pickle.loads(pickle.dumps(source))[3]
    assert same([first], [again])
    every = dataset["train"][3]["color"]
    assert np.array_equal(first["color"], every[first["views"]])
    drawn = {tuple(source[index]["views"]) for index in range(10)}
    assert len(drawn) > 3 and all(a != b for a, b in drawn)
    fixed = Source(split=dataset["train"], fields=("color",), views=(5, 1))[0]
    assert fixed["views"].tolist() == [5, 1]
    assert len(Source(split=dataset["train"], fields=("depth",))[0]["depth"]) == 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"views": 7}, "views must be 1 to 6, got 7"),
        ({"views": (0, 6)}, r"views must be among 0 to 5, got \(0, 6\)"),
        ({"fields": ("normal",)}, "no field 'normal'; the fields are color, depth"),
    ],
)
def test_a_source_refuses_missing_fields_and_views(dataset, wrong, message):
    with pytest.raises(UserError, match=message):
        Source(split=dataset["train"], **wrong)


def test_every_epoch_has_all_scenes_in_another_order_with_other_views(source):
    batches = take(loader(source, batch_size=5, seed=3), 4)
    assert [batch["color"].shape for batch in batches] == [(5, 2, 24, 32, 3)] * 4
    first, second = scenes(batches[:2]), scenes(batches[2:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second and first != sorted(first)
    views = [
        dict(
            zip(scenes(epoch), np.concatenate([b["views"] for b in epoch]), strict=True)
        )
        for epoch in (batches[:2], batches[2:])
    ]
    assert any(list(views[0][i]) != list(views[1][i]) for i in range(10))
    assert same(batches, take(loader(source, batch_size=5, seed=3), 4))
    assert not same(batches, take(loader(source, batch_size=5, seed=4), 4))


def test_without_shuffling_the_order_is_the_splits(source):
    batches = loader(
        source, batch_size=4, seed=0, shuffle=False, epochs=1, drop_remainder=False
    )
    assert scenes(batches) == list(range(10))


def test_processes_share_every_epoch_between_them(source):
    own = [
        scenes(loader(source, batch_size=1, seed=5, epochs=2, process=p, processes=4))
        for p in range(4)
    ]
    together = [own[i % 4][i // 4] for i in range(20)]
    assert together == scenes(loader(source, batch_size=1, seed=5, epochs=2))


@pytest.mark.parametrize(
    ("consumed", "workers"),
    [
        *((consumed, 0) for consumed in (0, 1, 3, 4)),
        *(pytest.param(consumed, 2, marks=pytest.mark.slow) for consumed in (1, 3)),
    ],
)
def test_it_resumes_at_exactly_the_next_batch(source, consumed, workers):
    def start(workers):
        return iter(loader(source, batch_size=3, seed=1, epochs=2, workers=workers))

    batches = start(0)
    take(batches, consumed)
    state = json.loads(json.dumps(batches.get_state()))
    rest = take(batches, 100)
    assert len(rest) == 6 - consumed
    resumed = start(workers)
    resumed.set_state(state)
    assert same(take(resumed, 100), rest)


def test_another_number_of_processes_goes_on_where_they_stopped(source):
    def start(processes, **options):
        return [
            loader(
                source,
                batch_size=1,
                seed=5,
                epochs=2,
                process=process,
                processes=processes,
                **options,
            )
            for process in range(processes)
        ]

    used = [take(batches, 3) for batches in start(2)]
    rest = [take(batches, 100) for batches in start(3, skip=3 * 2)]
    assert [len(batches) for batches in rest] == [5, 5, 4]
    whole = take(loader(source, batch_size=1, seed=5, epochs=2), 100)
    together = [used[i % 2][i // 2] for i in range(6)]
    together += [rest[i % 3][i // 3] for i in range(14)]
    assert same(together, whole)


SCRIPT = """
import sys
from dyso.reading import Dataset, Source, loader

{guard}
    source = Source(split=Dataset(sys.argv[1])["train"], fields=("color",), views=2)
    batches = iter(loader(source, batch_size=2, seed=0, workers=2))
    batch = next(batches)
    print(batch["color"].shape, flush=True)
    {more}
"""


def script(path, folder, guard, more=""):
    """Starts a script whose loader has two workers."""
    path.write_text(SCRIPT.format(guard=guard, more=more))
    return subprocess.Popen(
        [sys.executable, path, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_script_with_a_main_guard_ends_silently(folder, tmp_path):
    process = script(tmp_path / "a.py", folder, 'if __name__ == "__main__":')
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out == "(2, 2, 24, 32, 3)\n"


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_a_one_line_error(folder, tmp_path):
    process = script(tmp_path / "a.py", folder, "if True:")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.count("\n") == 1 and 'under `if __name__ == "__main__":`' in err


@pytest.mark.slow
def test_workers_end_with_the_process_that_they_read_for(folder, tmp_path):
    process = script(
        tmp_path / "a.py",
        folder,
        'if __name__ == "__main__":',
        "import time; time.sleep(600)",
    )
    assert process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    tasks = children.parent.parent.glob("*/children")
    workers = {int(pid) for task in tasks for pid in task.read_text().split()}
    assert len(workers) >= 2
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
