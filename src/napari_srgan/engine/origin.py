"""What the pixels of a result follow from, so that one run can go on where another has stopped.

It names no file: neither where the input lies nor what it is called decides a pixel, and the name
may be a patient's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from napari_srgan import __version__
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.memory import remembered
from napari_srgan.image.sampling import sample
from napari_srgan.image.stack import Stack
from napari_srgan.io import schema
from napari_srgan.io.formats.source import Source
from napari_srgan.io.journal import Origin
from napari_srgan.options import RestoreOptions, checked_tile

if TYPE_CHECKING:
    import torch

    from napari_srgan.engine.plan import Plan

_SAMPLED = 2**18  # values of a channel that stand for an image that lies in no file


def origin_of(plan: Plan, device: torch.device, backend: str, precision: str) -> Origin:
    """Say what the pixels of a run follow from; backend and precision are those that it ended at.

    The tile belongs to it: in some networks it decides the last bit of a float.
    """
    intensity = plan.intensity
    ranges = (f"{lo:g} to {hi:g}" for lo, hi in zip(intensity.lo, intensity.hi, strict=True))
    settings = {
        "input": input_text(plan.stack),
        "model": f"{plan.card.name} {plan.model_sha256[:16]}",
        "part": ", ".join(f"{axis} {a}:{b}" for axis, (a, b) in plan.region.items()),
        "intensity": f"{intensity.mode}, {' and '.join(ranges)}",
        "transform": intensity.transform,
        "NaN": "fill" if plan.fill_invalid else "refuse",
        "back-projection": "yes" if plan.options.back_project else "no",
        "tile": f"{plan.tile} px",
        "factor": scale_text(plan.factor),
        "version": __version__,
    }
    machine = {"device": device.type, "backend": backend, "precision": precision}
    settled = {
        "tile": plan.tile,
        "region": {axis: [a, b] for axis, (a, b) in plan.region.items()},
        "intensity": [list(intensity.lo), list(intensity.hi), intensity.mode, intensity.transform],
    }
    return Origin(settings, machine, settled)


def as_begun(options: RestoreOptions, origin: Origin) -> RestoreOptions:
    """Give options the tile and the range that a former run has found where these are automatic."""
    known = schema.fields_of(
        origin.settled,
        {"tile": schema.whole(1, 2**31), "intensity": schema.several(lambda value: value, 4)},
    )
    changed: dict[str, Any] = {}
    if checked_tile(options.tile) is None and "tile" in known:
        changed["tile"] = known["tile"]
    if "intensity" in known:
        lo, hi, mode, transform = known["intensity"]
        if options.intensity == mode and options.transform in ("auto", transform):
            numbers = schema.several(schema.number)
            changed["intensity"] = Intensity(numbers(lo), numbers(hi), mode, transform)
    return replace(options, **changed)


def region_begun(origin: Origin) -> dict[str, tuple[int, int]]:
    """Return the region that a former run was to restore."""
    read = schema.several(schema.whole(0, 2**62), 2)
    ends = schema.mapping(origin.settled.get("region", {}))
    return {axis: (read(pair)[0], read(pair)[1]) for axis, pair in ends.items()}


def input_text(stack: Stack) -> str:
    """Tell a stack from others: by size and date of its files, or by a sample of its pixels."""
    return remembered(stack, "input_text", lambda: _input_text(stack))


def _input_text(stack: Stack) -> str:
    shape = " x ".join(map(str, stack.shape))
    files = list(_files(getattr(stack.data, "identity", None)))
    if not files:
        digest = hashlib.sha256()
        for channel in range(stack.n_channels):
            digest.update(sample(stack, channel, _SAMPLED).tobytes())
        return f"{stack.axes} {shape} {stack.dtype} of pixels {digest.hexdigest()[:16]}"
    size, last = sum(f.size for f in files), max(f.modified for f in files)
    date = datetime.fromtimestamp(last // 10**9, UTC).isoformat(" ")
    return f"{stack.axes} {shape} {stack.dtype}, {size} bytes of {date} ({last % 10**9} ns)"


def _files(identity: Any) -> Iterator[Source]:
    if isinstance(identity, Source):
        yield identity
    elif isinstance(identity, tuple):
        for part in identity:
            yield from _files(part)
