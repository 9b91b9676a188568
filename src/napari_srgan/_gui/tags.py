"""What a layer's metadata says of it, written and read in this one place.

`napari_srgan` holds the record of how a result was made, `trust_map` what a trust map shows; both
are written by the engine and the tasks, into files as well. The other keys are the window's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_srgan.engine.record import Record, input_label
from napari_srgan.image.geometry import Scale

if TYPE_CHECKING:
    from napari.layers import Image

_TRUST_MAP, _SPACING = "trust_map", "spacing_source"
_INPUT, _PREVIEW = "napari_srgan_input", "napari_srgan_preview"
_FINDING = "napari_srgan_map"
_SELF_TEST, _TARGET = "napari_srgan_self_test", "napari_srgan_target"
PLACING = "napari_layer"
"""Key in a file for what TIFF has no place for (rotation, shear, affine)."""

Region = Mapping[str, tuple[int, int]]


def _get(layer: Any, key: str) -> Any:
    """What stands under a key; None for layers and things without metadata."""
    return getattr(layer, "metadata", {}).get(key)


def kept_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what means something in this session only: it is neither passed on nor saved."""
    return {k: v for k, v in metadata.items() if k not in (_INPUT, _PREVIEW)}


# --- results ------------------------------------------------------------------------------------


def record_of(layer: Any) -> Record | None:
    """The provenance record that a layer carries, if it is a result."""
    return Record.of(getattr(layer, "metadata", None))


@dataclass(frozen=True)
class MadeFrom:
    """What a result layer was made from.

    Attributes
    ----------
    id : str
        `unique_id` of the input layer.
    region : mapping of axis letter to (start, stop)
        The part of it; axes left out are whole.
    scale : (int, int)
        Enlargement of Y and X.
    """

    id: str
    region: Region
    scale: Scale


def input_tag(layer: Image, region: Region, scale: Scale) -> dict[str, Any]:
    """Metadata of a result: the layer that it is made from, the region and the scale."""
    return {_INPUT: {"id": str(layer.unique_id), "region": dict(region), "scale": scale}}


def made_from(layer: Any) -> MadeFrom | None:
    """What a layer was made from in this session, if it is a result."""
    known = _get(layer, _INPUT)
    return MadeFrom(**known) if known else None


def is_made_from(layer: Any, source: Image) -> bool:
    """Whether a layer was made from this one in this session."""
    made = made_from(layer)
    return made is not None and made.id == str(source.unique_id)


def input_of(result: Image, layers: Iterable[Any]) -> Image | None:
    """Find the layer that a result was made from, by its id, else by the name in its record."""
    others = [layer for layer in layers if layer is not result]
    for layer in others:
        if is_made_from(result, layer):
            return layer
    record = record_of(result)
    if record is None or not record.input:
        return None
    hidden = is_hidden(record.input)
    return next(
        (c for c in others if record.input == (input_label(c.name, True) if hidden else c.name)),
        None,
    )


def is_hidden(name: str) -> bool:
    """Whether a name stands for one that may be a patient's."""
    return name.startswith("scan-")


def preview_tag() -> dict[str, Any]:
    """Metadata of a preview: previews replace each other, results never."""
    return {_PREVIEW: True}


def is_preview(layer: Any) -> bool:
    """Whether a layer is a preview."""
    return bool(_get(layer, _PREVIEW))


# --- pixel size ---------------------------------------------------------------------------------


def spacing_tag(source: str) -> dict[str, Any]:
    """Metadata that say where a pixel size comes from: "file", "user", "default" or "unknown"."""
    return {_SPACING: source}


def noted_spacing(layer: Any) -> str | None:
    """Where the metadata say that the pixel size comes from, if they do."""
    known = _get(layer, _SPACING)
    return known if known in ("file", "user", "default") else None


def without_spacing(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where the pixel size comes from: of a saved one it is the file."""
    return {k: v for k, v in metadata.items() if k != _SPACING}


# --- what shows others --------------------------------------------------------------------------


def finding_tag(key: Any = True) -> dict[str, Any]:
    """Metadata of what shows a finding about others: a difference, an error, bicubic.

    `key`, if given, tells by what it was made, so that it can be found again.
    """
    return {_FINDING: key}


def finding_key(layer: Any) -> Any:
    """The key of a layer that shows a finding about others, None of any other."""
    return _get(layer, _FINDING)


def is_trust_map(layer: Any) -> bool:
    """Whether a layer is a trust map, which is no image to restore."""
    return _TRUST_MAP in getattr(layer, "metadata", {})


def is_candidate(layer: Any) -> bool:
    """Whether a layer is an image of its own, and no map of others."""
    from napari.layers import Image

    shows_others = finding_key(layer) or is_trust_map(layer)
    return isinstance(layer, Image) and not shows_others


# --- self-test ----------------------------------------------------------------------------------


def self_test_tag(heading: str) -> dict[str, Any]:
    """Metadata of a result of a self-test: the heading that its figures stand under."""
    return {_SELF_TEST: heading}


def self_test_heading(layer: Any) -> str | None:
    """The heading of a result of a self-test, None of any other layer."""
    return _get(layer, _SELF_TEST)


def target_tag(original: Image) -> dict[str, Any]:
    """Metadata of the reference that a self-test made: the layer that was tested."""
    return {_TARGET: str(original.unique_id)}


def original_of(layer: Any, layers: Iterable[Any]) -> Any:
    """The layer that a self-test made this reference from, if it is there, else the layer itself.

    A second test has to start from the original: a target is resampled already.
    """
    key = _get(layer, _TARGET)
    return next((la for la in layers if str(la.unique_id) == key), layer)
