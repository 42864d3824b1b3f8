"""`dyso curves`: draws the learning curves of runs."""

from __future__ import annotations

from pathlib import Path

import tyro

from dyso.files import writing


def main(runs: tyro.conf.Positional[list[Path]], /, *, out: Path) -> int:
    """Draw the learning curves of one or several runs into one picture.

    They show PSNR on the training scenes, and PSNR, R_cam and R_dyn on the scenes that
    a run is evaluated on while it trains. TensorBoard shows the same during a run.

    Args:
      runs: the folders of runs of `dyso train`.
      out: the .svg to write.
    """
    from dyso.train.curves import curves

    drawn = curves(runs)
    with writing(out) as temporary:
        temporary.write_text(drawn, encoding="utf-8")
    print(out)
    return 0
