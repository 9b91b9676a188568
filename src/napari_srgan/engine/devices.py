"""Devices and number formats: what there is, what was asked for, what is safe to use.

Nothing here knows of images. Which number format `auto` ends at is decided on a probe tile by
`engine.run`; here is only whether the hardware would gain from it.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari_srgan.errors import InputError
from napari_srgan.options import PRECISIONS

if TYPE_CHECKING:
    import torch


def available_devices() -> list[str]:
    """List the devices of this machine, the fastest kind first: "cuda:0", ..., "mps", "cpu"."""
    import torch

    found = [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """Find the device that is meant.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Returns
    -------
    torch.device
        With its number if it is CUDA.

    Raises
    ------
    InputError
        If there is no such device; the sentence lists those present.
    """
    import torch

    present = available_devices()
    wanted = str(name).strip().lower()
    if wanted == "auto":
        wanted = present[0]
    elif wanted == "cuda":
        wanted = "cuda:0"
    if wanted in present:
        return torch.device(wanted)
    what = "is not present" if re.fullmatch(r"cpu|mps|cuda(:\d+)?", wanted) else "is not known"
    raise InputError(
        f"The device {name!r} {what} on this machine; it has {', '.join(present)}, or give auto."
    )


def check_precision(name: str) -> str:
    """Return the number format in its spelling of `PRECISIONS`; InputError if it is another."""
    wanted = str(name).strip().lower()
    if wanted not in PRECISIONS:
        raise InputError(f"The precision {name!r} is not known; give {', '.join(PRECISIONS)}.")
    return wanted


def native_16_bits(device: torch.device) -> tuple[str, ...]:
    """List the 16-bit formats that the device computes in natively, the more exact first.

    Returns
    -------
    tuple of str
        Of "float16" and "bfloat16". On CUDA float16 stands first: its 11 bits do a tenth of the
        harm of bfloat16's 8 at the same speed, and an overflow is caught. On a CPU bfloat16 with
        AMX or AVX-512 BF16 only, since emulation is slower than float32. None on MPS, where neither
        was measured.
    """
    if device.type == "cuda":
        import torch

        major, _ = torch.cuda.get_device_capability(device)
        return ("float16", "bfloat16") if major >= 8 else ("float16",) if major >= 7 else ()
    return ("bfloat16",) if device.type == "cpu" and _cpu_has_bfloat16() else ()


def free_memory(device: torch.device) -> int:
    """Count the bytes that a computation could still take on the device."""
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        # What torch's allocator holds and does not use is free for us as well.
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    import psutil

    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an exception means that memory ran out, on any device."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # The CPU allocator, MPS and cuDNN say it in words only.
    words = ("out of memory", "can't allocate memory", "cudnn_status_alloc_failed", "bad_alloc")
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in words)


def _cpu_has_bfloat16() -> bool:
    import torch

    # get_capabilities came after torch 2.5, which this project still runs on.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        found = capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    cpuinfo = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not cpuinfo.is_file():
        return False
    return bool(re.search(r"\b(amx_bf16|avx512_bf16)\b", cpuinfo.read_text()))
