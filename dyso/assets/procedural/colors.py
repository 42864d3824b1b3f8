"""Colours as in nature and in shops, varied in a perceptual space (Oklab)."""

from __future__ import annotations

import numpy as np

from dyso.assets.procedural.draw import Draw
from dyso.srgb import to_display, to_linear

PALETTES: dict[str, str] = {
    "wood": "a9764a 8a5a36 c79a66 6b4329 b88654 593a28 d8b98c 9c6b43 7d4e2d",
    "paint": "b23a32 2f5c8f e0b13c 3f7d54 e8e4da 2b2d33 c9683a 6d8fb0 7b3f4e "
    "94a787 f2c9a8 45616b d9d2c3 8c2f2b 23486b 5e7f3d",
    "car": "b51f24 c9ccd0 1f2226 f1f1ee 24457a 7d8288 5a1a20 2e4a3c d7b46a 3d6a8c "
    "e07b2a",
    "toy": "d9362f f2b632 2f7dc0 3da35d f07f2f f3efe4 7a4fa0 2c2f36 e86f9a 58b7c9",
    "ceramic": "f1ece0 d8cbb3 2f5173 7a9a94 b5533c 40514a e3d6c6 8fa7bd 5b3a33 c9b48a "
    "a7b79a 23333f",
    "earth": "b5643f c47a52 9b5136 d09a72 8a4630",
    "fabric": "7a2e35 33475b b7a58c 5d6b4a c8b8a0 8c6f5a 39383d d9cfbf a3523b 54698a "
    "c99a4a 6f5475 e5ddd0",
    "leather": "6b3f26 8d5a34 2b211d a9743f 4a2a20 c29b6c 5b1f1f",
    "stone": "8e8a83 a39c90 6f6d6a b9b1a4 7c7468 cfc8bb",
    "marble": "ece8e1 d9d3c9 2e2f33 c9b9a3 74827a a4534b",
    "brick": "9c4a38 b5654a 8a3f31 c08a68 7a4a40 d0b090",
    "metal": "c8c9cb b9babd dcdcdb a8a9ad",
    "warm_metal": "d9b46a c98a5b b8894f e0c08a",
    "rubber": "222325 2d2e31 3a3530 1c1d20",
    "skin": "e6b99a c98f6b a46a48 7a4a33 f0cdb4 55352a b9a08a 8d8f86 9aa070",
    "fur": "8a6440 c9a06a 5a4030 d9cbb4 3a312d a5623a 8f8780 e8e0d4",
    "leaf": "4c7a37 35612f 6f9444 8aa35a 2f5a3d a3a85a 57823f",
    "flower": "d9486a f0c24a e8e2ee 9a5fb0 e8743b f2a7b8 c9342f",
    "paper": "efe9dc c9a877 b8925f e6dcc6 f6f4ee d8c9ae",
    "light": "ffe0b0 fff2dc ffc98a e8f0ff",
    "glass": "f4faf8 d8efe6 cfe3f0 b7d8b8 d9b98a 9fc7e0",
    "dark_glass": "1d262c 26313a 182025 2a2f35",
    "roof": "8f4636 5b5a5c 6f3a30 3f4a52 a8643f 7a6a58",
    "wall": "efe6d6 e3cfae d9b89a c9d0cf f3efe8 cfae8a a9b8a3 e8d9c9 b9a08c c4a0a0",
}

_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_FROM_LAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def _times(matrix: tuple[tuple[float, ...], ...], v: np.ndarray) -> np.ndarray:
    return np.array([sum(a * b for a, b in zip(row, v, strict=True)) for row in matrix])


def oklab(color: np.ndarray) -> np.ndarray:
    """Converts sRGB to Oklab."""
    return _times(_TO_LAB, np.cbrt(_times(_TO_LMS, to_linear(color))))


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Converts Oklab to sRGB."""
    return to_display(_times(_TO_RGB, _times(_FROM_LAB, lab) ** 3))


def color(draw: Draw, palette: str, spread: float = 1.0) -> np.ndarray:
    """Returns an sRGB colour [3] near one of a palette."""
    code = draw.pick(PALETTES[palette].split())
    lab = oklab(np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255)
    lab[0] = np.clip(lab[0] + spread * draw.real(-0.06, 0.06), 0.12, 0.98)
    lab[1:] *= draw.real(0.6, 1.0)
    lab[1:] += spread * np.array([draw.real(-0.012, 0.012), draw.real(-0.012, 0.012)])
    return from_oklab(lab)


def lighter(base: np.ndarray, by: float) -> np.ndarray:
    """Returns a colour that is lighter, or darker where `by` is negative."""
    lab = oklab(base)
    lab[0] = np.clip(lab[0] + by, 0.05, 0.99)
    return from_oklab(lab)
