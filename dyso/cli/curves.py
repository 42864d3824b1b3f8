"""`dyso curves`: draws the learning curves of runs."""

from __future__ import annotations

from pathlib import Path

import tyro

from dyso.errors import UserError


def main(runs: tyro.conf.Positional[list[Path]], /, *, out: Path) -> int:
    """Draw the learning curves of one or several runs into one picture.

    PSNR on what is trained on, and what runs measure on held-out scenes while they
    train: PSNR, R_cam and R_dyn. TensorBoard shows the same of a run that goes on.

    Args:
      runs: the folders of runs of `dyso train`.
      out: the .svg to write.
    """
    from dyso.files import replacing
    from dyso.train.curves import curves

    drawn = curves(runs)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary:
            temporary.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from error
    print(out)
    return 0
