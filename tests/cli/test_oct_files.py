"""Files of OCT instruments on the command line and by `upscale`; nobody is named in the results."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from oct_files import PATIENT, b_scans, write_heyex, write_vol

from napari_srgan import upscale
from napari_srgan.cli import main
from napari_srgan.image.acquisition import Acquisition
from napari_srgan.io.open import open_stack


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return main([*map(str, arguments), "--device", "cpu"])


@pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".zarr", ".nii"])
def test_a_vol_becomes_an_image_that_keeps_where_it_was_taken(ending, capsys):
    write_vol("Roentgen_Wilhelmine.vol", b_scans(3, 16, 20))
    target = Path(f"out{ending}")
    assert run("upscale", "Roentgen_Wilhelmine.vol", target, "--slices", "1:3") == 0
    stack = open_stack(target)
    assert stack.shape == (2, 64, 80)
    millimetres = [
        v * (1 if u == "millimeter" else 1e-3)
        for v, u in zip(stack.scale, stack.units, strict=True)
    ]
    np.testing.assert_allclose(millimetres, (0.12, 0.000968, 0.00295), rtol=1e-5)
    taken = Acquisition.of(stack.metadata)
    assert (taken.laterality, taken.pattern) == ("OD", "volume")
    assert taken.lines == ((1.0, 0.125, 5.0, 0.125), (1.0, 0.25, 5.0, 0.25))
    record = stack.metadata["napari_srgan"]
    assert record["transform"] == "power:0.25"
    files = [p for p in target.rglob("*") if p.is_file()] if target.is_dir() else [target]
    for file in files:
        content = file.read_bytes()
        assert not any(name.encode() in content for name in PATIENT), file


def test_imagej_and_ome_read_the_spacing_of_the_result():
    write_vol("a.vol", b_scans(3, 16, 20))
    assert run("upscale", "a.vol", "out.tif") == 0
    assert run("upscale", "a.vol", "out.ome.tif") == 0
    with tifffile.TiffFile("out.tif") as tif:
        said = tif.imagej_metadata
        per_unit = tif.pages.first.tags["XResolution"].value
        assert said["unit"] in ("um", "\\u00B5m")
        assert said["spacing"] == pytest.approx(120.0)
        assert per_unit[1] / per_unit[0] == pytest.approx(2.95, rel=1e-5)
    with tifffile.TiffFile("out.ome.tif") as tif:
        assert 'PhysicalSizeZ="120.0"' in tif.ome_metadata
        assert 'PhysicalSizeXUnit="µm"' in tif.ome_metadata


def test_a_batch_of_vol_files_names_nobody(capsys):
    write_vol("Roentgen_Wilhelmine.vol", b_scans(2, 16, 20))
    write_vol("PAT-4711.vol", b_scans(2, 16, 20, seed=1))
    Path("PAT-4711.vol").write_bytes(Path("PAT-4711.vol").read_bytes()[:3000])
    assert run("upscale", "*.vol", "--out-dir", "out") == 2
    made = sorted(p.name for p in Path("out").iterdir())
    assert len(made) == 2 and made[0].startswith("scan-")
    for path in Path("out").iterdir():
        assert not any(name.encode() in path.read_bytes() for name in PATIENT)


def test_another_image_of_a_file_by_its_number(capsys):
    write_vol("a.vol", b_scans(2, 16, 20))
    assert run("upscale", "a.vol", "slo.tif", "--series", 1, "--json") == 0
    assert open_stack("slo.tif").shape == (48, 64)
    assert run("upscale", "a.vol", "none.tif", "--series", 2) == 2
    assert "(0: OCT, 1: SLO)" in capsys.readouterr().err


def test_python_takes_a_file_of_an_instrument():
    write_vol("a.vol", b_scans(2, 16, 20))
    result = upscale("a.vol", device="cpu")
    assert result.plan.intensity.transform == "power:0.25"
    assert Acquisition.of(result.metadata).laterality == "OD"
    path, _ = write_heyex(".", (b_scans(2, 16, 20) * 255).astype(np.uint8))
    result = upscale(path, device="cpu")
    assert (result.data.shape, json.dumps(result.metadata).count("Roentgen")) == ((2, 64, 80), 0)


def test_pixels_without_a_value_are_refused_and_mended():
    scans = b_scans(2, 16, 20)
    scans[0, :3, :3] = np.finfo(np.float32).max
    write_vol("a.vol", scans)
    assert run("upscale", "a.vol", "out.tif") == 2
    assert run("upscale", "a.vol", "out.tif", "--nan", "fill") == 0
    assert np.isnan(open_stack("out.tif").data[0, 0, 0])


def test_an_input_is_not_written_over():
    path, _ = write_heyex(".", (b_scans(2, 16, 20) * 255).astype(np.uint8))
    assert run("upscale", path, "B1.tif", "--overwrite") == 2
    assert tifffile.imread("B1.tif").shape == (16, 20)


def test_what_a_name_does_not_show_is_hidden_too(capsys):
    """A renamed file, a list and a folder are of the clinic by their content."""
    write_vol("Roentgen.bin", b_scans(2, 16, 20))
    Path("Wilhelmine").mkdir()
    path, _ = write_heyex("Wilhelmine", (b_scans(2, 16, 20) * 255).astype(np.uint8))
    path.rename("Wilhelmine/Roentgen.xml")
    inputs = ["Roentgen.bin", "Wilhelmine/Roentgen.xml"]
    assert run("upscale", *inputs, "--out-dir", "out") == 0
    assert len(list(Path("out").glob("scan-*.tif"))) == 2
    for made in Path("out").iterdir():
        assert not any(who.encode() in made.read_bytes() for who in PATIENT), made
