"""Runs the Beam job: `python beam_pipeline.py --spec S --output D [Beam options]`."""

import sys

from dyso.pipeline.command import main
from dyso.streams import run_command

if __name__ == "__main__":
    sys.exit(run_command(main))
