"""What a layer's metadata says of it, written and read in this one place.

`napari_srgan` holds the record of how a result was made, `trust_map` what a trust map shows; both
are written by the engine and the tasks, into files as well. The other keys are the window's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_srgan.engine.record import Record, input_label
from napari_srgan.image.geometry import Factor

if TYPE_CHECKING:
    from napari.layers import Image

_TRUST_MAP, _SPACING = "trust_map", "spacing_source"
_ROLE, _VIEW, _INPUT = "napari_srgan_role", "napari_srgan_view", "napari_srgan_input"
_SELF_TEST, _TARGET = "napari_srgan_self_test", "napari_srgan_target"
_OVER = "napari_srgan_over"
_OWN = (_ROLE, _VIEW, _INPUT, _SELF_TEST, _TARGET, _OVER)
PLACING = "napari_layer"
"""Key in a file for what TIFF has no place for (rotation, shear, affine)."""

Region = Mapping[str, tuple[int, int]]

Role = Literal["input", "result", "preview", "map", "view"]
"""What a layer is: an image to restore; what was restored of one, for good or as a look; a map of
what was found about others (difference, error, trust); a way of showing others (bicubic).
"""


def _get(layer: Any, key: str) -> Any:
    """What stands under a key; None for layers and things without metadata."""
    return getattr(layer, "metadata", {}).get(key)


def passed_on(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is about the layer itself, and not about what is made of its pixels."""
    return {k: v for k, v in metadata.items() if k not in _OWN}


def saved_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what means something in this session only.

    A pixel size is the file's from then on, and a preview that is saved has become a result.
    """
    session = [_VIEW, _INPUT, _TARGET, _OVER, _SPACING]
    if metadata.get(_ROLE) == "preview":
        session.append(_ROLE)
    return {k: v for k, v in metadata.items() if k not in session}


# --- roles --------------------------------------------------------------------------------------


def role_tag(role: Role) -> dict[str, Any]:
    """Metadata that say what a layer is, where its record does not say it."""
    return {_ROLE: role}


def role_of(layer: Any) -> Role:
    """What a layer is; an image that nobody has said anything of is an input."""
    noted = _get(layer, _ROLE)
    if noted in get_args(Role):
        return noted
    if record_of(layer) is not None:
        return "result"
    return "map" if _get(layer, _TRUST_MAP) is not None else "input"


def is_candidate(layer: Any) -> bool:
    """Whether a layer is an image of its own, and neither map nor view of others."""
    from napari.layers import Image

    return isinstance(layer, Image) and role_of(layer) not in ("map", "view")


def is_restored(layer: Any) -> bool:
    """Whether a layer is a result or a preview, with the record of how it was made."""
    return record_of(layer) is not None and role_of(layer) in ("result", "preview")


# --- results ------------------------------------------------------------------------------------


def record_of(layer: Any) -> Record | None:
    """The provenance record that a layer carries, if it is a result."""
    return Record.of(getattr(layer, "metadata", None))


@dataclass(frozen=True)
class MadeFrom:
    """What a result or a trust map was made from.

    Attributes
    ----------
    id : str
        `unique_id` of the input layer.
    region : mapping of axis letter to (start, stop)
        The part of it; axes left out are whole.
    scale : (float, float)
        Enlargement of Y and X.
    """

    id: str
    region: Region
    scale: Factor


def input_tag(layer: Image, region: Region, scale: Factor) -> dict[str, Any]:
    """Metadata of what is made from a layer: that layer, the region and the scale."""
    return {_INPUT: {"id": str(layer.unique_id), "region": dict(region), "scale": scale}}


def made_from(layer: Any) -> MadeFrom | None:
    """What a layer was made from in this session, if anything."""
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


# --- pixel size ---------------------------------------------------------------------------------


def spacing_tag(source: str) -> dict[str, Any]:
    """Metadata that say where a pixel size comes from: "file", "user", "default" or "unknown"."""
    return {_SPACING: source}


def noted_spacing(layer: Any) -> str | None:
    """Where the metadata say that the pixel size comes from, if they do."""
    known = _get(layer, _SPACING)
    return known if known in ("file", "user", "default") else None


# --- views --------------------------------------------------------------------------------------


def view_tag(key: Any = None) -> dict[str, Any]:
    """Metadata of a view of other layers; a `key` tells of which, so that it can be found again."""
    return {**role_tag("view"), _VIEW: key}


def view_key(layer: Any) -> Any:
    """The key that a view was given, None of any other layer."""
    return _get(layer, _VIEW)


# --- overlays -----------------------------------------------------------------------------------


def overlay_tag(target: Image | None) -> dict[str, Any]:
    """Metadata of a map that is laid over an image, or no longer is (None)."""
    return {_OVER: None if target is None else str(target.unique_id)}


def lies_over(layer: Any, target: Image) -> bool:
    """Whether a layer is laid over this image, to be seen wherever that is seen."""
    return _get(layer, _OVER) == str(target.unique_id)


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
