"""Recipes: presets, files, options, what is refused, and what holds at a step."""

import os
from pathlib import Path

import pytest

from napari_srgan.errors import InputError
from napari_srgan.models.catalogue import load_model
from training.command_line import parser
from training.presets import PRESETS, compose, read_recipe
from training.recipe import Recipe
from training.timetable import Timetable, timetable

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop", (30,)),
        ("crop", (96, 30)),
        ("crop", 96),
        ("scale", 5),
        ("pixel_loss", "l7"),
        ("pretrain_steps", -1),
        ("pretrain_steps", "100"),
        ("pretrain_steps", 1.5),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("batch_norm", "no"),
        ("trained_on", "abc"),
        ("rotation", 6.0),
        ("betas", (0.9,)),
        ("betas", (0.9, 1.0)),
        ("ema", 1.0),
        ("content", "vgg99"),
        ("val_fraction", 1.0),
        ("learning_rate", float("inf")),
        ("crop", ()),
        ("seed", 2**64),
        ("blur", (3.0, 1.0)),
        ("name", "my retina"),
        ("name", "auto"),
        ("name", ""),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(field, value):
    with pytest.raises(InputError, match=field):
        Recipe(**{field: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pretrain_steps": 0, "adversarial_steps": 0}, "nothing to train"),
        ({"discriminator": "dense", "crop": (64, 96)}, "one crop size"),
        ({"content_weight": 0.0}, "tie the result"),
        ({"scale": 2, "crop": (16,)}, "halves crops"),
        ({"lateral": True}, "--generator plain"),
    ],
)
def test_contradictions_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Recipe(**values)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_recipes(name):
    recipe = compose(name, {})
    assert recipe.scale == 4
    assert set(PRESETS[name]) <= set(recipe.to_dict())


def test_the_paper_preset_has_the_papers_values():
    """Ledig et al., arXiv 1609.04802v5, section 3.2, as a reader of the paper would list them."""
    r = compose("paper", {})
    assert (r.blocks, r.features, r.batch_norm, r.generator) == (16, 64, True, "srresnet")
    assert (r.batch, r.crop, r.betas[0], r.degradation) == (16, (96,), 0.9, "bicubic")
    assert (r.pixel_loss, r.pretrain_steps, r.learning_rate) == ("mse", 10**6, 1e-4)
    assert (r.adversarial, r.content, r.before_activation) == ("bce", "vgg54", False)
    assert (r.content_weight, r.adversarial_weight, r.pixel_weight) == (0.006, 1e-3, 0)
    times = timetable(r, pixels=10**6)
    rates = [times.learning_rate(10**6 + s) for s in (1, 100_000, 100_001, 200_000)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    assert times.total == 1_200_000


def test_a_file_goes_over_the_preset_and_options_over_both(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('name = "from-file"\nblocks = 3\ncrop = 64\nbetas = [0.5, 0.9]\n')
    recipe = compose("quick", read_recipe(path) | {"blocks": 5})
    assert (recipe.name, recipe.blocks, recipe.crop) == ("from-file", 5, (64,))
    assert recipe.betas == (0.5, 0.9)
    assert recipe.features == PRESETS["quick"]["features"]
    path.write_text("stepps = 1\n")
    with pytest.raises(InputError, match="stepps"):
        read_recipe(path)
    path.write_text("steps = = 1\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(path)


@pytest.mark.parametrize(
    "text",
    [
        f"crop = {'[' * 50_000}",
        "crop = " + "{a=" * 5000,
        "a." * 20_000 + "b = 1",
        "crop = [[[[64]]]]",
        'purpose = "\\u001b[31m"',
        f"trained_on = ['{'a' * 30_000}']",
        f"{'a' * 3000} = 1",
        f"generator = '{'a' * 3000}'",
        "seed = " + "9" * 3000,
        "seed = 1979-05-27",
        "blocks = 1000000",
        "features = 1000000000",
        'name = ["x"]',
    ],
)
def test_a_hostile_recipe_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        compose("quick", read_recipe(path))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_recipe_that_is_a_pipe_or_never_ends_is_refused(tmp_path):
    pipe, large = tmp_path / "pipe.toml", tmp_path / "large.toml"
    os.mkfifo(pipe)
    large.write_bytes(b"#" * (2**23 + 1))
    for path in (pipe, large):
        with pytest.raises(InputError, match=path.name):
            read_recipe(path)


def test_every_field_is_an_option():
    text = parser().format_help()
    for name in Recipe().to_dict():
        assert f"--{name.replace('_', '-')}" in text
    options = parser().parse_args(["--crop", "64", "128", "--no-batch-norm", "--ema", "0"])
    assert (options.crop, options.batch_norm, options.ema) == ([64, 128], False, 0.0)


@pytest.mark.parametrize("path", sorted((ROOT / "training/recipes").glob("*.toml")), ids=str)
def test_the_recipes_of_bundled_models_are_those_in_their_cards(path):
    recipe = Recipe(**read_recipe(path))
    assert recipe.name == path.stem
    card = load_model(recipe.name).card
    # What a card does not name came later, and is as it always was.
    own = recipe.network_parameters
    later = {k: getattr(Recipe(), k) for k in own if k not in card.parameters}
    assert {**later, **card.parameters} == own
    assert card.training["steps_done"] == recipe.pretrain_steps + recipe.adversarial_steps
    assert tuple(card.trained_on) == recipe.trained_on


def test_crops_grow_within_each_phase():
    recipe = Recipe(channels=1, crop=(32, 64, 96), discriminator="pool")
    times = Timetable(recipe, pretrain=30, adversarial=9)
    assert [times.crop(s) for s in (1, 10, 11, 20, 21, 30)] == [32, 32, 64, 64, 96, 96]
    assert [times.crop(s) for s in (31, 33, 34, 37, 39)] == [32, 32, 64, 96, 96]


def test_an_epoch_covers_the_scans_once():
    recipe = Recipe(channels=1, pretrain_epochs=2.0, adversarial_epochs=0.5, crop=(96,), batch=16)
    times = timetable(recipe, pixels=10 * 96 * 96 * 16)
    assert (times.pretrain, times.adversarial) == (20, 5)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_rates_rise_first_and_never_exceed_what_was_asked_for(schedule):
    recipe = Recipe(channels=1, schedule=schedule, learning_rate=1e-3, warmup=10)
    times = Timetable(recipe, pretrain=100, adversarial=0)
    rates = [times.learning_rate(s) for s in range(1, 101)]
    assert rates[0] == pytest.approx(1e-4, rel=0.01)
    assert max(rates) <= 1e-3
    assert min(rates) > 0
    assert rates[:9] == sorted(rates[:9])
    ends = {"constant": 1e-3, "step": 1e-4, "cosine": 2.5e-7}
    assert rates[-1] == pytest.approx(ends[schedule], rel=0.05)
