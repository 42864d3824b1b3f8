"""The grammar of each category."""

from __future__ import annotations

from collections.abc import Callable

from dyso.assets.procedural.abstract import abstract
from dyso.assets.procedural.buildings import house, tower
from dyso.assets.procedural.creatures import (
    centipede,
    fish,
    insect,
    quadruped,
    snake,
)
from dyso.assets.procedural.furniture import chair, lamp, table
from dyso.assets.procedural.living import creature, plant
from dyso.assets.procedural.model import Model
from dyso.assets.procedural.tools import tool
from dyso.assets.procedural.toys import toy_blocks
from dyso.assets.procedural.vehicles import airplane, boat, car
from dyso.assets.procedural.vessels import bottle, bowl, mug, vase

GRAMMARS: dict[str, Callable[[Model], None]] = {
    "abstract": abstract,
    "airplane": airplane,
    "boat": boat,
    "bottle": bottle,
    "bowl": bowl,
    "car": car,
    "centipede": centipede,
    "chair": chair,
    "creature": creature,
    "fish": fish,
    "house": house,
    "insect": insect,
    "lamp": lamp,
    "mug": mug,
    "plant": plant,
    "quadruped": quadruped,
    "snake": snake,
    "table": table,
    "tool": tool,
    "tower": tower,
    "toy_blocks": toy_blocks,
    "vase": vase,
}
