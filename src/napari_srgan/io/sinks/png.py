"""Writing PNG: one plane, kept in memory and compressed at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from napari_srgan.errors import InputError
from napari_srgan.io.appearance import appearance_of
from napari_srgan.io.notes import KEY, notice, to_text
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.memory import plane_view


class PngContent:
    """The inside of a PNG file; see `file.Content`."""

    resumable: ClassVar[bool] = False  # it lies in memory until the end

    def __init__(
        self,
        path: Path,
        spec: OutputSpec,
        name: str,
        notes: dict[str, Any],
        former: Path | None = None,
    ) -> None:
        self._path, self._spec = path, spec
        self._array = np.zeros(spec.shape, spec.dtype)

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Refuse what a PNG file cannot hold."""
        sizes = dict(zip(spec.axes, spec.shape, strict=True))
        planes = [f"{a}={n}" for a, n in sizes.items() if a not in "YXS" and n > 1]
        if planes:
            raise InputError(
                f"{name}: a PNG holds one plane, but the output has {', '.join(planes)}; write"
                " .tif."
            )
        allowed = ("uint8",) if "S" in sizes else ("uint8", "uint16")
        if spec.dtype.name not in allowed:
            kind = "colour" if "S" in sizes else "gray"
            raise InputError(
                f"{name}: a PNG holds {kind} as {' or '.join(allowed)}, not as {spec.dtype.name};"
                " write .tif."
            )

    @staticmethod
    def nbytes(spec: OutputSpec, name: str) -> int:
        """Count the bytes of the pixels."""
        return spec.nbytes

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Keep a block."""
        plane = plane_view(self._array, self._spec.axes, index)
        plane[y : y + block.shape[0], x : x + block.shape[1]] = block

    def plane_done(self, index: tuple[int, ...]) -> None:
        """Nothing follows: the plane is compressed at the end."""

    def flush(self) -> None:
        """Nothing lies on the disk yet."""

    def keep_frame(self, folder: Path) -> None:
        """There is none yet."""

    def finish(self, notes: dict[str, Any]) -> None:
        """Write the plane, with its notes as text."""
        axes, sizes = self._spec.axes, zip(self._spec.axes, self._spec.shape, strict=True)
        letters = [a for a in axes if a in "YXS"]
        plane = self._array.reshape([n for a, n in sizes if a in "YXS"])
        plane = plane.transpose([letters.index(a) for a in "YXS" if a in letters])
        text = PngImagePlugin.PngInfo()
        if notice(notes):
            text.add_text("Comment", notice(notes))
        text.add_text(KEY, to_text(notes), zip=True)
        image = Image.fromarray(np.ascontiguousarray(plane))
        profile = appearance_of(self._spec.metadata).icc or None
        image.save(self._path, format="PNG", pnginfo=text, icc_profile=profile)

    def result(self, path: Path) -> npt.NDArray[Any]:
        """Return the plane from memory."""
        return self._array

    def close(self) -> None:
        """Nothing is open."""
