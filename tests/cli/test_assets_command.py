import subprocess
import sys

import pytest

from dyso.cli.assets import hdris, select, shapenet
from dyso.spec import UserError


def test_every_action_explains_itself_quickly():
    command = [sys.executable, "-c", "from dyso.cli import main; main()", "assets"]
    for action in ([], ["list"], ["shapenet"]):
        done = subprocess.run(
            [*command, *action, "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.startswith("usage: dyso assets")


def test_an_unknown_action_lists_the_known_ones():
    with pytest.raises(UserError, match="no action 'fly'; expected shapenet, mesh"):
        select(["fly"])


def test_bad_options_are_a_one_line_error(tmp_path):
    with pytest.raises(UserError, match="--width: expected an even number"):
        hdris(source=tmp_path, out=tmp_path, width=63)
    with pytest.raises(UserError, match="must be a folder on a disk"):
        shapenet(source=tmp_path, out="s3://bucket/assets")
