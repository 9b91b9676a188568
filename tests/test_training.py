"""Training end to end on tiny scans, and the properties that an honest score rests on."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_srgan.degradation import bicubic
from napari_srgan.errors import InputError
from napari_srgan.models import load_model
from napari_srgan.networks.srresnet import SRResNet
from training.initialise import interpolate_at_start
from training.recipe import Recipe, read_recipe
from training.scans import Sampler, find_files, load_scans, split
from training.train_oct import main
from training.validation import validate

ROOT = Path(__file__).parents[1]
TINY = ["--blocks", "1", "--features", "4", "--crop", "32", "--batch", "4", "--seed", "3"]


def picture(seed, height=70, width=90):
    """Smooth blobs: something that a network can learn in a few steps."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width))
    for cy, cx, r in random.uniform((0, 0, 2), (height, width, 8), (25, 3)):
        image += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r * r))
    return (255 * image / image.max()).astype(np.uint8)


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed in range(4):
        tifffile.imwrite(folder / f"eye{seed}.tif", picture(seed))
    return folder


def run(scans, out, *more):
    return main(["--data", str(scans), "--out", str(out), *TINY, *more])


def test_a_training_lowers_the_loss_and_writes_a_model_that_restores(scans, tmp_path, capsys):
    out = tmp_path / "run"
    options = ("--steps", "150", "--learning-rate", "3e-3", "--name", "blobs", "--loss", "l1")
    assert run(scans, out, *options) == 0
    with (out / "metrics.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if not row["set"]]
    assert losses[-1] < 0.9 * losses[0]
    model = load_model(out / "generator.safetensors")
    assert model.card.name == "blobs"
    assert model.card.training["steps_done"] == 150
    assert model.card.validation[0]["images"] == 1
    assert model.network(torch.rand(1, 1, 9, 9)).shape == (1, 1, 36, 36)
    assert "bicubic" in capsys.readouterr().out


def test_a_former_run_is_never_overwritten(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(scans, "run", "--steps", "1") == 0
    before = (tmp_path / "run/generator.safetensors").read_bytes()
    assert run(scans, "run", "--steps", "2") == 2
    assert "former run" in capsys.readouterr().err
    assert (tmp_path / "run/generator.safetensors").read_bytes() == before
    assert main(["--data", str(scans), *TINY, "--steps", "1", "--name", "mine"]) == 0
    assert len(list(tmp_path.glob("runs/mine-*/generator.safetensors"))) == 1


def test_equal_seeds_give_equal_weights(scans, tmp_path):
    weights = []
    for out in ("one", "two"):
        assert run(scans, tmp_path / out, "--steps", "3") == 0
        weights.append(load_model(tmp_path / out / "generator.safetensors").network.state_dict())
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())


def test_the_command_runs_as_a_module(scans, tmp_path):
    command = [sys.executable, "-m", "training.train_oct", "--data", scans, "--out", tmp_path / "r"]
    done = subprocess.run(
        [*map(str, command), *TINY, "--steps", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r/generator.safetensors").is_file()


@pytest.mark.parametrize("flips", ["none", "lateral", "all"])
def test_lr_crops_are_those_of_the_whole_scan(scans, flips):
    """A crop degraded on its own would differ at its edges from a scan that was degraded whole."""
    scan_set = load_scans("eyes", find_files(scans)[:1], 1, 32)
    sampler = Sampler([scan_set], bicubic, scale=4, crop=32, batch=8, flips=flips, seed=0)
    whole = scan_set.scans[0].crop(slice(68), slice(88))[None]
    variants = [whole, whole.flip(3)]
    if flips == "all":
        variants += [v.flip(2) for v in variants]
        variants += [v.transpose(2, 3) for v in variants]
    found = 0
    for lr, hr in (pair for _ in range(20) for pair in zip(*sampler.draw(), strict=True)):
        for image in variants:
            windows = image[0, 0].unfold(0, 32, 4).unfold(1, 32, 4)
            at = (windows == hr[0]).all(-1).all(-1).nonzero()
            if len(at):
                y, x = at[0].tolist()
                expected = bicubic(image, 4)[0, :, y : y + 8, x : x + 8]
                torch.testing.assert_close(lr, expected, rtol=0, atol=1e-6)
                found += 1
    assert found >= 5


def test_b_scans_are_never_turned_upside_down(tmp_path):
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[:, None], 64, axis=1)
    tifffile.imwrite(tmp_path / "ramp.tif", ramp)
    scan_set = load_scans("x", [tmp_path / "ramp.tif"], 1, 32)
    sampler = Sampler([scan_set], bicubic, scale=4, crop=32, batch=64, flips="lateral", seed=0)
    _, hr = sampler.draw()
    assert (hr.diff(dim=2) > 0).all()
    assert (hr.diff(dim=3) == 0).all()


def test_sets_are_drawn_equally_often_whatever_their_size(tmp_path):
    sets = []
    for value, count in ((50, 1), (200, 9)):
        for i in range(count):
            image = np.full((40, 40), value, np.uint8)
            image[0, 0] += 1
            tifffile.imwrite(tmp_path / f"{value}-{i}.tif", image)
        sets.append(load_scans(str(value), sorted(tmp_path.glob(f"{value}-*")), 1, 32))
    sampler = Sampler(sets, bicubic, scale=4, crop=32, batch=400, flips="none", seed=0)
    _, hr = sampler.draw()
    assert 150 < (hr.mean(dim=(1, 2, 3)) < 0.5).sum() < 250


@pytest.mark.parametrize("count", [2, 3, 10, 37])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_a_split_keeps_every_file_on_one_side(count, fraction):
    files = [Path(f"{i:03}.tif") for i in range(count)]
    train, val = split(files, fraction)
    assert sorted(train + val) == files
    assert train
    assert val


def test_a_file_in_both_data_and_val_is_refused(scans, tmp_path, capsys):
    assert run(scans, tmp_path / "run", "--val", str(scans)) == 2
    assert "both" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_single_scan_is_refused_with_the_reason(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "only.tif", picture(0))
    assert run(tmp_path, tmp_path / "run") == 2
    assert "only scan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("flat.tif", np.full((64, 64), 7, np.uint8), "constant"),
        ("small.tif", picture(0, 20, 64), "smaller"),
        ("holes.tif", np.where(picture(0) > 200, np.nan, 1).astype(np.float32), "NaN"),
    ],
)
def test_scans_that_cannot_teach_are_named(scans, tmp_path, capsys, name, content, message):
    tifffile.imwrite(scans / name, content)
    assert run(scans, tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert name in error
    assert message in error


def test_a_folder_without_scans_is_refused(tmp_path, capsys):
    assert run(tmp_path, tmp_path / "run") == 2
    assert "no scans" in capsys.readouterr().err
    assert run(tmp_path / "absent", tmp_path / "run") == 2
    assert "no folder" in capsys.readouterr().err


def test_an_empty_slice_does_not_make_the_score_infinite(tmp_path):
    stack = np.stack([picture(0), np.zeros_like(picture(0))])
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    scans = load_scans("x", [tmp_path / "stack.tif"], 1, 32)
    (row,) = validate(SRResNet(blocks=1, features=4), [scans], "bicubic")
    assert row["images"] == 1
    assert np.isfinite([row["psnr"], row["psnr_bicubic"]]).all()


def test_a_run_folder_that_cannot_be_made_is_one_sentence(scans, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(scans, tmp_path / "file", "--steps", "1") == 2
    assert "cannot be made" in capsys.readouterr().err


def test_ctrl_c_ends_a_training_with_a_sentence(scans, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.train_oct.train", interrupted)
    assert run(scans, tmp_path / "run") == 130
    assert "Stopped" in capsys.readouterr().err


def test_16_bit_scans_are_trained_on_over_their_own_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(0).astype(np.uint16) * 16)
    scan = load_scans("x", [tmp_path / "a.tif"], 1, 32).scans[0]
    assert scan.pixels.dtype == np.uint16
    assert scan.crop().max() > 0.99


def test_colour_is_turned_to_gray_and_gray_cannot_teach_colour(tmp_path):
    colour = np.zeros((40, 40, 3), np.uint8)
    colour[..., 1] = picture(0, 40, 40)
    tifffile.imwrite(tmp_path / "c.tif", colour, photometric="rgb")
    gray = load_scans("x", [tmp_path / "c.tif"], 1, 32).scans[0]
    np.testing.assert_allclose(gray.pixels, colour[..., 1] * 0.587, atol=0.51)
    tifffile.imwrite(tmp_path / "g.tif", picture(0, 40, 40))
    with pytest.raises(InputError, match="grayscale"):
        load_scans("x", [tmp_path / "g.tif"], 3, 32)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop", 30),
        ("scale", 3),
        ("loss", "l7"),
        ("steps", 0),
        ("learning_rate", -1.0),
        ("steps", "100"),
        ("steps", 1.5),
        ("batch_norm", "no"),
        ("trained_on", "abc"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(field, value):
    with pytest.raises(InputError, match=field):
        Recipe(**{field: value})


def test_a_recipe_file_sets_fields_and_the_command_line_wins(scans, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('name = "from-file"\nsteps = 1\n')
    assert run(scans, tmp_path / "run", "--recipe", str(recipe), "--steps", "2") == 0
    card = load_model(tmp_path / "run/generator.safetensors").card
    assert (card.name, card.training["steps"]) == ("from-file", 2)
    recipe.write_text("stepps = 1\n")
    with pytest.raises(InputError, match="stepps"):
        read_recipe(recipe)


@pytest.mark.parametrize("path", sorted((ROOT / "training/recipes").glob("*.toml")), ids=str)
def test_the_recipes_of_bundled_models_are_those_in_their_cards(path):
    recipe = Recipe(**read_recipe(path))
    assert recipe.name == path.stem
    card = load_model(recipe.name).card
    assert dict(card.parameters) == recipe.network_parameters
    assert card.training["steps_done"] == recipe.steps
    assert tuple(card.trained_on) == recipe.trained_on


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_training_starts_from_interpolation(scale, channels, batch_norm):
    """Away from the border the untrained network puts a smooth image where it belongs."""
    torch.manual_seed(0)
    network = SRResNet(channels, 2, 8, scale, batch_norm).eval()
    interpolate_at_start(network)
    y, x = torch.meshgrid(*[torch.arange(32 * scale) / scale] * 2, indexing="ij")
    hr = torch.stack([0.5 + 0.3 * torch.sin((y + x + c) / 4) for c in range(channels)])[None]
    with torch.inference_mode():
        sr = network(bicubic(hr, scale))
    inner = (..., slice(8 * scale, -8 * scale), slice(8 * scale, -8 * scale))
    torch.testing.assert_close(sr[inner], hr[inner], rtol=0, atol=0.01)


def test_every_feature_learns_from_the_second_step_on():
    torch.manual_seed(0)
    network = SRResNet(1, 2, 8, 4)
    interpolate_at_start(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        (network(torch.rand(2, 1, 12, 12)) - torch.rand(2, 1, 48, 48)).square().mean().backward()
        optimiser.step()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias right before batch norm would be removed by it; there is none in this network.
    assert still == []
