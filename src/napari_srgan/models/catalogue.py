"""The catalogue of models: the bundled ones and the user's own, by name."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from napari_srgan.errors import InputError, OutputExists, did_you_mean
from napari_srgan.io.atomic import whole_file
from napari_srgan.models.card import Card
from napari_srgan.models.file import SUFFIX, Model, load, read_card, save_model

__all__ = [
    "SUFFIX",
    "WEIGHTS",
    "Card",
    "Model",
    "ModelInfo",
    "NewModel",
    "add_model",
    "check_name",
    "fidelity_for",
    "find_model",
    "list_models",
    "load_model",
    "look_at_model",
    "model_for",
    "quick_model",
    "read_card",
    "save_model",
    "skipped_models",
    "user_folder",
]

WEIGHTS = Path(__file__).parents[1] / "weights"
"""The folder of the bundled models."""
FIDELITY = {1: "srresnet-gray", 3: "srresnet-rgb"}
"""By channels, the bundled model that is true to the measured data: a safe choice for any image."""
FAST = {"srresnet-gray": "srfast-gray", "srresnet-rgb": "srfast-rgb"}
"""The bundled models that stand in for others where time counts, at a ninth of the arithmetic."""

_WORDS = {
    "srgan-gray": "Grayscale images to be shown: sharper to the eye, but fine texture is invented;"
    " not for measuring.",
    "srgan-rgb": "RGB images to be shown: sharper to the eye, but fine texture is invented; not for"
    " measuring.",
    "srfast-gray": "OCT B-scans and grayscale microscopy, with a ninth of the computation of"
    " srresnet-gray: for browsing, and for computers without a GPU.",
    "srfast-rgb": "RGB images such as stained tissue, with a ninth of the computation of"
    " srresnet-rgb: for browsing, and for computers without a GPU.",
}
"""In the place of the purpose in a bundled file, in all that is read of its model: the card is part
of the file and of its SHA-256, and words are no reason for another file."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """An entry of the catalogue: a card, and the file it was found in."""

    card: Card
    path: Path
    bundled: bool


def user_folder() -> Path:
    """Return the folder of the user's own models (`NAPARI_SRGAN_MODELS` moves it)."""
    if folder := os.environ.get("NAPARI_SRGAN_MODELS"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-srgan", appauthor=False)) / "models"


def list_models() -> list[ModelInfo]:
    """Return the bundled models and the user's own; the bundled ones come first.

    A damaged file in the user's folder is left out here; `skipped_models` says what is wrong with
    it. A bundled name is never taken over by a user's file; of several files with one name, that
    which is called so counts.
    """
    return _look()[0]


def skipped_models() -> list[str]:
    """Say of each model file of the user's folder that cannot be listed why not, in a sentence."""
    return _look()[1]


def _look() -> tuple[list[ModelInfo], list[str]]:
    """Read the cards of both folders, and the reasons against those that cannot be read."""
    found: dict[str, ModelInfo] = {}
    skipped: list[str] = []
    for folder in (WEIGHTS, user_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
            try:
                card = read_card(path)
            except InputError as error:
                skipped.append(str(error))
                continue
            if folder == WEIGHTS:
                card = replace(card, purpose=_WORDS.get(card.name, card.purpose))
            known = found.get(card.name)
            if known is None or (not known.bundled and path.stem == card.name):
                found[card.name] = ModelInfo(card, path, folder == WEIGHTS)
    return list(found.values()), skipped


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model file that may be added, and was looked at as a whole.

    Attributes
    ----------
    card : Card
    path : Path
    sha256 : str
        Of the file.
    known : ModelInfo or None
        The entry of the catalogue that has its name.
    same : bool
        Whether that entry is the same file, byte for byte.
    """

    card: Card
    path: Path
    sha256: str
    known: ModelInfo | None
    same: bool


def look_at_model(path: str | Path) -> NewModel:
    """Look at a model file that may be added: at its card, and at all of its weights.

    Raises
    ------
    InputError
        If the file is no model, or damaged, or its name is a bundled model's or no file name.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"There is no file {source}.")
    name = read_card(source).name
    model = load(source)  # a damaged one is not worth keeping
    check_name(name)
    known = {info.card.name: info for info in list_models()}.get(name)
    same = known is not None and _digest(known.path) == model.sha256
    if known is not None and known.bundled and not same:
        raise InputError(f"{name} is the name of a bundled model; train yours with another --name.")
    return NewModel(model.card, source, model.sha256, known, same)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_model(path: str | Path, overwrite: bool = False) -> ModelInfo:
    """Copy a model file to the user's own models, so that it is listed under its card's name.

    Parameters
    ----------
    path : str or Path
        A model file, for example the one that a training wrote.
    overwrite : bool
        Replace an own model of the same name. One that is the same file is left as it is.

    Returns
    -------
    ModelInfo
        Its entry in the catalogue.

    Raises
    ------
    InputError
        As `look_at_model`, or if the file changes meanwhile.
    OutputExists
        If there is another own model of that name.
    """
    new = look_at_model(path)
    name, known = new.card.name, new.known
    if known is not None and new.same:
        return known
    target = user_folder() / f"{name}{SUFFIX}" if known is None else known.path
    if target.exists() and not overwrite:
        raise OutputExists(f"There is a model {name} already; use --overwrite to replace it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, overwrite) as partial:
        shutil.copyfile(new.path, partial)
        if _digest(partial) != new.sha256:
            raise InputError(f"{new.path.name} has changed while it was added; add it again.")
    return ModelInfo(read_card(target), target, bundled=False)


def check_name(name: str) -> None:
    """Refuse a name by which a model could not be listed, with InputError."""
    if not re.fullmatch(r"\w[\w.+-]*", name) or name == "auto":
        raise InputError(
            f"The model's name {name!r} cannot be listed; give it letters, digits and . _ + - "
            "only, and not 'auto'."
        )


def find_model(name_or_path: str | Path) -> ModelInfo:
    """Return the catalogue's entry of that name, or the card of that file.

    Raises
    ------
    InputError
        If there is no such model, or the file is not one.
    """
    known = {info.card.name: info for info in list_models()}
    name = str(name_or_path)
    if name in known:
        return known[name]
    path = Path(name)
    if path.is_file():
        return ModelInfo(read_card(path), path, bundled=False)
    damaged = user_folder() / f"{name}{SUFFIX}"
    if damaged.is_file():
        read_card(damaged)
    raise InputError(
        f"There is no model '{name}'{did_you_mean(name, known)}; known are "
        f"{', '.join(known) or 'none'}, "
        f"or give the path of a {SUFFIX} file."
    )


def fidelity_for(channels: int) -> ModelInfo:
    """Return the bundled fidelity model for so many channels.

    Raises
    ------
    InputError
        If there is none.
    """
    if channels not in FIDELITY:
        raise InputError(
            f"No fidelity model for {channels}-channel images is bundled; name the model to use."
        )
    return find_model(FIDELITY[channels])


def quick_model(info: ModelInfo) -> ModelInfo:
    """Return the model that stands in for another where time counts: itself if there is none."""
    known = {other.card.name: other for other in list_models()}
    return known.get(FAST.get(info.card.name, ""), info)


def model_for(name: str | Path, rgb: bool) -> ModelInfo:
    """Return the model of that name if it fits the image; "auto" is the fidelity model that does.

    What `auto` is for a kind of image is settled in `models.kinds`.

    Parameters
    ----------
    name : str or Path
        "auto", a name of the catalogue or a file.
    rgb : bool
        Whether the image is RGB.

    Raises
    ------
    InputError
        If the model does not exist or takes the other kind of image.
    """
    channels = 3 if rgb else 1
    info = fidelity_for(channels) if name == "auto" else find_model(name)
    if info.card.channels != channels:
        fitting = [m.card.name for m in list_models() if m.card.channels == channels]
        image, takes = ("RGB", "grayscale") if rgb else ("grayscale", "RGB")
        raise InputError(
            f"The image is {image} but the model {info.card.name} takes {takes} images; "
            f"models that fit: {', '.join(fitting) or 'none is installed'}."
        )
    return info


def load_model(name_or_path: str | Path) -> Model:
    """Load a model, once: a second call for an unchanged file returns the same object.

    Parameters
    ----------
    name_or_path : str or Path
        A name of the catalogue or a model file.

    Returns
    -------
    Model
        With its network in eval mode on the CPU; do not change it.

    Raises
    ------
    InputError
        If there is no such model, or the file is damaged, a pickle, or of another kind.
    """
    return load(find_model(name_or_path).path)
