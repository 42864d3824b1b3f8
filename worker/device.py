"""Selects the devices that Cycles renders with: the CPU, or the GPUs of one kind."""

from __future__ import annotations

from typing import Any

import bpy

from dyso.render import Device


class DeviceError(Exception):
    """No device of the requested kind exists; the message lists the available ones."""


def select(device: Device) -> str:
    """Makes Cycles use all devices of one kind, and no others, in the current scene.

    A reset of Blender clears these settings in its preferences and in the scene, so
    call this function after every reset. It takes about a millisecond.

    Returns:
      The kind and the names of its devices, for `Views.versions`. For a CPU, only
      "CPU": its model affects no pixel, and records of one scene stay identical.

    Raises:
      DeviceError: no device of the kind exists.
    """
    cycles = bpy.context.scene.cycles
    if device == "cpu":
        cycles.device = "CPU"
        return "CPU"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    kind = device.upper()
    names = _devices(preferences, kind)
    if not names:
        raise DeviceError(
            f"device {device}: Blender finds none here, only {_others(preferences)}; "
            "choose one of these, or mend the driver"
        )
    preferences.compute_device_type = kind
    for entry in preferences.devices:
        # Blender lists the CPU as well; it is not used.
        entry.use = entry.type == kind
    cycles.device = "GPU"
    return f"{kind} {', '.join(names)}"


def _devices(preferences: Any, kind: str) -> list[str]:
    """Returns the names of the devices of a kind."""
    entries = preferences.get_devices_for_type(kind)
    return [entry.name for entry in entries if entry.type == kind]


def _others(preferences: Any) -> str:
    """Returns a list of the available devices as text, for an error message."""
    # Only an error queries all drivers: Blender warns that some may crash.
    return "; ".join(
        f"{kind.lower()} ({', '.join(names)})"
        for kind in ("CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI")
        if (names := _devices(preferences, kind))
    )
