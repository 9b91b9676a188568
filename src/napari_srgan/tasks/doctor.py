"""What this installation is made of, what it can do here, and what would help."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from napari_srgan import __version__

_PACKAGES = (
    "torch", "torchvision", "numpy", "scikit-image", "tifffile", "napari", "npe2", "magicgui",
    "PyQt6", "PySide6", "vispy", "openvino", "lightning-fabric", "pydicom", "nibabel",
)  # fmt: skip
_EXTRAS = {
    "napari": "the window: pip install 'napari-srgan[gui]'",
    "lightning-fabric": "training: pip install 'napari-srgan[train]'",
    "pydicom": "DICOM: pip install 'napari-srgan[oct]'",
    "nibabel": "NIfTI: pip install 'napari-srgan[medical]'",
    "openvino": "the backend openvino, on trial: pip install 'napari-srgan[cpu]'",
}
_PATIENCE = 60  # seconds; the first import of Qt and napari from a cold disk takes long
_ASK_OPENGL = "from napari_srgan._gui.opengl import main; main()"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the report.

    Attributes
    ----------
    about, value : str
        What it is and what was found.
    advice : str
        What a person can do about it; "" where nothing is to be done.
    """

    about: str
    value: str
    advice: str = ""


def examine() -> list[Fact]:
    """Look at the system, packages, devices, OpenGL, formats and models.

    Nothing in it names the user, a file of the user's or the machine; folders in the home are
    written with ``~``. OpenGL is tried in a process of its own, which may take seconds and come to
    grief without taking this one along.

    Returns
    -------
    list of Fact
        In the order in which they are to be read.
    """
    return [
        Fact("napari-srgan", __version__),
        Fact("Python", platform.python_version(), _python_advice()),
        Fact("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        *_packages(),
        *_hardware(),
        _opengl(),
        *_abilities(),
    ]


def report(facts: list[Fact]) -> str:
    """Write the facts as text that can be pasted into an issue."""
    width = max(len(fact.about) for fact in facts)
    lines = [f"{fact.about.ljust(width)}  {fact.value}" for fact in facts]
    advice = [f"- {fact.advice}" for fact in facts if fact.advice]
    return "\n".join([*lines, *(["", "What would help:", *advice] if advice else [])])


def _python_advice() -> str:
    if sys.maxsize > 2**32:
        return ""
    return "This Python has 32 bits, in which large images have no place; install one of 64 bits."


def _packages() -> list[Fact]:
    facts = []
    for name in _PACKAGES:
        try:
            facts.append(Fact(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            if name in _EXTRAS:
                facts.append(Fact(name, f"not installed ({_EXTRAS[name]})"))
    bindings = [fact.about for fact in facts if fact.about in ("PyQt6", "PySide6")]
    if len(bindings) > 1:
        # Which is taken depends on the order of imports; the two together can crash.
        facts.append(
            Fact("Qt", " and ".join(bindings), "Two Qt bindings are installed; remove one of them.")
        )
    return facts


def _hardware() -> list[Fact]:
    import psutil

    try:
        import torch
    except (ImportError, OSError) as error:
        advice = "PyTorch does not start; install it again as pytorch.org says for this system."
        return [Fact("torch", f"broken: {error}".splitlines()[0], advice)]
    from napari_srgan.engine.devices import available_devices, free_memory, native_16_bits

    facts = [Fact("torch build", _torch_build(torch), _torch_advice(torch))]
    total = psutil.virtual_memory().total
    cpu = torch.device("cpu")
    for name in available_devices():
        device = torch.device(name)
        if device.type == "cuda":
            props = torch.cuda.get_device_properties(device)
            what, total_here = props.name, props.total_memory
        else:
            threads = torch.get_num_threads()
            what, total_here = f"{os.cpu_count()} cores, {threads} threads", total
        formats = ", ".join(native_16_bits(device)) or "none"
        free = free_memory(device if device.type == "cuda" else cpu)
        facts.append(
            Fact(
                name,
                f"{what}; {free / 2**30:.1f} of {total_here / 2**30:.1f} GiB of memory free; "
                f"16-bit formats: {formats}",
            )
        )
    return facts


def _torch_build(torch: object) -> str:
    version = getattr(torch, "version", None)
    if cuda := getattr(version, "cuda", None):
        return f"CUDA {cuda}"
    if hip := getattr(version, "hip", None):
        return f"ROCm {hip}"
    return "without CUDA"


def _torch_advice(torch: object) -> str:
    """Say what is in the way of a GPU of NVIDIA that is there and not used."""
    if shutil.which("nvidia-smi") is None and not Path("/proc/driver/nvidia").exists():
        return ""
    if _torch_build(torch) == "without CUDA":
        return (
            "There is an NVIDIA GPU, but this PyTorch was built without CUDA; install the build "
            "that pytorch.org names for this system, and restorations take a fraction of the time."
        )
    if not torch.cuda.is_available():  # type: ignore[attr-defined]
        return (
            "There is an NVIDIA GPU, but PyTorch cannot use it; update its driver, which must be "
            "as new as the CUDA version of PyTorch."
        )
    return ""


def has_screen() -> bool:
    """Say whether a window can be opened; without a screen Qt would end the process."""
    known = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, known))


def _opengl() -> Fact:
    """Ask for the OpenGL that napari would draw with, in a process of its own."""
    if find_spec("napari") is None:
        return Fact("OpenGL", "not tried without napari")
    if not has_screen():
        return Fact("OpenGL", "not tried without a screen")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_OPENGL],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return Fact(
            "OpenGL",
            "does not start",
            "napari cannot draw without OpenGL; update the graphics driver, or see "
            "napari.org/stable/troubleshooting.html.",
        )
    slow = any(word in found["renderer"].lower() for word in ("llvmpipe", "softpipe", "swrast"))
    advice = "OpenGL is computed by the CPU, so the window is slow; install the graphics driver."
    return Fact("OpenGL", f"{found['version']}, {found['renderer']}", advice if slow else "")


def _abilities() -> list[Fact]:
    from napari_srgan.io.open import READABLE_SUFFIXES
    from napari_srgan.models.catalogue import list_models, skipped_models, user_folder

    models, skipped = list_models(), skipped_models()
    own = sum(not info.bundled for info in models)
    value = f"{len(models) - own} bundled, {own} own, in {_without_home(user_folder())}"
    left_out = (
        f"Model files that cannot be read are left out ({len(skipped)}); 'napari-srgan models' "
        "says why."
        if skipped
        else ""
    )
    missing = "No bundled model is there, so the installation is incomplete; install it again."
    return [
        Fact("formats", " ".join(READABLE_SUFFIXES)),
        Fact("models", value, left_out or ("" if len(models) > own else missing)),
    ]


def _without_home(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return "a folder of NAPARI_SRGAN_MODELS"
