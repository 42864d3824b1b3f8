"""`dyso curves`: draws the learning curves of runs."""

from __future__ import annotations

from pathlib import Path

import tyro

from dyso.files import writing


def main(runs: tyro.conf.Positional[list[Path]], /, *, out: Path) -> int:
    """Draw the learning curves of one or several runs into one picture.

    PSNR on what is trained on, and what runs measure on held-out scenes while they
    train: PSNR, R_cam and R_dyn. TensorBoard shows the same of a run that goes on.

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
