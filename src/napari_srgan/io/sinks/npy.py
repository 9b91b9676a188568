"""Writing .npy: a header, and the pixels in the order TCZYXS; it holds no notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_srgan.image.axes import canonical
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.raw import Layout, RawContent, with_its_frame


class NpyContent(RawContent):
    """The inside of an .npy file; see `file.Content`."""

    def __init__(
        self,
        path: Path,
        spec: OutputSpec,
        name: str,
        notes: dict[str, Any],
        former: Path | None = None,
    ) -> None:
        layout = (
            _lay_out(path, spec) if former is None else with_its_frame(path, spec, name, former)
        )
        super().__init__(path, spec, layout)


def _lay_out(path: Path, spec: OutputSpec) -> Layout:
    """Write the header and leave room for the pixels."""
    axes = canonical(spec.axes)
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    shape = tuple(sizes[a] for a in axes)
    with path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(spec.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        file.truncate(offset + spec.nbytes)
    return Layout(offset, axes, shape)
