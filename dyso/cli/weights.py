"""`dyso weights`: writes a trained model as one small file."""

from __future__ import annotations

from pathlib import Path

import tyro


def main(
    model: tyro.conf.Positional[Path], /, *, out: Path, step: int | None = None
) -> int:
    """Write a run's settings and parameters as one small file.

    Parameters are rounded to float16 and the optimizer's state is left out: two bytes a
    parameter. `dyso evaluate` and `dyso manipulate` take the file in place of the run's
    folder.

    Args:
      model: the folder of a run of `dyso train`.
      out: the .npz to write.
      step: the checkpoint to write; default: the newest.
    """
    from dyso.train import trained

    loaded = trained.load(model, step)
    trained.save(out, loaded)
    print(f"{out}  step {loaded.step:,}, {out.stat().st_size / 1e6:.1f} MB")
    return 0
