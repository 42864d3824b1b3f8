import re
import select
import signal
import subprocess
import sys
import urllib.request

import pytest

from dyso.cli.view import main
from dyso.spec import UserError
from helpers.commands import Command
from helpers.waiting import wait_for

pytest.importorskip("rerun")


@pytest.fixture
def no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")


def test_it_writes_a_file_that_rerun_opens(synthetic, tmp_path, capsys, no_display):
    path = tmp_path / "scenes.rrd"
    assert main(synthetic, index=(2, 0, 2), save=path) == 0
    import rerun.dataframe

    archive = rerun.dataframe.load_archive(path)
    [recording] = archive.all_recordings()
    assert recording.application_id() == "dyso test"
    columns = recording.schema().component_columns()
    roots = {column.entity_path.split("/")[1] for column in columns}
    assert {"train_0", "train_2"} == roots - {"__properties"}
    assert f"next: rerun {path}" in capsys.readouterr().out


def test_a_missing_display_is_a_one_line_error_with_the_options(synthetic, no_display):
    with pytest.raises(UserError, match=r"no display.*--web.*--save"):
        main(synthetic)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index": (0, 4)}, "index must be 0 to 3 in split 'train', got 4"),
        ({"index": (-1,)}, "got -1"),
        ({"index": ()}, "got none"),
        ({"split": "tests"}, "no split 'tests'; the splits are train, test"),
        ({"save": "a.png"}, r"must end in \.rrd"),
        ({"save": "no/folder/a.rrd"}, "a.rrd: cannot be written"),
        ({"save": "a.rrd", "web": True}, "--save or --web, not both"),
    ],
)
def test_impossible_options_are_a_one_line_error(
    synthetic, tmp_path, no_display, options, said
):
    if "save" in options:
        options = options | {"save": tmp_path / options["save"]}
    with pytest.raises(UserError, match=said):
        main(synthetic, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_is_served_on_this_machine_alone_until_ctrl_c(
    synthetic, tmp_path, monkeypatch
):
    # Rerun would greet a user who starts it for the first time.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    disable = [sys.executable, "-m", "rerun", "analytics", "disable"]
    subprocess.run(disable, check=True, capture_output=True, timeout=60)
    command = Command("view", synthetic, "--web", "--index", 1)
    try:
        assert select.select([command.process.stdout], [], [], 60)[0]
        said = command.process.stdout.readline()
        address = re.fullmatch(r"open (http://127\.0\.0\.1:\d+\?url=\S+) .*\n", said)[1]

        def served(address=address):
            try:
                with urllib.request.urlopen(address, timeout=5) as answer:
                    return answer.status == 200
            except OSError:
                return False

        assert command.wait_for(served, 60)
        # What listens to all addresses of a machine listens to this one too.
        assert not served(address.replace("127.0.0.1", "127.0.0.2", 1))
        command.process.send_signal(signal.SIGINT)
        assert command.end(30) == (0, "", "")
        wait_for(lambda: not served())
    finally:
        command.process.kill()
