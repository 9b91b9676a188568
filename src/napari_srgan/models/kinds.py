"""Kinds of image: what each is called, and which model and settings are right for it.

The one table of that. `auto`, the command line, the panel and the list of models follow from it: a
model that is better for a kind is one word here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_srgan.image.kind import Kind, Recognised, known_kind, note_kind
from napari_srgan.image.stack import Stack
from napari_srgan.image.views import as_gray
from napari_srgan.models.catalogue import FIDELITY, ModelInfo, find_model, list_models, model_for

LATERAL = "oct-lateral"
"""The model that makes only the lateral axis of OCT finer, where it is installed."""

GRAY_IN_RGB = "Its three colours hold one gray value, so it is restored as gray."


@dataclass(frozen=True, slots=True)
class KindOfImage:
    """What a kind of image stands for.

    Attributes
    ----------
    name : str
        Of `image.kind.KINDS`.
    title : str
        What a person calls it.
    words : str
        What belongs to it, in a line.
    gray, rgb : str
        The models that `auto` is for one channel and for colours.
    lateral : str
        The model of one channel that `auto` is where only X is to become finer, once it is there.
    linear : str
        The transform that `auto` is where the data are linear in intensity.
    """

    name: Kind
    title: str
    words: str
    gray: str = FIDELITY[1]
    rgb: str = FIDELITY[3]
    lateral: str = ""
    linear: str = "none"

    @property
    def thumbnail(self) -> Path:
        """A small picture of such an image, made by docs/make_kind_thumbnails.py."""
        return Path(__file__).parent / "thumbnails" / f"{self.name}.png"


KINDS_OF_IMAGE = (
    KindOfImage(
        "raw-oct",
        "raw OCT",
        "a single OCT frame, or anything else that is full of speckle",
        gray="oct-restore",
        lateral=LATERAL,
        linear="power:0.25",
    ),
    KindOfImage(
        "oct",
        "averaged OCT",
        "the mean of several OCT frames, with little speckle left",
        lateral=LATERAL,
        linear="power:0.25",
    ),
    KindOfImage("fluorescence", "fluorescence", "bright structures on a dark ground"),
    KindOfImage("brightfield", "brightfield, H&E", "stained or clear tissue on a light ground"),
    KindOfImage("em", "electron microscopy", "electron micrographs, of a scan or a transmission"),
    KindOfImage("photograph", "photograph", "photographs, and all that is none of the others"),
)


def kind_of_image(name: str) -> KindOfImage:
    """Return the entry of a kind; KeyError if there is none."""
    return {kind.name: kind for kind in KINDS_OF_IMAGE}[name]  # type: ignore[index]


def models_by_use() -> dict[str, list[str]]:
    """Say of each model that `auto` may be, for which kinds: "gray" and "RGB" are all the rest.

    Returns
    -------
    dict
        Titles by the name of the model.
    """
    uses: dict[str, list[str]] = {FIDELITY[1]: ["gray"], FIDELITY[3]: ["RGB"]}
    for kind in KINDS_OF_IMAGE:
        for name, usual in ((kind.gray, FIDELITY[1]), (kind.rgb, FIDELITY[3])):
            if name != usual:
                uses.setdefault(name, []).append(kind.title)
    return uses


@dataclass(frozen=True, slots=True)
class Choice:
    """What an image is restored as.

    Attributes
    ----------
    stack : Stack
        As the model takes it: RGB that holds gray has become gray where the model is for gray.
    model : ModelInfo
    kind : str
        What the image was taken for; "" where that is not known yet.
    transform : str
        The transform that will be used; never auto.
    why : str
        A sentence on what `auto` became, or "".
    warnings : tuple of str
        What a person should know of a model that was named.
    """

    stack: Stack
    model: ModelInfo
    kind: str
    transform: str
    why: str = ""
    warnings: tuple[str, ...] = ()


def choose(
    stack: Stack,
    model: str = "auto",
    kind: str = "auto",
    transform: str = "none",
    lateral: bool = False,
) -> Choice:
    """Settle model, channels and transform by the kind of the image.

    Nothing is read: what `image.kind.recognise` has not been asked yet counts as not known, and
    the image as an ordinary one of its channels.

    Parameters
    ----------
    stack : Stack
    model : str
        "auto", a name of the catalogue, or a model file.
    kind : str
        Of `image.kind.KINDS`, or "auto": what was recognised.
    transform : str
        "auto", or one that there is.
    lateral : bool
        Whether only X is to become finer.

    Raises
    ------
    InputError
        If the model does not exist or is for other images.
    """
    found = known_kind(stack)
    name = kind if kind != "auto" else "" if found is None else found.kind
    entry = kind_of_image(name) if name else KindOfImage("photograph", "", "")
    noted = ""
    alike = None if found is None or not stack.is_rgb else found.alike
    if (
        found is not None
        and alike is not None
        and (model == "auto" or find_model(model).card.channels == 1)
    ):
        stack, noted = as_gray(stack, alike), GRAY_IN_RGB
        note_kind(stack, replace(found, alike=None))
    auto = entry.rgb if stack.is_rgb else entry.gray
    if lateral and not stack.is_rgb:
        auto = _lateral(entry) or auto
    info = model_for(auto if model == "auto" else model, stack.is_rgb)
    linear = found is not None and found.is_linear
    why = _why(info, kind, found, noted) if model == "auto" else noted
    if transform == "auto":
        transform = entry.linear if linear else "none"
        if transform != "none":
            why += f" The transform is {transform}, because the data are linear in intensity."
    warnings = () if model == "auto" else _warnings(info, found, kind)
    return Choice(stack, info, name, transform, why.strip(), warnings)


def _lateral(entry: KindOfImage) -> str:
    """Name the model of a kind that leaves Y as it is, if it is in the catalogue."""
    cards = (info.card for info in list_models())
    return next((c.name for c in cards if c.name == entry.lateral and c.scale[0] == 1), "")


def _why(info: ModelInfo, kind: str, found: Recognised | None, noted: str) -> str:
    name = info.card.name
    if kind != "auto":
        return f"auto: {name}, because the kind {kind} was chosen. {noted}"
    return "" if found is None else f"auto: {name}, because {found.reason}. {noted}"


def _warnings(info: ModelInfo, found: Recognised | None, kind: str) -> tuple[str, ...]:
    """Say so if a model that takes speckle for structure is used on it."""
    if found is None or found.kind != "raw-oct" or kind not in ("auto", "raw-oct"):
        return ()
    better = kind_of_image("raw-oct").gray
    if info.card.role == "restoration" or info.card.name == better:
        return ()
    return (
        f"{info.card.name} takes speckle for structure, and {found.reason}; auto would be "
        f"{better}, which removes it.",
    )
