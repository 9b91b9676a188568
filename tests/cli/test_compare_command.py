"""`compare` as it is typed: tables, JSON, CSV, error maps, and answers to bad input."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_srgan.cli import main
from napari_srgan.io.open import open_stack
from napari_srgan.options import CompareOptions, PartOptions
from napari_srgan.tasks.compare import CompareRequest, compare_files


def run(*arguments):
    return main(["compare", *map(str, arguments)])


def scene(shape, seed=0):
    random = np.random.default_rng(seed)
    image = gaussian_filter(random.normal(size=shape), (0,) * (len(shape) - 2) + (3, 3))
    image += 0.02 * random.normal(size=shape)
    return (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A reference of three slices, a blurred and an equal candidate, and an LR stack."""
    monkeypatch.chdir(tmp_path)
    truth = scene((3, 64, 80))
    low = np.stack([np.asarray(Image.fromarray(p).resize((20, 16), 3)) for p in truth])
    stacks = {
        "truth": truth,
        "blurred": gaussian_filter(truth, (0, 1.2, 1.2)),
        "same": truth,
        "low": low,
    }
    for name, stack in stacks.items():
        spacing = (6.0, 10.0) if name == "low" else (1.5, 2.5)
        tifffile.imwrite(
            f"{name}.tif",
            stack,
            imagej=True,
            resolution=(1 / spacing[1], 1 / spacing[0]),
            metadata={"axes": "ZYX", "unit": "um", "spacing": 120.0},
        )
    return stacks


def test_the_table_holds_figures_range_and_bicubic(files, capsys):
    assert run("truth.tif", "blurred.tif", "same.tif", "--low", "low.tif") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert "reference truth.tif, 3 slices; data range 255; mode rgb; border 0 px" in lines[0]
    cells = {line.split()[0]: line.split() for line in reversed(lines) if " " in line}
    expected = peak_signal_noise_ratio(files["truth"], files["blurred"], data_range=255)
    assert cells["blurred.tif"][1] == f"{expected:.2f}"
    gain = float(cells["blurred.tif"][1]) - float(cells["bicubic"][1])
    assert float(cells["blurred.tif"][2]) == pytest.approx(gain, abs=0.011)
    ssim = np.mean(
        [
            structural_similarity(
                a,
                b,
                data_range=255,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for a, b in zip(files["truth"], files["blurred"], strict=True)
        ]
    )
    assert f"{ssim:.4f}" in cells["blurred.tif"]
    assert cells["same.tif"].count("identical") == 1 and "3" in cells["same.tif"]
    assert "-" in cells["same.tif"]  # a slice mean of nothing finite, and MS-SSIM
    assert cells["bicubic"][-1] == "4x" and cells["blurred.tif"][-1] == "no"
    assert cells["Z=1"][1] == f"{peak(files, 1):.2f}"
    assert "bicubic is low.tif, which was enlarged 4x by bicubic" in out
    assert "MS-SSIM needs 176 px" in out and not err


def peak(files, z):
    return peak_signal_noise_ratio(files["truth"][z], files["blurred"][z], data_range=255)


def test_csv_and_json_hold_every_slice(files, capsys):
    options = ("truth.tif", "blurred.tif", "--low", "low.tif", "--slices", "1:3")
    assert run(*options, "--csv", "t.csv", "--json", "--border", 2) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with Path("t.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    keys = [("blurred.tif", "all"), ("bicubic", "all")]
    keys += [(c, f"Z={z}") for z in (1, 2) for c in ("blurred.tif", "bicubic")]
    assert [(r["candidate"], r["slice"]) for r in table] == keys
    assert [(r["candidate"], r["slice"]) for r in lines[:-1]] == keys
    cut = (slice(1, 3), slice(2, -2), slice(2, -2))
    expected = peak_signal_noise_ratio(files["truth"][cut], files["blurred"][cut], data_range=255)
    assert float(table[0]["psnr"]) == lines[0]["psnr"] == pytest.approx(expected)
    assert lines[0]["slices"] == 2 and lines[0]["border"] == 2 and lines[0]["data_range"] == 255
    assert lines[-1]["notes"]
    assert run(*options, "--csv", "t.csv") == 2
    assert "t.csv exists already" in capsys.readouterr().err
    assert run(*options, "--csv", "t.csv", "--overwrite") == 0


def test_an_infinite_psnr_is_null_in_json_and_inf_in_csv(files, capsys):
    assert run("truth.tif", "same.tif", "--json", "--csv", "t.csv") == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["psnr"] is None and first["mse"] == 0 and first["psnr_infinite"] == 3
    with Path("t.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["psnr"] == "inf"


def test_error_maps_are_stacks_in_the_place_of_the_reference(files, capsys):
    options = ("truth.tif", "blurred.tif", "--low", "low.tif", "--slices", "1:3")
    assert run(*options, "--error-map", "maps", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    made = open_stack("maps/blurred_error_z1-3.tif")
    assert made.axes == "ZYX" and made.shape == (2, 64, 80) and made.dtype == np.float32
    assert made.scale == pytest.approx((120, 1.5, 2.5)) and made.translate[0] == 120
    assert made.metadata["error_map"] == {"reference": "truth.tif", "candidate": "blurred.tif"}
    pixels = np.stack([made.read(i) for i in made.plane_indices()]).astype(float)
    assert lines[0]["rse"] == pytest.approx(np.sqrt(np.mean(pixels**2)), rel=1e-5)
    assert lines[2]["rse"] == pytest.approx(np.sqrt(np.mean(pixels[0] ** 2)), rel=1e-5)
    assert 0.9 < lines[0]["rsp"] <= 1 and lines[2]["fit_gain"] > 1
    assert lines[0]["rse"] <= lines[0]["rmse"]
    assert open_stack("maps/bicubic_error_z1-3.tif").shape == (2, 64, 80)
    assert run(*options, "--error-map", "maps") == 2
    assert "exists already; --overwrite" in capsys.readouterr().err
    assert run(*options, "--error-map", "maps", "--overwrite") == 0
    assert "RSE" in capsys.readouterr().out


def test_an_empty_slice_of_the_reference_counts_for_no_error(files, capsys):
    truth = files["truth"].copy()
    truth[1] = 0
    tifffile.imwrite("gap.tif", truth, imagej=True, metadata={"axes": "ZYX"})
    options = ("gap.tif", "blurred.tif", "--error-map", "maps")
    assert run(*options, "--json", "--csv", "t.csv") == 0
    whole, *planes, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    said = ("rse", "rsp", "fit_gain", "fit_offset", "fit_sigma")
    assert {planes[1][key] for key in said} == {None}
    others = [planes[0]["rse"], planes[2]["rse"]]
    assert whole["rse"] == pytest.approx(np.sqrt(np.mean(np.square(others))))
    made = open_stack("maps/blurred_error.tif")
    assert [bool(np.isnan(made.read((z,))).all()) for z in range(3)] == [False, True, False]
    assert "not defined; left out in 1 of 3 slices" in last["notes"][-1]
    with Path("t.csv").open(newline="") as stream:
        assert [row["rse"] == "" for row in csv.DictReader(stream)] == [False, False, True, False]
    assert run(*options, "--overwrite", "--slices", "1:2") == 0
    out = capsys.readouterr().out
    assert "RSE" in out and "left out everywhere" in out


def test_nothing_half_made_is_left_of_error_maps(files, capsys):
    broken = files["truth"].astype(np.float32)
    broken[2, 0, 0] = np.nan
    tifffile.imwrite("hole.tif", broken, imagej=True, metadata={"axes": "ZYX"})
    assert run("truth.tif", "hole.tif", "--error-map", "maps") == 2
    assert "hole.tif holds 1 NaN or infinite values in slice Z=2" in capsys.readouterr().err
    request = CompareRequest(
        reference=Path("truth.tif"),
        candidates=[Path("blurred.tif")],
        options=CompareOptions(),
        part=PartOptions(),
        error_maps=Path("maps"),
    )
    steps = compare_files(request)
    assert next(step for step in steps if step.stage == "error maps").done == 1
    assert list(Path("maps").iterdir())
    steps.close()
    assert not Path("maps").exists()


def test_ring_correlation_is_told_in_micrometres(files, capsys):
    assert run("truth.tif", "blurred.tif", "--low", "low.tif", "--frc") == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if re.match(r"bicubic .* µm", line))
    numbers = [float(n) for n in re.findall(r"([\d.]+) µm", row)]
    assert len(numbers) == 3 and min(numbers) > 2 * 1.5
    assert "in the middle slice, Z=1, threshold 0.5" in out
    options = ("truth.tif", "blurred.tif", "same.tif", "--frc", "--frc-threshold", "1/7", "--json")
    assert run(*options) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    curves = [line for line in lines if "frc" in line]
    assert [c["frc"] for c in curves] == ["all", "axial", "lateral"] * 2
    for curve in curves:
        assert curve["unit"] == "micrometer" and curve["threshold"] == pytest.approx(1 / 7)
        assert len(curve["frequency"]) == len(curve["correlation"]) == len(curve["samples"])
    same = curves[3]
    assert same["outcome"] == "above" and same["resolution"] is None
    assert same["correlation"] == pytest.approx([1] * len(same["correlation"]))
    assert lines[0]["frc_all"] == curves[0]["resolution"]


def test_mode_y_and_range_are_what_is_printed(files, capsys):
    colours = [scene((60, 64, 3), seed) for seed in (1, 2)]
    for name, image in zip("ab", colours, strict=True):
        Image.fromarray(image).save(f"{name}.png")
    assert run("a.png", "b.png", "--mode", "y", "--border", 4, "--range", 200) == 0
    out = capsys.readouterr().out
    luma = [16 + (a / 255.0) @ np.array([65.481, 128.553, 24.966]) for a in colours]
    expected = peak_signal_noise_ratio(*(a[4:-4, 4:-4] for a in luma), data_range=200)
    assert "data range 200; mode y; border 4 px" in out and f"{expected:.2f}" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("truth.tif", "nothing to compare"),
        ("truth.tif missing.tif", "missing.tif does not exist"),
        ("truth.tif blurred.tif blurred.tif", "blurred.tif is given twice"),
        ("low.tif truth.tif", "low.tif is 16 x 20 px and truth.tif 64 x 80 px"),
        ("truth.tif blurred.tif --low same.tif", "same.tif is as large as truth.tif"),
        ("truth.tif blurred.tif --slices 1:9", "range 1:9 along Z"),
        ("truth.tif blurred.tif --border x", "'x' is not a number of pixels"),
        ("truth.tif blurred.tif --range 0", "'0' is not a number above 0"),
        ("truth.tif blurred.tif --frc-threshold 1/0", "'1/0' is not a number between 0 and 1"),
        ("truth.tif blurred.tif --csv no/t.csv", "folder no does not exist"),
        ("truth.tif blurred.tif --error-map low.tif", "low.tif is a file"),
        ("truth.tif blurred.tif --mode lab", "invalid choice"),
        ("truth.tif blurred.tif --mode y", "truth.tif is gray, and --mode y takes"),
        ("truth.tif blurred.tif --frc-threshold 1/7", "--frc-threshold needs --frc"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(files, capsys, arguments, said):
    try:
        code = run(*arguments.split())
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert code == 2 and not out
    assert said in err and len(err.splitlines()) == 1


def test_help_names_the_options(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    assert "--error-map" in capsys.readouterr().out


def test_an_input_is_never_replaced(files, capsys, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "same_error.tif").hardlink_to(tmp_path / "truth.tif")
    for arguments in (
        "truth.tif same.tif --csv truth.tif",
        "truth.tif same.tif --csv same.tif",
        "truth.tif same.tif --low low.tif --csv ../" + tmp_path.name + "/low.tif",
        "truth.tif same.tif --error-map maps",
    ):
        assert run(*arguments.split(), "--overwrite") == 2
        assert "is an input; name another output" in capsys.readouterr().err
    assert main(["evaluate", "truth.tif", "--csv", "truth.tif", "--overwrite"]) == 2
    assert "is an input" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_images_too_small_for_rings_are_refused_before_maps_are_written(files, capsys, tmp_path):
    tifffile.imwrite("small.tif", files["truth"][0, :24, :24])
    assert run("small.tif", "small.tif", "--frc", "--error-map", "maps") == 2
    assert "at least 32 x 32 px" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_lpips_sees_the_range_as_black_to_white(files, capsys):
    """The same scene in 8 bits, and in floats elsewhere on their scale, looks the same."""
    torch = pytest.importorskip("torch")
    from napari_srgan.models.lpips import LPIPS

    torch.manual_seed(0)
    torch.save(LPIPS("alex").state_dict(), "alex.pth")
    for name in ("truth", "blurred"):
        floats = files[name].astype(np.float32) * 3 - 700
        tifffile.imwrite(f"{name}-float.tif", floats, metadata={"axes": "ZYX"})
    found = []
    for end in ("", "-float"):
        names = f"truth{end}.tif", f"blurred{end}.tif"
        assert run(*names, "--lpips-weights", "alex.pth", "--json") == 0
        found.append(json.loads(capsys.readouterr().out.splitlines()[0])["lpips_alex"])
    # The least and the largest value of the scene are 0 and 255.
    assert found[0] == pytest.approx(found[1], rel=1e-3)
    assert found[0] > 1e-5
    assert run("truth.tif", "truth.tif", "--lpips-weights", "alex.pth") == 0
    assert "LPIPS Alex" in capsys.readouterr().out


def test_lpips_of_small_images_is_not_defined(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from napari_srgan.models.lpips import LPIPS

    torch.save(LPIPS("alex").state_dict(), tmp_path / "alex.pth")
    tifffile.imwrite(tmp_path / "a.tif", scene((30, 40)), photometric="minisblack")
    weights = tmp_path / "alex.pth"
    assert run(tmp_path / "a.tif", tmp_path / "a.tif", "--lpips-weights", weights) == 0
    assert "LPIPS Alex needs 31 px a side; it is left out" in capsys.readouterr().out
