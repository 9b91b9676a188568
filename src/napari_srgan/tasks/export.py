"""Models for other programs: an ONNX file, or a package of the BioImage Model Zoo around one.

The network in the file is the trained one with batch norm and branches folded, for images of any
size: (batch, channels, Y, X) in [0, 1] to (batch, channels, sy * Y, sx * X), float32. ONNX Runtime
computes it and it is held against torch before it is put in its place.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan import __version__
from napari_srgan.engine.record import RESEARCH_USE
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.io.atomic import THERE, whole_file
from napari_srgan.io.open import open_stack
from napari_srgan.models.catalogue import find_model, load_model
from napari_srgan.synthetic.samples import sample_path
from napari_srgan.tasks.steps import Progress, Work

if TYPE_CHECKING:
    from torch import nn

    from napari_srgan.models.file import Model

SUFFIXES = (".onnx", ".zip")
LARGEST_DIFFERENCE = 1e-4
"""Of ONNX Runtime to torch, range 1; a file that differs more is not written."""
OPSET = 18
_SMALLEST = 8  # px a side
_TEST = 96  # px a side of the package's example, or more where the halo is wide
_PERCENTILES = (0.1, 99.9)
_EPS = 1e-6  # what the zoo's scale_range adds to the range
_INSTALL = "pip install 'napari-srgan[export]'"
_FORMAT = "0.5.4"  # of the zoo's description of a model


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was written for other programs.

    Attributes
    ----------
    path : Path
    nbytes : int
    difference : float
        Largest difference of ONNX Runtime to torch, range 1, over images of three sizes.
    """

    path: Path
    nbytes: int
    difference: float


def export(
    name: str | Path,
    target: str | Path,
    *,
    licence: str = "",
    overwrite: bool = False,
    there: str = THERE,
) -> Work[Exported]:
    """Write a model as ONNX, or as a package of the BioImage Model Zoo.

    Parameters
    ----------
    name : str or Path
        Name or file of the model.
    target : str or Path
        A file that ends in .onnx or .zip.
    licence : str
        Of the weights in a package, an SPDX identifier; the bundled models have their own.
    overwrite : bool
        Whether a file that is there may be replaced.
    there : str
        What is said of one that may not.

    Yields
    ------
    Progress
        After each of three steps.

    Returns
    -------
    Exported

    Raises
    ------
    InputError
        If there is no such model, the name has another ending, a package is missing from the
        installation, no licence is known, or ONNX Runtime computes something else than torch.
    """
    target = Path(target)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{target.name}: a model is exported to .onnx (ONNX) or .zip (a package of the BioImage"
            " Model Zoo)."
        )
    info = find_model(str(name))
    packaged = target.suffix.lower() == ".zip"
    licence = licence or ("BSD-3-Clause" if info.bundled else "")
    if packaged and not licence:
        raise InputError(
            f"A package says under which licence the weights of {info.card.name} may be used; name "
            "it, for example --licence CC-BY-4.0."
        )
    _check_installed()
    with whole_file(target, overwrite, there) as partial:
        yield Progress(0, 3, stage="Loading")
        model = load_model(info.path)
        yield Progress(1, 3, stage="Translating")
        translated = _translated(model)
        yield Progress(2, 3, stage="Comparing with torch")
        difference = _difference(model, translated)
        if not difference <= LARGEST_DIFFERENCE:
            raise InputError(
                f"ONNX Runtime computes {info.card.name} with a difference of {difference:.2g} to "
                "torch, so nothing was written; another version of onnxscript or onnxruntime may "
                "do better."
            )
        content = _described(model, translated, difference)
        partial.write_bytes(_package(model, content, licence) if packaged else content)
        nbytes = partial.stat().st_size
    return Exported(target, nbytes, difference)


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"To export a model takes the package {error.name}, which is not installed here: "
            f"{_INSTALL}."
        ) from None


def _translated(model: Model) -> bytes:
    """Translate the network by torch's own exporter."""
    import torch

    from napari_srgan.models.architectures.rewrite import fold_batch_norm, fold_branches

    # Not the form for inference: its strips of rows would be cut for one height once and for all.
    network = copy.deepcopy(model.network).eval()
    fold_batch_norm(network)
    fold_branches(network)
    image = torch.rand(1, model.card.channels, 3 * _SMALLEST, 4 * _SMALLEST)
    axes = {
        0: torch.export.Dim("batch"),
        2: torch.export.Dim("y", min=_SMALLEST),
        3: torch.export.Dim("x", min=_SMALLEST),
    }
    with _quiet():
        program = torch.onnx.export(
            network,
            (image,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["lr"],
            output_names=["sr"],
            dynamic_shapes=(axes,),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of its own future and of operators that are not there."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _difference(model: Model, translated: bytes) -> float:
    """Return the largest difference to torch, over images of several sizes."""
    largest = 0.0
    for shape in ((1, 40, 56), (2, 33, 17), (1, _SMALLEST, 64)):
        images = np.random.default_rng(0).random((shape[0], model.card.channels, *shape[1:]))
        lr = images.astype(np.float32)
        expected, got = _by_torch(model.network, lr), _by_onnx(translated, lr)
        largest = max(largest, float(np.abs(got - expected).max()))
    return largest


def _by_torch(network: nn.Module, lr: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        made: NDArray[np.float32] = network(torch.from_numpy(lr)).numpy()
    return made


def _by_onnx(translated: bytes, lr: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(translated, providers=["CPUExecutionProvider"])
    made: NDArray[np.float32] = session.run(["sr"], {"lr": lr})[0]
    return made


def _described(model: Model, translated: bytes, difference: float) -> bytes:
    """Put the card into the file, under "napari_srgan", and what it is for people."""
    import onnx

    graph = onnx.load_from_string(translated)
    graph.producer_name, graph.producer_version = "napari-srgan", __version__
    graph.doc_string = f"{model.card.name}: {model.card.purpose} {RESEARCH_USE}".strip()
    about = {
        "napari_srgan": model.card.to_json(),
        "weights_sha256": model.sha256,
        "largest_difference_to_torch": f"{difference:.2g}",
        "input": "lr: float32, (batch, channels, y, x), intensities in 0 to 1",
        "output": f"sr: float32, {scale_text(model.card.scale)} finer along y and x, nominally in "
        "0 to 1",
    }
    onnx.helper.set_model_props(graph, about)
    return bytes(graph.SerializeToString())


def _package(model: Model, weights: bytes, licence: str) -> bytes:
    """Return the zip: description, weights, an example with its result, a picture, a text."""
    import onnx

    smallest = _smallest(model)
    given = _example(model.card.channels, smallest)
    result = _by_onnx(weights, _scaled(given))
    opset = onnx.load_from_string(weights).opset_import[0].version
    files = {
        "weights.onnx": weights,
        "test_input.npy": _npy(given),
        "test_output.npy": _npy(result),
        "cover.png": _cover(model, _scaled(given), result),
        "README.md": _text(model).encode(),
    }
    description = _description(model, files, smallest, licence, opset)
    # JSON is YAML.
    files["rdf.yaml"] = json.dumps(description, indent=2, ensure_ascii=False).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return made.getvalue()


def _smallest(model: Model) -> int:
    """Return the side that an image has at least: the zoo wants more than the halo twice."""
    return 2 * _SMALLEST + 2 * (model.network.halo or 0)


def _example(channels: int, side: int) -> NDArray[np.float32]:
    """Take a bundled sample, mirrored where it is too small: (1, channels, y, x), grey levels."""
    stack = open_stack(sample_path("oct_volume_lr" if channels == 1 else "tissue_rgb_lr"))
    plane = np.asarray(stack.read(next(iter(stack.plane_indices()))), np.float32)
    plane = plane.reshape(*plane.shape[:2], -1)[: max(side, _TEST), : max(side, _TEST)]
    missing = [(0, max(0, side - n)) for n in plane.shape[:2]]
    whole = np.pad(plane, [*missing, (0, 0)], mode="symmetric")
    return np.ascontiguousarray(whole.transpose(2, 0, 1)[None])


def _scaled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Do what the package has its reader do: scale_range over channels, Y and X."""
    low, high = np.percentile(image, _PERCENTILES)
    return np.asarray((image - low) / (high - low + _EPS), np.float32)


def _npy(array: NDArray[np.float32]) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def _cover(model: Model, lr: NDArray[np.float32], sr: NDArray[np.float32]) -> bytes:
    """Draw bicubic and result side by side."""
    from PIL import Image

    low, high = (image[0].transpose(1, 2, 0).squeeze() for image in (lr, sr))
    shown = np.concatenate([bicubic_enlarge(low, model.card.scale), high], axis=1)
    made = io.BytesIO()
    Image.fromarray((255 * shown.clip(0, 1)).round().astype(np.uint8)).save(made, "PNG")
    return made.getvalue()


def _text(model: Model) -> str:
    card = model.card
    lines = [
        f"# {card.name}",
        card.purpose,
        f"It makes images {scale_text(card.scale)} finer along Y and X. Input: intensities from "
        f"the {_PERCENTILES[0]} to the {_PERCENTILES[1]} percentile as 0 to 1; output: the same. "
        "Beyond the border of the image it sees zeros: leave a margin.",
        f"**{RESEARCH_USE}**",
        f"Limits: {card.limits}" if card.limits else "",
        "## Trained on",
        "\n".join(f"- {data}" for data in card.trained_on) or "Not stated.",
        f"LR images were made from HR by: {card.degradation}.",
        "## Validation",
        _figures(model),
        f"SHA-256 of the model file that this was made from: `{model.sha256}`.",
    ]
    return "\n\n".join(filter(None, lines)) + "\n"


def _figures(model: Model) -> str:
    rows = ["| set | images | PSNR, dB | bicubic |", "|---|---|---|---|"]
    for entry in model.card.validation:
        figures = [entry.get(key) for key in ("psnr", "psnr_bicubic")]
        shown = [f"{v:.2f}" if isinstance(v, int | float) else "-" for v in figures]
        rows.append(
            f"| {entry.get('set', '-')} | {entry.get('images', '-')} | {' | '.join(shown)} |"
        )
    return "\n".join(rows) if len(rows) > 2 else "No figures are stated."


def _description(
    model: Model, files: dict[str, bytes], smallest: int, licence: str, opset: int
) -> dict[str, Any]:
    """Return the package's description, by the zoo's specification of a model, format 0.5."""
    card = model.card
    names = ["intensity"] if card.channels == 1 else ["red", "green", "blue"]
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    outer = [{"type": "batch"}, {"type": "channel", "channel_names": names}]
    halo = model.network.halo

    def finer(axis: str, factor: int) -> dict[str, Any]:
        size = {"tensor_id": "lr", "axis_id": axis, "offset": 0}
        made = {"type": "space", "id": axis, "size": size, "scale": 1 / factor}
        return made if halo is None else made | {"halo": factor * halo}

    return {
        "type": "model",
        "format_version": _FORMAT,
        "name": f"napari-srgan {card.name}",
        "description": card.purpose or f"{scale_text(card.scale)} super-resolution",
        "version": "0.1.0",
        "authors": [{"name": "The napari-srgan developers"}],
        "cite": [
            {
                "text": "Ledig et al., Photo-Realistic Single Image Super-Resolution Using a "
                "Generative Adversarial Network, CVPR 2017",
                "doi": "10.1109/CVPR.2017.19",
            }
        ],
        "license": licence,
        "documentation": "README.md",
        "covers": ["cover.png"],
        "tags": ["super-resolution", "2d", "onnx", "rgb" if card.channels == 3 else "grayscale"],
        "inputs": [
            {
                "id": "lr",
                "description": "The image; any unit, any range.",
                "axes": [
                    *outer,
                    *(
                        {"type": "space", "id": axis, "size": {"min": smallest, "step": 1}}
                        for axis in "yx"
                    ),
                ],
                "test_tensor": {"source": "test_input.npy", "sha256": sums["test_input.npy"]},
                "data": {"type": "float32"},
                "preprocessing": [
                    {
                        "id": "scale_range",
                        "kwargs": {
                            "axes": ["channel", "y", "x"],
                            "min_percentile": _PERCENTILES[0],
                            "max_percentile": _PERCENTILES[1],
                            "eps": _EPS,
                        },
                    }
                ],
            }
        ],
        "outputs": [
            {
                "id": "sr",
                "description": f"The image, {scale_text(card.scale)} finer, nominally in 0 to 1.",
                "axes": [*outer, *map(finer, "yx", card.scale)],
                "test_tensor": {"source": "test_output.npy", "sha256": sums["test_output.npy"]},
                "data": {"type": "float32"},
            }
        ],
        "weights": {
            "onnx": {
                "source": "weights.onnx",
                "sha256": sums["weights.onnx"],
                "opset_version": opset,
            }
        },
        "config": {"napari_srgan": {"weights_sha256": model.sha256}},
    }
