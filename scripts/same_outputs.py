"""Keep what the commands write, and compare it with what another version wrote.

    python scripts/same_outputs.py make FOLDER      # with the version that is to be kept aside
    python scripts/same_outputs.py make OTHER       # with the changed one
    python scripts/same_outputs.py compare FOLDER OTHER

Outputs must be equal byte for byte, but for dates, seconds and peak memory; of TIFF files all tags
and pixels, whatever their places in the file. What a restructuring may not change is thus one
command; `PYTHONPATH=<checkout>/src:<checkout>` chooses the version. Numbers of the consistency are
compared to six digits: the others depend on the order in which tiles are summed, and are no longer
recorded.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

_COMMAND = [
    sys.executable,
    "-c",
    "import sys; from napari_srgan.cli import main; sys.exit(main())",
]
_MASKED = (
    re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\+00:00| UTC)?"),
    re.compile(rb'"(seconds|peak_memory_mb|peak_device_memory_mb)": [0-9.]+'),
    re.compile(rb"[0-9.]+ s, peak memory \d+ MB"),
    re.compile(rb" in [0-9.]+ s\b"),
    re.compile(rb"(?m),[0-9.]+,[0-9.]+,\r?$"),  # the last columns of a batch's summary
    re.compile(rb"-[mp][0-9a-f]{10}\b"),  # matplotlib's names of markers and clips
)
_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CONSISTENCY = re.compile(
    rb'(\w*(?:rmse|max|back_projected)_percent|max_residual)((?:&\w+;|&#34;|")?: ?)'
    rb"(-?[0-9.]+(?:e-?\d+)?)"
)
_CONSISTENCY_CELL = re.compile(rb'(>Consistency</th><td data-value=)(")([0-9.e-]+)')
# Where things lie in a TIFF file depends on how long its texts are.
_PLACES = {"StripOffsets", "TileOffsets", "IJMetadataByteCounts"}


def inputs(folder: Path) -> None:
    """Write small images of every kind that the commands read."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[:44, :52]
    base = 120 + 80 * np.sin(x / 3) * np.cos(y / 4)
    planes = np.stack([base + 10 * k + random.normal(0, 6, base.shape) for k in range(3)])
    gray = planes.clip(0, 255).astype(np.uint8)
    tifffile.imwrite(
        folder / "gray.tif", gray, imagej=True, resolution=(2.0, 2.0),
        metadata={"axes": "ZYX", "spacing": 3.0, "unit": "um"},
    )  # fmt: skip
    tifffile.imwrite(
        folder / "gray.ome.tif", gray, ome=True,
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25},
    )  # fmt: skip
    large = np.stack([base.repeat(4, 0).repeat(4, 1) + 10 * k for k in range(3)])
    truth = (large + random.normal(0, 3, large.shape)).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "truth.tif", truth, imagej=True, metadata={"axes": "ZYX"})
    rgb = np.stack([gray[0], gray[1][::-1], gray[2][:, ::-1]], axis=-1)
    tifffile.imwrite(folder / "rgb.tif", rgb, photometric="rgb")
    alpha = np.linspace(0, 255, gray[0].size).reshape(gray[0].shape).astype(np.uint8)
    rgba = np.concatenate([rgb, alpha[..., None]], axis=-1)
    tifffile.imwrite(folder / "rgba.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(folder / "deep.tif", (gray.astype(np.uint16) * 16 + 5)[:, :, ::-1])
    floats = (planes / 255).astype(np.float32)
    tifffile.imwrite(folder / "float.tif", floats)
    holes = floats.copy()
    holes[1, 10:13, 20:24] = np.nan
    tifffile.imwrite(folder / "holes.tif", holes)
    np.save(folder / "plain.npy", gray)
    (folder / "hr").mkdir()
    tifffile.imwrite(folder / "hr" / "a.tif", truth)
    tifffile.imwrite(folder / "hr" / "b.tif", rgb.repeat(3, 0).repeat(3, 1), photometric="rgb")


def cases() -> list[tuple[str, list[str]]]:
    """List the commands by the name under which their output is kept."""
    exact = ["--precision", "float32"]
    found: list[tuple[str, list[str]]] = []
    for name, source, target, *more in (
        ("gray", "gray.tif", "gray_4x.tif"),
        ("ome", "gray.ome.tif", "gray_4x.ome.tif"),
        ("npy", "plain.npy", "plain_4x.npy"),
        ("rgb", "rgb.tif", "rgb_4x.tif"),
        ("png", "rgb.tif", "rgb_4x.png"),
        ("rgba", "rgba.tif", "rgba_4x.tif"),
        ("deep", "deep.tif", "deep_4x.tif"),
        ("float", "float.tif", "float_4x.tif", "--transform", "power:0.5"),
        ("log", "float.tif", "log_4x.tif", "--transform", "log", "--intensity", "minmax"),
        ("region", "gray.tif", "region_4x.tif", "--slices", "1:3", "--roi", "3:33,5:41"),
        ("tiles", "gray.tif", "tiles_4x.tif", "--tile", "16"),
        ("nan", "holes.tif", "holes_4x.tif", "--nan", "fill"),
        ("project", "gray.tif", "project_4x.tif", "--back-project", "--tile", "24"),
        ("gan", "gray.tif", "gan_4x.tif", "--model", "srgan-gray", "--anonymise"),
        ("restore", "gray.tif", "restore_4x.tif", "--model", "oct-restore"),
    ):
        found.append((name, ["upscale", source, target, "--json", *exact, *more]))
    found += [
        ("auto", ["upscale", "gray.tif", "auto_4x.tif"]),
        ("refused", ["upscale", "holes.tif", "refused.tif"]),
        ("batch", ["upscale", "gray.tif", "rgb.tif", "--out-dir", "batch", "--json", *exact]),
        (
            "compare",
            ["compare", "truth.tif", "gray_4x.tif", "gan_4x.tif", "--low", "gray.tif", "--frc",
             "--error-map", "errors", "--csv", "compare.csv", "--json"],
        ),
        ("compare-text", ["compare", "truth.tif", "gray_4x.tif", "--low", "gray.tif", "--frc"]),
        ("evaluate", ["evaluate", "hr", "--csv", "evaluate.csv", "--json"]),
        ("evaluate-paper", ["evaluate", "hr", "--protocol", "paper"]),
        (
            "evaluate-restore",
            ["evaluate", "hr/a.tif", "--model", "oct-restore", "--degradation", "area", "--json"],
        ),
        ("trust", ["trust", "gray.tif", "--out", "maps", "--model", "srgan-gray", "--json"]),
        (
            "trust-part",
            ["trust", "gray.tif", "--out", "part", "--roi", "4:40,6:50", "--slices", "1:2"],
        ),
        ("report", ["report", "gray.tif", "-o", "report.html", *exact]),
        (
            "report-reference",
            ["report", "gray.tif", "-o", "reference.html", "--reference", "truth.tif", "--model",
             "srgan-gray", "--json", *exact],
        ),
        ("models", ["models"]),
        ("no-file", ["upscale", "missing.tif", "x.tif"]),
        ("no-option", ["upscale", "gray.tif", "x.tif", "--precision", "bad"]),
    ]  # fmt: skip
    return found


def make(folder: Path) -> None:
    """Run every command in a folder and keep what it prints beside what it writes."""
    folder.mkdir(parents=True)
    inputs(folder)
    environment = os.environ | {"NAPARI_SRGAN_MODELS": str(folder / "own-models")}
    for name, arguments in cases():
        done = subprocess.run(
            [*_COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, check=False
        )
        text = b"exit %d\n" % done.returncode + done.stdout + b"\n--\n" + done.stderr
        (folder / f"{name}.printed").write_bytes(text)
        print(name, done.returncode)


def compare(first: Path, second: Path) -> int:
    """Say which files differ; return how many."""
    names = [
        {p.relative_to(f).as_posix() for p in f.rglob("*") if p.is_file()} for f in (first, second)
    ]
    differing = sorted(names[0] ^ names[1])
    for name in differing:
        print(f"{name}: only in {first if name in names[0] else second}")
    for name in sorted(names[0] & names[1]):
        if _essence(first / name) != _essence(second / name):
            differing.append(name)
            print(f"{name}: differs")
    print(f"{len(names[0] & names[1])} files compared, {len(differing)} differ")
    return len(differing)


def _essence(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".png":  # compressed: its texts and its pixels
        with Image.open(path) as picture:
            content = repr(sorted(picture.info.items())).encode() + picture.tobytes()
    elif path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            tags = [(t.name, t.value) for p in file.pages for t in p.tags if t.name not in _PLACES]
            content = repr(tags).encode() + file.asarray().tobytes()
    for pattern in (*_MASKED, _UUID):
        content = pattern.sub(b"(masked)", content)
    content = content.replace(str(path.parents[0]).encode(), b"(folder)")
    for pattern in (_CONSISTENCY, _CONSISTENCY_CELL):
        content = pattern.sub(lambda m: m[1] + m[2] + b"%.6g" % float(m[3]), content)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]).resolve())
    else:
        sys.exit(bool(compare(Path(sys.argv[2]), Path(sys.argv[3]))))
