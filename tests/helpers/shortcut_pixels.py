"""Run as a script: a scene as the worker renders it, and with every pixel path traced.

`python shortcut_pixels.py SCENE.json OBJECTS BACKGROUNDS OUTPUT.npz`
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from dyso.sampling import Scene
from dyso.worker import shadows
from dyso.worker.stage import Stage


def main() -> None:
    scene = Scene.from_json(Path(sys.argv[1]).read_text())
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(*sys.argv[2:4], Path(folder), "cpu")
        quick = stage.render(scene)
        shadows.WHOLE = 0.0
        whole = stage.render(scene)
        stage.close()
    np.savez(
        sys.argv[4],
        quick=quick.color,
        whole=whole.color,
        instance=quick.instance,
        positions=quick.positions,
    )


if __name__ == "__main__":
    main()
