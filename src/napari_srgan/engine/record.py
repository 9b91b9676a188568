"""Where a result comes from: the record that travels with it, and what may stand in that record.

In memory a record is typed; in a layer's metadata and in files it is a plain dictionary under
`KEY` that JSON can hold. It names the input by its file name only (folders often hold more than one
would publish), and not even that where the name may be a patient's.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

import platformdirs

from napari_srgan import __version__
from napari_srgan.errors import InputError, OutputExists
from napari_srgan.image.geometry import Factor, Scale, plain_scale, scale_text, times_text
from napari_srgan.image.intensity import Intensity
from napari_srgan.io import schema
from napari_srgan.io.atomic import whole_file
from napari_srgan.trust.back_projection import ProjectionFinding
from napari_srgan.trust.consistency import LEGEND, ConsistencyFinding, percent
from napari_srgan.trust.operators import REMOVED

KEY = "napari_srgan"
"""Where a result's metadata holds its record."""

RESEARCH_USE = (
    "Super-resolved image: fine detail is estimated by a neural network, not measured. "
    "For research use."
)

# The files of OCT and DICOM devices are named by the device, often after the patient. The suffix
# also counts inside a name, because converted files ("NAME.fds.tif") and layers keep it there.
_VENDOR_SUFFIX = re.compile(
    r"\.(fds|fda|e2e|img|oct|dcm|dicom|vol|sdb|edb|pdb|xml)(?![a-z0-9])", re.IGNORECASE
)
_LABEL = re.compile(r"scan-[0-9a-f]{12}")


def input_label(name: str, anonymise: bool = False) -> str:
    """Give the name under which an input may be recorded.

    Parameters
    ----------
    name : str
        Path, file name or layer name.
    anonymise : bool
        Hide the name whatever it is.

    Returns
    -------
    str
        The name without its folder; ``scan-`` and 12 hexadecimal digits where it may be a
        patient's. The digits are the same for the same name of the same user, so that results
        can be grouped. They are keyed with a secret that stays with the user: a plain hash of
        a name could be undone by trying names.
    """
    base = re.split(r"[\\/]", name)[-1] or name
    if _LABEL.fullmatch(base) or not (anonymise or _VENDOR_SUFFIX.search(base)):
        return base
    digest = hmac.new(_user_key(), base.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return f"scan-{digest.hexdigest()[:12]}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """How a result was made. What another version did not write is None, or empty.

    Attributes
    ----------
    model, weights_sha256 : str
        Name of the model and the SHA-256 of its file.
    tool, tool_version : str
    input, input_axes : str
        What was upscaled, under the name of `input_label`.
    kind, kind_reason : str
        What the image was taken for, of `image.kind.KINDS`, and what `auto` became by that.
    intensity_mode : str
        How the range was asked for, for instance ``auto``.
    intensity_lo, intensity_hi : tuple of float
        The data values that became 0 and 1, one per channel, as they stand in the data, before
        any transform.
    transform, precision, device, backend : str
        As used, not as asked for: never ``auto``.
    tile : int
        Side of a tile's interior in LR pixels; 0 if planes were computed whole.
    scale : (int, int)
        How many times finer the model made Y and X.
    resized_to : (float, float) or None
        How many times finer the result is, where that was resized after the model; what stands
        below of consistency and back-projection is about the model's own. None: `scale`.
    region : dict of axis letter to (start, stop), or None
        The part that was restored, in pixels of the input; None if it is the whole.
    consistency : ConsistencyFinding or None
        Of the network's result.
    back_projection : ProjectionFinding or None
        What the projection left of it; None where there was none.
    date : str
        UTC, ISO 8601.
    notice : str
        `RESEARCH_USE`.
    """

    model: str = ""
    weights_sha256: str = ""
    tool: str = "napari-srgan"
    tool_version: str = __version__
    input: str = ""
    input_axes: str = ""
    kind: str = ""
    kind_reason: str = ""
    intensity_mode: str = "auto"
    intensity_lo: tuple[float, ...] = ()
    intensity_hi: tuple[float, ...] = ()
    transform: str = "none"
    precision: str = ""
    device: str = ""
    backend: str = ""
    tile: int = 0
    scale: Scale = (4, 4)
    resized_to: Factor | None = None
    region: Mapping[str, tuple[int, int]] | None = None
    consistency: ConsistencyFinding | None = None
    back_projection: ProjectionFinding | None = None
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    notice: str = RESEARCH_USE

    def to_dict(self) -> dict[str, Any]:
        """Return what metadata and files hold."""
        values: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "scale":
                values["scale_factor"] = plain_scale(self.scale)
            elif name == "region" and value is not None:
                values[name] = {axis: [int(a), int(b)] for axis, (a, b) in value.items()}
            else:
                values[name] = list(value) if isinstance(value, tuple) else value
        return values

    @classmethod
    def of(cls, metadata: Any) -> Self | None:
        """Read the record that metadata of a layer or file carry; None if they carry none.

        A key that is missing or of another type, as in the record of another version, leaves its
        field at the default, or empty where that would claim something.
        """
        values = metadata.get(KEY) if isinstance(metadata, Mapping) else None
        if not isinstance(values, Mapping):
            return None
        known: dict[str, Any] = {"tool": "", "tool_version": "", "date": "", "notice": ""}
        for f in fields(cls):
            value = values.get("scale_factor" if f.name == "scale" else f.name)
            if (found := _read(f.name, value)) is not None:
                known[f.name] = found
        return cls(**known)

    @property
    def intensity(self) -> Intensity | None:
        """The intensity range of the run; None if the record does not state it."""
        if not self.intensity_lo or len(self.intensity_lo) != len(self.intensity_hi):
            return None
        return Intensity(self.intensity_lo, self.intensity_hi, self.intensity_mode, self.transform)

    @property
    def factor(self) -> Factor:
        """How many times finer the result is along Y and X."""
        return self.resized_to or self.scale

    @property
    def sentence(self) -> str:
        """Say how far the model's result is from the measured input; "" if not known."""
        text = self._sentence()
        if not text or self.resized_to is None:
            return text
        return (
            f"{text} This was measured on the model's own {scale_text(self.scale)} result, before "
            f"it was resized to {scale_text(self.resized_to)}."
        )

    def _sentence(self) -> str:
        found, projected = self.consistency, self.back_projection
        if found is None or found.rmse_percent is None:
            return ""
        number = percent(found.rmse_percent)
        if found.kind == REMOVED:
            return f"Removed signal: RMSE {number} of the intensity range."
        if projected is None or projected.rmse_percent is None:
            return f"Consistency: RMSE {number} of the intensity range. {LEGEND}"
        after = percent(projected.rmse_percent)
        text = f"Consistency: RMSE {after} of the intensity range after back-projection"
        text += f", {number} before."
        if not projected.within_rounding:
            text += (
                " Some of the data are such that no image of this model's degradation within the "
                f"dtype could give them: they are met to within {projected.max_residual:.3g} grey "
                "levels."
            )
        return f"{text} {LEGEND}"


def _read(name: str, value: Any) -> Any:
    """Return a stored value as its field wants it, None if it is something else."""
    try:
        read: schema.Reader[Any] = _FIELDS.get(name, schema.prose)
        return read(value)
    except ValueError:
        return None


def _region(value: Any) -> dict[str, tuple[int, int]]:
    read = schema.several(schema.whole(0, 2**63 - 1), 2)
    ends = {schema.line(axis): read(v) for axis, v in schema.mapping(value).items()}
    return {axis: (start, stop) for axis, (start, stop) in ends.items()}


_FIELDS: Mapping[str, schema.Reader[Any]] = {
    # The others are text.
    "scale": schema.scale,
    "resized_to": schema.several(schema.number, 2),
    "intensity_lo": schema.several(schema.number),
    "intensity_hi": schema.several(schema.number),
    "region": _region,
    "consistency": ConsistencyFinding.of,
    "back_projection": ProjectionFinding.of,
    "tile": schema.whole(0, 2**63 - 1),
}


def methods_text(record: Record) -> str:
    """Write the paragraph for the methods section of a paper.

    Parameters
    ----------
    record : Record
        What it does not hold, as that of another version, leaves its part of the text out.

    Returns
    -------
    str
        One paragraph without line breaks.
    """
    tool = " ".join(filter(None, (record.tool, record.tool_version)))
    text = (
        f"The images were super-resolved {times_text(record.scale)} times laterally "
        f"within each plane (Y and X) with {tool or 'napari-srgan'} and its model "
        f"{record.model or '(not recorded)'}"
    )
    if record.weights_sha256:
        text += f" (weights SHA-256 {record.weights_sha256[:16]})"
    text += "."
    if record.resized_to is not None:
        text += (
            " The result was then resized by an antialiased cubic kernel, so that its pixels are "
            f"{times_text(record.resized_to)} times finer than those of the input."
        )
    intensity = record.intensity
    if intensity is not None:
        ranges = " and ".join(
            f"{low:g} to {high:g}" for low, high in zip(intensity.lo, intensity.hi, strict=True)
        )
        how = ""
        if intensity.transform != "none":
            how = f" after the transform {intensity.transform} (inverted afterwards)"
        each = " of a channel" if len(intensity.lo) > 1 else ""
        text += (
            f" Data values of {ranges} were mapped linearly to 0 to 1{how}, with the same range "
            f"for all planes{each}."
        )
    if record.region:
        parts = ", ".join(f"{axis} {a} to {b - 1}" for axis, (a, b) in record.region.items())
        text += f" Only a part of the stack was processed (pixel indices of the input: {parts})."
    if record.precision:
        by = " by OpenVINO" if record.backend == "openvino" else ""
        text += f" The network was evaluated in {record.precision} arithmetic{by}"
        if record.tile:
            text += (
                ", in tiles that overlap by its receptive field, so that tiling does not alter the "
                "result"
            )
        text += "."
    text += _trust_text(record)
    return (
        f"{text} Fine detail in super-resolved images is estimated by a neural network and not "
        "measured; quantitative findings should be confirmed on the original data."
    )


def _trust_text(record: Record) -> str:
    """Say how far the result is from the measured data, and whether it was brought back to them."""
    found, projected = record.consistency, record.back_projection
    text = ""
    if found is not None and found.rmse_percent is not None:
        how = found.degradation
        shrunk = "with a cubic kernel" if how == "measured" else f"by the model's {how} degradation"
        text = (
            f" Shrunk again {shrunk}, the network's output differed from the input by a root mean "
            f"square of {found.rmse_percent:.2g} % of that range."
        )
    if projected is not None and projected.rmse_percent is not None:
        text += (
            " It was then changed by as little as makes it reproduce the input under that "
            f"degradation (back-projection), up to {projected.rmse_percent:.2g} % of the range."
        )
    return text


@cache
def _user_key() -> bytes:
    """Read the user's secret, made at the first use; where no home can be written, one per run."""
    path = Path(platformdirs.user_data_dir("napari-srgan", appauthor=False)) / "label-key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # OutputExists: another process was faster.
            with suppress(OutputExists), whole_file(path, overwrite=False, patience=5) as partial:
                partial.chmod(0o600)
                partial.write_bytes(secrets.token_bytes(32))
        key = path.read_bytes()
    except (OSError, InputError):
        key = b""
    return key if len(key) == 32 else secrets.token_bytes(32)
