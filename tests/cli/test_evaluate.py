"""`evaluate`: the figures against independent computations, and the command as it is typed."""

import csv
import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.cli import main
from napari_srgan.image.degradation import degradation


def run(*arguments, model="tiny-gray"):
    return main(["evaluate", *map(str, arguments), "--model", str(model), "--device", "cpu"])


def blobs(seed, shape=(70, 90)):
    """A smooth uint8 image with something to see in it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for cy, cx, r in random.uniform((0, 0, 2), (*shape, 8), (25, 3)):
        image += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r * r))
    return (255 * image / image.max()).astype(np.uint8)


@pytest.fixture
def images(tmp_path, tiny_models, monkeypatch):
    """A folder of two gray files, one of them in a folder below; the current folder is above."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hr" / "left").mkdir(parents=True)
    Image.fromarray(blobs(0)).save(tmp_path / "hr" / "a.png")
    tifffile.imwrite(tmp_path / "hr" / "left" / "b.tif", blobs(1), photometric="minisblack")
    return tmp_path / "hr"


# The command.


def test_the_table_has_a_row_a_file_and_the_mean(images, capsys):
    assert run(images) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert "protocol data" in lines[0] and "bicubic" in lines[0] and "tiny-gray" in lines[0]
    rows = [re.split(r" {2,}", line) for line in lines[4:]]
    assert [row[0] for row in rows] == ["a.png", "left/b.tif", "mean of 2 images"]
    figures = np.array([[float(cell) for cell in row[1:]] for row in rows])
    assert figures.shape == (3, 5)
    np.testing.assert_allclose(figures[2], figures[:2].mean(0), atol=0.0051)
    np.testing.assert_allclose(figures[:, 2], figures[:, 0] - figures[:, 1], atol=0.011)
    assert shown.err == "", "no progress bar where standard error is no terminal"


def test_json_has_a_line_a_file_and_the_mean(images, capsys):
    stack = np.stack([blobs(5), blobs(6)])
    tifffile.imwrite(
        images / "stack.tif", stack, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    assert run(images, "--json", "--csv", "figures.csv") == 0
    *files, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [f["image"] for f in files] == ["a.png", "left/b.tif", "stack.tif"]
    assert [f["planes"] for f in files] == [1, 1, 2]
    assert {f["model"] for f in files} == {"tiny-gray"}
    for key in ("psnr", "psnr_bicubic", "ssim", "ssim_bicubic", "mse", "mae_bicubic"):
        assert last["mean"][key] == pytest.approx(np.mean([f[key] for f in files]))
    assert (last["mean"]["images"], last["failed"]) == (3, 0)
    rows = list(csv.DictReader(open("figures.csv")))  # noqa: PTH123, SIM115
    assert [float(r["psnr"]) for r in rows] == [f["psnr"] for f in files]


def test_what_is_measured_is_what_the_engine_gives(images, capsys):
    """The figure of the command equals one made by hand with `upscale` on the degraded file."""
    import napari_srgan
    from napari_srgan.image.degradation import aligned_pair
    from napari_srgan.measure.metrics import psnr

    torch = pytest.importorskip("torch")
    assert run("hr/a.png", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    hr = blobs(0)[:68, :88].astype(np.float32) / 255
    lr, _ = aligned_pair(
        degradation("bicubic"), torch.tensor(hr)[None, None], (4, 4), np.random.default_rng(0)
    )
    result = napari_srgan.upscale(lr[0, 0].numpy(), "tiny-gray", intensity="0:1", device="cpu")
    assert told["psnr"] == pytest.approx(psnr(hr, np.clip(result.data, 0, 1), 1.0), abs=1e-6)


def test_decimate_twice_gives_the_same_figures(images, capsys):
    told = []
    for _ in range(2):
        assert run(images, "--degradation", "decimate", "--json") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert json.loads(told[0].splitlines()[0])["degradation"] == "decimate"


def test_the_ranges_of_blur_noise_are_heard_and_told(images, capsys):
    typed = ("--degradation", "blur-noise", "--blur", "0", "0", "--speckle", "0", "0")
    noisy = []
    for noise in ("0", "0.2"):
        assert run(images, *typed, "--noise", noise, noise) == 0
        head, *_, mean = capsys.readouterr().out.splitlines()
        assert f"noise {noise} to {noise}" in head
        noisy.append(float(re.split(r" {2,}", mean)[2]))
    assert noisy[0] > noisy[1] + 5


def test_a_gray_model_takes_rgb_as_gray_and_an_rgb_model_no_gray(images, capsys):
    Image.fromarray(np.stack([blobs(s) for s in range(3)], -1)).save(images / "colour.png")
    assert run(images) == 0
    assert "colour.png" in capsys.readouterr().out
    assert run(images, "--protocol", "paper", model="tiny-rgb") == 2
    shown = capsys.readouterr()
    assert "a.png is grayscale, but the model tiny-rgb takes RGB" in shown.err
    assert "left/b.tif is grayscale" in shown.err
    assert "colour.png" in shown.out and "mean of 1 image" in shown.out
    assert run(images, "--json", model="auto") == 0
    told = [json.loads(line).get("model") for line in capsys.readouterr().out.splitlines()]
    assert told == ["srresnet-gray", "srresnet-rgb", "srresnet-gray", None]


def test_files_that_cannot_be_used_are_named_and_the_others_measured(images, capsys):
    (images / "broken.tif").write_bytes(b"no image")
    hole = blobs(4).astype(np.float32)
    hole[3, 5] = np.nan
    np.save(images / "hole.npy", hole)
    Image.fromarray(blobs(2)[:30]).save(images / "small.png")
    assert run(images, "missing.tif", "--json") == 2
    shown = capsys.readouterr()
    *files, last = (json.loads(line) for line in shown.out.splitlines())
    failed = {f["image"]: f["error"] for f in files if "error" in f}
    assert set(failed) == {"broken.tif", "hole.npy", "small.png", "missing.tif"}
    assert "NaN" in failed["hole.npy"] and "32 x 32" in failed["small.png"]
    assert all(name in shown.err for name in failed)
    assert shown.err.count("\n") == 4
    assert (last["failed"], last["mean"]["images"]) == (4, 2)


def test_a_constant_image_is_shown_but_left_out_of_the_mean(images, capsys):
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(images / "flat.png")
    for protocol in ("data", "paper"):
        assert run(images, "--protocol", protocol) == 0
        text = capsys.readouterr().out
        assert "flat.png (left out)" in text and "mean of 2 images" in text
        assert text.splitlines()[-1].endswith(": 1.")
    assert run(images / "flat.png", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["mean"]["left_out"] == 1


def test_the_paper_protocol_is_for_bytes(images, capsys):
    np.save(images / "deep.npy", blobs(0).astype(np.uint16))
    assert run(images, "--protocol", "paper") == 2
    shown = capsys.readouterr()
    assert "deep.npy is of the type uint16" in shown.err
    assert "mean of 2 images" in shown.out and "MATLAB" in shown.out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["empty"], "empty holds no images"),
        (["hr", "--protocol", "paper", "--degradation", "area"], "area has no meaning in"),
        (["hr", "--protocol", "paper", "--intensity", "0:9"], "--intensity"),
        (["hr", "--degradation", "smear"], "no degradation 'smear'"),
        (["hr", "--blur", "1", "2"], "bicubic has no blur"),
        (["hr", "--degradation", "blur-noise", "--blur", "3", "2"], "range of blur"),
        (["hr", "--csv", "there.csv"], "there.csv exists"),
        (["hr", "--csv", "no/there.csv"], "folder no does not exist"),
        (["hr", "--vgg-weights", "none.pth"], "none.pth"),
        (["hr", "--device", "abacus"], "abacus"),
        (["hr", "--model", "nobody"], "no model 'nobody'"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(images, typed, said, capsys):
    (images.parent / "empty").mkdir()
    (images.parent / "there.csv").write_text("mine\n")
    assert main(["evaluate", "--model", "tiny-gray", *typed]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1
    assert shown.out == ""
    assert (images.parent / "there.csv").read_text() == "mine\n"


def test_a_model_of_measured_pairs_needs_a_degradation(images, capsys, tmp_path):
    from dataclasses import replace

    from napari_srgan.models.catalogue import load_model, save_model

    model = load_model("tiny-gray")
    card = replace(model.card, name="pairs", degradation="measured")
    path = save_model(tmp_path / "pairs.safetensors", model.network, card)
    assert run(images, model=path) == 2
    assert "measured pairs" in capsys.readouterr().err
    assert run(images, "--degradation", "area", model=path) == 0
    trained = {"blur": [1, 1], "speckle": [0, 0], "noise": [0, 0.5]}
    card = replace(model.card, name="noisy", degradation="blur-noise", training=trained)
    path = save_model(tmp_path / "noisy.safetensors", model.network, card)
    capsys.readouterr()
    assert run(images, "--noise", "0", "0.25", "--json", model=path) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert [told[key] for key in trained] == [[1, 1], [0, 0], [0, 0.25]]


def test_vgg_weights_add_columns_for_the_layers_that_the_file_reaches(images, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from napari_srgan.models.vgg import VGGFeatures

    torch.manual_seed(0)
    torch.save(VGGFeatures("vgg34").state_dict(), tmp_path / "vgg.pth")
    assert run(images, "--vgg-weights", "vgg.pth") == 0
    head = capsys.readouterr().out.splitlines()[2].split()
    assert head[-4:] == ["VGG22", "bicubic", "VGG34", "bicubic"]


def test_lpips_weights_add_the_measure_of_their_network(images, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from napari_srgan.models.lpips import LPIPS

    torch.manual_seed(0)
    torch.save(LPIPS("alex").state_dict(), tmp_path / "alex.pth")
    assert run(images, "--lpips-weights", "alex.pth", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 0 < told[0]["lpips_alex"] != told[0]["lpips_alex_bicubic"] > 0
    assert "lpips_alex" in told[-1]["mean"]
    assert run(images, "--lpips", "vgg", "--lpips-weights", "alex.pth") == 2
    assert "another network than VGG16" in capsys.readouterr().err
