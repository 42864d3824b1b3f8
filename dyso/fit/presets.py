"""Named settings of a fit."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

Config = TypeVar("Config")


class Preset(NamedTuple, Generic[Config]):
    """Settings, and a line about them for the help."""

    about: str
    config: Config
