"""Compare what is read of TIFF files with what was written, in all ways that libraries write them.

    python benchmarks/decoders.py [FOLDER...]

tifffile, Pillow and scikit-image write small pictures in every mode, compression, predictor, order
of bytes and of planes that they know; each is opened and compared with the pixels that went in, and
where a compression loses some, with what Pillow's libtiff decodes. The TIFF files that these
libraries ship, and those below the folders that are named, are compared with Pillow's decoder too.
What is refused is counted by its sentence. The exit status is 1 if any picture differs.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_srgan.cli.terminal import tell
from napari_srgan.errors import InputError
from napari_srgan.io.open import open_stack

HEIGHT, WIDTH = 35, 50
DTYPES = (
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32",
    "float64",
)  # fmt: skip
LOSSLESS = ("none", "lzw", "deflate", "adobe_deflate", "packbits", "lzma", "zstd", "png", "lerc",
            "jpeg2000", "jpegxl", "webp")  # fmt: skip
LOSSY = ("jpeg",)
PILLOW_MODES = (
    "1",
    "L",
    "LA",
    "P",
    "RGB",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "I;16",
    "I",
    "F",
)
PILLOW_COMPRESSIONS = (
    None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd", "webp",
    "jpeg", "group3", "group4", "tiff_ccitt",
)  # fmt: skip

Case = tuple[str, Path, NDArray[Any] | None]
"""What it is, where it lies, and what it must be read as; None where Pillow is to say."""


def pixels(dtype: str, samples: int = 1) -> NDArray[Any]:
    """Make smooth pixels with some noise, over much of the dtype's range, or 0..1 in floats."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(0)
    planes = [(y * (i + 1) + x) / (HEIGHT * samples + WIDTH) for i in range(samples)]
    unit = np.clip(np.stack(planes, -1) + rng.normal(0, 0.02, (HEIGHT, WIDTH, samples)), 0, 1)
    unit = unit[..., 0] if samples == 1 else unit
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return unit.astype(kind)
    # beyond 2^53 whole numbers are refused, since no float64 is as exact
    lo, hi = max(np.iinfo(kind).min, -(2**40)), min(np.iinfo(kind).max, 2**40)
    return np.rint(lo + unit * (hi - lo)).astype(kind)


def by_tifffile(folder: Path) -> Iterator[Case]:
    """Write by tifffile what it can write."""
    ways = itertools.product(
        DTYPES,
        ("minisblack", "miniswhite", "rgb", "rgba"),
        (*LOSSLESS, *LOSSY),
        (False, True),
        ("strips", "tiles"),
        ("<", ">"),
        ("contig", "separate"),
    )
    for number, (dtype, meaning, packed, predictor, cut, order, planar) in enumerate(ways):
        colours = {"rgb": 3, "rgba": 4}.get(meaning, 1)
        if colours == 1 and planar == "separate":
            continue
        if packed == "jpeg2000" and np.dtype(dtype).itemsize > 1 + (order == "<"):
            continue  # the file holds other pixels: bytes are swapped, and 26 bits kept of 32
        if packed == "lerc" and predictor and np.dtype(dtype).kind == "f":
            continue  # the encoder takes the differences of bytes for numbers, and rounds them
        data = pixels(dtype, colours)
        path = folder / f"{number}.tif"
        stored = np.moveaxis(data, -1, 0) if planar == "separate" and colours > 1 else data
        try:
            tifffile.imwrite(
                path,
                stored,
                photometric="rgb" if colours > 1 else meaning,
                extrasamples=("unassalpha",) if colours == 4 else None,
                planarconfig=planar if colours > 1 else None,
                compression=None if packed == "none" else packed,
                compressionargs={"lossless": True} if packed in ("webp", "jpegxl") else None,
                predictor=predictor,
                tile=(16, 32) if cut == "tiles" else None,
                rowsperstrip=8 if cut == "strips" else None,
                byteorder=order,
                metadata=None,
            )
        except Exception:  # a mode that the encoder does not have
            path.unlink(missing_ok=True)
            continue
        what = f"tifffile {dtype} {meaning} {packed} {predictor=} {cut} {order} {planar}"
        yield what, path, None if packed in LOSSY else meant(data, meaning)


def meant(data: NDArray[Any], meaning: str) -> NDArray[Any]:
    """Return what stored values stand for."""
    if meaning != "miniswhite":
        return data
    if data.dtype.kind == "u":
        return np.asarray(np.iinfo(data.dtype).max - data, data.dtype)
    return np.asarray(-1 - data if data.dtype.kind == "i" else -data, data.dtype)


def by_pillow(folder: Path) -> Iterator[Case]:
    """Write by Pillow what it can write; it decodes the file itself for comparison."""
    for mode, packed in itertools.product(PILLOW_MODES, PILLOW_COMPRESSIONS):
        if mode in ("I;16", "I", "F"):
            image = Image.fromarray(pixels({"I;16": "uint16", "I": "int32"}.get(mode, "float32")))
        else:
            image = Image.fromarray(pixels("uint8", 3)).convert("RGB" if mode == "LAB" else mode)
            image = image if mode != "LAB" else Image.merge("LAB", image.split())
        path = folder / f"pillow_{re.sub(';', '', mode)}_{packed}.tif"
        try:
            image.save(path, compression=packed)
        except Exception:  # a mode that the encoder does not have
            path.unlink(missing_ok=True)
            continue
        yield f"Pillow {mode} {packed}", path, None


def by_scikit_image(folder: Path) -> Iterator[Case]:
    """Write by scikit-image."""
    from skimage import io

    for dtype, colours in itertools.product(DTYPES, (1, 3, 4)):
        path, data = folder / f"skimage_{dtype}_{colours}.tif", pixels(dtype, colours)
        io.imsave(path, data, check_contrast=False)
        yield f"scikit-image {dtype} {colours}", path, data


def shipped(folders: list[Path]) -> Iterator[Case]:
    """List the TIFF files of the libraries, and of other folders."""
    for name in ("tifffile", "imagecodecs", "PIL", "skimage"):
        spec = find_spec(name)
        folders = [*folders, *map(Path, (spec and spec.submodule_search_locations) or ())]
    for folder in folders:
        for path in sorted([*folder.rglob("*.tif"), *folder.rglob("*.tiff")]):
            yield f"shipped {path.name}", path, None


def independent(path: Path) -> NDArray[Any]:
    """Decode by Pillow, to gray, RGB or RGBA as a picture is shown; what it cannot, by tifffile."""
    try:
        return by_libtiff(path)
    except (OSError, ValueError, SyntaxError):
        return np.asarray(tifffile.imread(path))


def by_libtiff(path: Path) -> NDArray[Any]:
    """Decode by Pillow."""
    with Image.open(path) as image:
        planes = []
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            shown = image
            if image.mode in ("P", "PA", "LA"):
                shown = image.convert("RGBA" if "A" in image.mode else "RGB")
            elif image.mode in ("YCbCr", "RGBX"):
                shown = image.convert("RGB")
            planes.append(np.asarray(shown))
    return planes[0] if len(planes) == 1 else np.stack(planes)


def outcome(path: Path, expected: NDArray[Any] | None, packed: bool) -> str:
    """Open a file and say what came of it: "same", "refused: ...", or how it differs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(open_stack(path).data[...])
    except InputError as error:
        return "refused: " + str(error).replace(path.name, "it")
    if expected is None:
        expected = independent(path)
    found, expected = as_presented(np.squeeze(found), np.squeeze(expected))
    if found.shape != expected.shape:
        return f"DIFFERS in shape: {found.shape}, not {expected.shape}"
    off = float(np.abs(found.astype(float) - expected.astype(float)).max())
    # two decoders of JPEG and of YCbCr may round differently
    return "same" if off <= (3 if packed else 0) else f"DIFFERS by up to {off:g}"


def as_presented(found: NDArray[Any], expected: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Put what both decoders mean by the same samples into one form."""
    if found.ndim == expected.ndim and found.shape[0] == 2 and expected.shape[-1] == 4:
        return np.moveaxis(found, 0, -1), expected[..., [0, 3]]  # gray and alpha are two channels
    if found.shape[:-1] == expected.shape[:-1] and found.shape[-1] == 4:
        return found[..., :3], expected[..., :3]  # a sample that is said to be nothing
    if found.ndim == 4 and found.shape[-1] == 3 == expected.shape[1]:
        return found, np.moveaxis(expected, 1, -1)  # planes of colours
    return found, expected


def main() -> int:
    """Run all comparisons and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="more TIFF files to compare")
    arguments = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = itertools.chain(
            by_tifffile(folder), by_pillow(folder), by_scikit_image(folder),
            shipped(arguments.folders),
        )  # fmt: skip
        for what, path, expected in cases:
            said = outcome(path, expected, "jpeg" in what or "YCbCr" in what)
            if said.startswith("DIFFERS"):
                tell(f"{what}: {said}")
            counts[what.split()[0], said.partition(":")[0].split(" by ")[0]] += 1
            if said.startswith("refused"):
                counts[what.split()[0], said] += 1
            if path.parent == folder:
                path.unlink()
    for (library, said), count in sorted(counts.items()):
        tell(f"{count:6d}  {library:13s} {said}")
    return any(said.startswith("DIFFERS") for _, said in counts)


if __name__ == "__main__":
    sys.exit(main())
