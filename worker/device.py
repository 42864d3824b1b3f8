"""What Cycles renders with: the CPU, or the GPUs of one kind."""

from __future__ import annotations

from typing import Any

import bpy

from dyso.render import Device


class DeviceError(Exception):
    """There is no device of that kind; the message says what there is instead."""


def select(device: Device) -> str:
    """Has Cycles use all devices of a kind, and no others, in the present scene.

    Both Blender's preferences, where the kind and its devices stand, and the scene
    forget it when Blender is reset, so this is for after every reset; it takes about
    a millisecond.

    Returns:
      The kind and the names of its devices, for `Views.versions`. Of a CPU nothing
      more is said: its model decides no pixel, and records of one scene are alike.

    Raises:
      DeviceError: there is none.
    """
    cycles = bpy.context.scene.cycles
    if device == "cpu":
        cycles.device = "CPU"
        return "CPU"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    kind = device.upper()
    found = _devices(preferences, kind)
    if not found:
        raise DeviceError(
            f"device {device}: Blender finds none here, only {_others(preferences)}; "
            "choose one of these, or mend the driver"
        )
    preferences.compute_device_type = kind
    for entry in preferences.devices:
        # The CPU too is among them, and is left out.
        entry.use = entry.type == kind
    cycles.device = "GPU"
    return f"{kind} {', '.join(found)}"


def _devices(preferences: Any, kind: str) -> list[str]:
    """Gives the names of the devices of a kind."""
    entries = preferences.get_devices_for_type(kind)
    return [entry.name for entry in entries if entry.type == kind]


def _others(preferences: Any) -> str:
    """Says which devices there are, for those who asked for another."""
    # Only here are all drivers asked; Blender warns that some may crash.
    return "; ".join(
        f"{kind.lower()} ({', '.join(names)})"
        for kind in ("CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI")
        if (names := _devices(preferences, kind))
    )
