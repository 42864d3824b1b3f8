"""OpenImageDenoise as Cycles uses it, but loaded once for all views of a process.

Cycles starts the denoiser anew in each render call, and prepares the weights of its
network again: 20 ms, a tenth of a view of 128 x 128 pixels. The library is the one in
bpy, so its results are those of Cycles, up to rounding.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_CPU, _FLOAT3 = 1, 3  # OIDNDeviceType, OIDNFormat
_Handle = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    # name: the result, the arguments
    "oidnNewDevice": (_Handle, ctypes.c_int),
    "oidnSetDeviceBool": (None, _Handle, ctypes.c_char_p, ctypes.c_bool),
    "oidnCommitDevice": (None, _Handle),
    "oidnGetDeviceError": (ctypes.c_int, _Handle, ctypes.POINTER(ctypes.c_char_p)),
    "oidnNewFilter": (_Handle, _Handle, ctypes.c_char_p),
    "oidnSetFilterBool": (None, _Handle, ctypes.c_char_p, ctypes.c_bool),
    "oidnSetSharedFilterImage": (
        *(None, _Handle, ctypes.c_char_p, _Handle, ctypes.c_int),
        *(ctypes.c_size_t,) * 5,
    ),
    "oidnCommitFilter": (None, _Handle),
    "oidnExecuteFilter": (None, _Handle),
}


def denoise(color: np.ndarray, albedo: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Removes the noise of a path-traced image.

    Args:
      color: [h, w, 3], scene-linear radiance.
      albedo: [h, w, 3], Cycles' denoising pass, almost without noise.
      normal: [h, w, 3], likewise.

    Returns:
      float32 [h, w, 3].

    Raises:
      RuntimeError: the library fails, for example for lack of memory.
    """
    library, device, kernel = _load()
    # From below, as in Cycles: the network's result for a mirrored image is another.
    images = {
        name: np.ascontiguousarray(image[::-1], np.float32)
        for name, image in (("color", color), ("albedo", albedo), ("normal", normal))
    }
    images["output"] = np.empty_like(images["color"])
    height, width, _ = color.shape
    for name, image in images.items():
        library.oidnSetSharedFilterImage(
            *(kernel, name.encode(), image.ctypes.data, _FLOAT3, width, height),
            *(0, *image.strides[1::-1]),
        )
    library.oidnCommitFilter(kernel)
    library.oidnExecuteFilter(kernel)
    _check(library, device)
    return images["output"][::-1]


@cache
def _load() -> tuple[ctypes.CDLL, int, int]:
    """Returns the library, a device and a filter, which live as long as the process."""
    bpy = find_spec("bpy")
    assert bpy is not None and bpy.origin is not None
    lib = Path(bpy.origin).parent / "lib"
    paths = list(lib.glob("libOpenImageDenoise.so.*"))
    if len(paths) != 1:
        raise RuntimeError(f"{lib}: found {len(paths)} libOpenImageDenoise.so.*, not 1")
    library = ctypes.CDLL(str(paths[0]))
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    device = library.oidnNewDevice(_CPU)
    library.oidnSetDeviceBool(device, b"setAffinity", False)
    library.oidnCommitDevice(device)
    kernel = library.oidnNewFilter(device, b"RT")
    library.oidnSetFilterBool(kernel, b"hdr", True)
    # The guides have little noise at these samples; a filter would only cost time.
    library.oidnSetFilterBool(kernel, b"cleanAux", True)
    _check(library, device)
    return library, device, kernel


def _check(library: ctypes.CDLL, device: int) -> None:
    """Raises a RuntimeError if a call has failed."""
    message = ctypes.c_char_p()
    if library.oidnGetDeviceError(device, ctypes.byref(message)):
        raise RuntimeError(f"OpenImageDenoise: {(message.value or b'').decode()}")
