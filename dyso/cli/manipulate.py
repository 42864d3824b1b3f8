"""`dyso manipulate`: freezes or transfers a video's camera or dynamics."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dyso import records
from dyso.spec import UserError

PICTURES = {".png": "PNG", ".webp": "WEBP"}


def main(
    model: tyro.conf.Positional[Path],
    /,
    *,
    video: Path,
    out: Path,
    freeze: Literal["camera", "dynamics"] | None = None,
    at: int = 0,
    transfer: Literal["camera", "dynamics"] | None = None,
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None,
    frames: int = 64,
) -> int:
    """Write a video beside its reconstruction and its manipulation by the model.

    The output shows side by side the video, its reconstruction, the manipulated video
    and, for --transfer, the video that the latents are from. The model sees the first,
    middle and last frame. Videos are cropped and scaled to the size of its views.

    Args:
      model: the folder of a run of `dyso train`, a file of `dyso weights`, or the name
        of a model that comes with this program: dyst-tiny.
      video: the video, or a still picture to move.
      out: the MP4 to write; with the ending .png or .webp, a picture of eight frames.
      freeze: keep the camera or the dynamics of frame --at.
      at: the number of the frame to freeze, among those read; -1 is the last.
      transfer: take the camera or the dynamics from the video --from.
      source: the other video.
      frames: the most frames to read, at 12 per second.
    """
    if (freeze is None) == (transfer is None):
        raise UserError("dyso manipulate: give one of --freeze and --transfer")
    if (transfer is None) != (source is None):
        raise UserError("dyso manipulate: --transfer and --from go together")
    if frames < 1:
        raise UserError(f"frames: must be at least 1, got {frames}")
    if importlib.util.find_spec("av") is None:
        raise UserError("dyso manipulate: needs PyAV: pip install 'dyso[train]'")
    from dyso.train import manipulation, trained
    from dyso.train.predict import Predictor
    from dyso.visualization.animation import write_mp4

    loaded = trained.load(model)
    predictor = Predictor(loaded.config, loaded.params)
    size = loaded.config.model.resolution
    original, rate = manipulation.read_frames(video, size, frames)
    seen = manipulation.Video(predictor, original)
    panels = {"original": original, "reconstruction": seen.decode(seen.latents)}
    if freeze is not None:
        changed = manipulation.freeze(seen.latents, freeze, at)
        panels[f"{freeze} of frame {at}"] = seen.decode(changed)
    else:
        assert transfer is not None and source is not None
        other, other_rate = manipulation.read_frames(source, size, frames)
        if len(original) == 1:
            rate = other_rate
        moved = manipulation.Video(predictor, other)
        changed = manipulation.transfer(seen.latents, transfer, moved.latents)
        panels[f"{transfer} of {source.name}"] = seen.decode(changed)
        panels[source.name] = other
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix in PICTURES:
            with records.replacing(out) as temporary:
                picture = manipulation.sheet(panels)
                picture.save(temporary, format=PICTURES[out.suffix], lossless=True)
        else:
            write_mp4(out, manipulation.side_by_side(panels), rate)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from error
    print(
        f"{out}  {', '.join(panels)}; {len(original)} frames, the model at step "
        f"{loaded.step}"
    )
    return 0
