"""Where a result comes from: the record that travels with it, and what may stand in that record.

A record is a plain dictionary that JSON can hold, so that every file format can carry it. It
names the input by its file name only (folders often hold more than one would publish), and not
even that where the name may be a patient's.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from napari_srgan import __version__
from napari_srgan.image.geometry import Scale, as_scale, plain_scale, times_text

RESEARCH_USE = (
    "Super-resolved image: fine detail is estimated by a neural network, not measured. "
    "For research use."
)

# The files of OCT and DICOM devices are named by the device, often after the patient. The suffix
# also counts inside a name, because converted files ("NAME.fds.tif") and layers keep it there.
_VENDOR_SUFFIX = re.compile(
    r"\.(fds|fda|e2e|img|oct|dcm|dicom|vol|sdb|edb|pdb)(?![a-z0-9])", re.IGNORECASE
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


def build(
    *,
    model: str,
    weights_sha256: str,
    input_name: str,
    input_axes: str,
    intensity_mode: str,
    intensity_lo: Sequence[float],
    intensity_hi: Sequence[float],
    transform: str,
    precision: str,
    device: str,
    tile: int,
    scale: Scale,
    region: Mapping[str, tuple[int, int]] | None = None,
    anonymise: bool = False,
    consistency: Mapping[str, Any] | None = None,
    back_projection: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the record of one result.

    Parameters
    ----------
    model, weights_sha256 : str
        Name of the model and the SHA-256 of its file.
    input_name, input_axes : str
        What was upscaled; the name goes through `input_label`.
    intensity_mode : str
        How the range was asked for, for instance ``auto``.
    intensity_lo, intensity_hi : sequence of float
        The data values that became 0 and 1, one per channel, as they stand in the data, before
        any transform.
    transform, precision, device : str
        As used, not as asked for: never ``auto``.
    tile : int
        Side of a tile's interior in LR pixels.
    scale : Scale
        How many times finer the result is in Y and X.
    region : mapping of axis letter to (start, stop), optional
        The part that was restored, in pixels of the input; None if it is the whole.
    anonymise : bool
        Hide the input's name whatever it is.
    consistency, back_projection : mapping, optional
        What `trust.meter` measured of the network's result, and what the projection left of it.

    Returns
    -------
    dict
        JSON-able; ``date`` is the UTC time in ISO 8601, ``notice`` is `RESEARCH_USE`.
    """
    return {
        "model": model,
        "weights_sha256": weights_sha256,
        "tool": "napari-srgan",
        "tool_version": __version__,
        "input": input_label(input_name, anonymise),
        "input_axes": input_axes,
        "intensity_mode": intensity_mode,
        "intensity_lo": [float(value) for value in intensity_lo],
        "intensity_hi": [float(value) for value in intensity_hi],
        "transform": transform,
        "precision": precision,
        "device": device,
        "tile": int(tile),
        "scale_factor": plain_scale(scale),
        "region": None if region is None else {k: [int(a), int(b)] for k, (a, b) in region.items()},
        "consistency": None if consistency is None else dict(consistency),
        "back_projection": None if back_projection is None else dict(back_projection),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "notice": RESEARCH_USE,
    }


def methods_text(record: Mapping[str, Any]) -> str:
    """Write the paragraph for the methods section of a paper.

    Parameters
    ----------
    record : mapping
        What `build` gave. Keys that are missing, as in the record of another version, leave
        their part of the text out.

    Returns
    -------
    str
        One paragraph without line breaks.
    """
    times = times_text(as_scale(record.get("scale_factor", 4)))
    tool = " ".join(str(record[key]) for key in ("tool", "tool_version") if key in record)
    text = (
        f"The images were super-resolved {times} times laterally within each plane (Y and X) "
        f"with {tool or 'napari-srgan'} and its model {record.get('model', '(not recorded)')}"
    )
    if record.get("weights_sha256"):
        text += f" (weights SHA-256 {str(record['weights_sha256'])[:16]})"
    text += "."
    if record.get("intensity_lo") and record.get("intensity_hi"):
        ranges = " and ".join(
            f"{low:g} to {high:g}"
            for low, high in zip(record["intensity_lo"], record["intensity_hi"], strict=True)
        )
        transform = record.get("transform", "none")
        how = (
            "" if transform == "none" else f" after the transform {transform} (inverted afterwards)"
        )
        each = " of a channel" if len(record["intensity_lo"]) > 1 else ""
        text += (
            f" Data values of {ranges} were mapped linearly to 0 to 1{how}, with the same range "
            f"for all planes{each}."
        )
    if record.get("region"):
        parts = ", ".join(f"{axis} {a} to {b - 1}" for axis, (a, b) in record["region"].items())
        text += f" Only a part of the stack was processed (pixel indices of the input: {parts})."
    if record.get("precision"):
        text += (
            f" The network was evaluated in {record['precision']} arithmetic, in tiles that "
            "overlap by its receptive field, so that tiling does not alter the result."
        )
    text += _trust_text(record)
    return (
        f"{text} Fine detail in super-resolved images is estimated by a neural network and not "
        "measured; quantitative findings should be confirmed on the original data."
    )


def _trust_text(record: Mapping[str, Any]) -> str:
    """Say how far the result is from the measured data, and whether it was brought back to them."""
    found, projected = record.get("consistency"), record.get("back_projection")
    text = ""
    if isinstance(found, Mapping) and found.get("rmse_percent") is not None:
        how = found.get("degradation")
        shrunk = "with a cubic kernel" if how == "measured" else f"by the model's {how} degradation"
        text = (
            f" Shrunk again {shrunk}, the network's output differed from the input by a root mean "
            f"square of {found['rmse_percent']:.2g} % of that range."
        )
    if isinstance(projected, Mapping) and projected.get("rmse_percent") is not None:
        text += (
            " It was then changed by as little as makes it reproduce the input under that "
            f"degradation (back-projection), up to {projected['rmse_percent']:.2g} % of the range."
        )
    return text


@cache
def _user_key() -> bytes:
    """Read the user's secret, made at the first use; where no home can be written, one per run."""
    path = Path(platformdirs.user_data_dir("napari-srgan", appauthor=False)) / "label-key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(32))
        key = path.read_bytes()
    except OSError:
        key = b""
    # Shorter only while another process writes it for the first time, or on a full disk.
    return key if len(key) == 32 else secrets.token_bytes(32)
