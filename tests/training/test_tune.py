"""Tuning: it finds what was planted, goes on after a kill, and is shared by processes."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import partial

import optuna
import pytest
from small_scans import TINY, write_scans

from napari_srgan.errors import InputError
from training import loop
from training.presets import read_recipe
from training.recipe import Recipe
from training.runs import RunFolder
from training.space import Choices, Range, names, read_space
from training.train_oct import main

STEPS = ["--pretrain-steps", "8", "--adversarial-steps", "0", "--validate-every", "4"]


@pytest.fixture
def scans(tmp_path):
    return write_scans(tmp_path / "scans")


def tune(scans, out, trials, *more):
    """Run the command."""
    arguments = ["--data", scans, "--out", out, "--tune", trials, *TINY, *STEPS, *more]
    return main([str(a) for a in arguments])


def space(tmp_path, text):
    path = tmp_path / "space.toml"
    path.write_text(text)
    return path


def trials(out):
    storage = f"sqlite:///{out / 'study.sqlite'}"
    return optuna.load_study(study_name="tuning", storage=storage).trials


def test_it_finds_the_better_half_of_a_planted_space(scans, tmp_path, capsys, monkeypatch):
    """Noise for first weights, or an interpolation: 8 steps do not make up for the noise."""
    seeded = partial(optuna.samplers.TPESampler, seed=0)  # which proposes both
    monkeypatch.setattr(optuna.samplers, "TPESampler", seeded)
    planted = space(tmp_path, '[initialisation]\nchoices = ["torch", "interpolate"]\n')
    out = tmp_path / "tuning"
    assert tune(scans, out, 4, "--space", planted) == 0
    told = capsys.readouterr().out
    assert told.count("trial ") >= 4 and "best.toml" in told
    best = tomllib.loads((out / "best.toml").read_text())
    assert best["initialisation"] == "interpolate"
    # It is a recipe, and the options of the command are in it.
    assert Recipe(**{k: tuple(v) if isinstance(v, list) else v for k, v in best.items()})
    assert best["pretrain_steps"] == 8
    made = trials(out)
    by_start = {t.params["initialisation"]: t.value for t in made if t.value is not None}
    assert len(made) == 4 and len(by_start) == 2
    assert by_start['"interpolate"'] > by_start['"torch"']
    assert (out / "tuning.png").read_bytes()[:4] == b"\x89PNG"
    assert {p.name for p in (out / "trials").iterdir()} == {f"000{i}" for i in range(1, 5)}


def test_the_best_recipe_is_whole_without_the_preset_of_the_trials(scans, tmp_path, capsys):
    out = tmp_path / "tuning"
    few = ["--pretrain-steps", "4", "--adversarial-steps", "0", "--validate-every", "4"]
    small = ["--blocks", "1", "--features", "4", "--crop", "32", "--batch", "4"]
    command = ["--data", scans, "--out", out, "--preset", "quick", "--tune", 1, *small, *few]
    assert main([str(a) for a in (*command, "--space", "rates")]) == 0
    assert "--pretrain-steps N" in capsys.readouterr().out
    best = read_recipe(out / "best.toml")
    trained = RunFolder(out / "trials" / "0001").recipe
    assert best["warmup"] == 50, "the preset's"
    assert Recipe(**best) == replace(trained, channels=0)


def test_a_tuning_that_was_killed_goes_on_and_another_one_is_refused(
    scans, tmp_path, monkeypatch, capsys
):
    class Killed(BaseException):
        pass

    out, searched = tmp_path / "tuning", ["--space", "rates"]
    honest, seen = loop._take, []

    def take(*arguments):
        seen.append(1)
        if len(seen) == 11:  # in the second trial
            raise Killed
        return honest(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "_take", take)
        tune(scans, out, 3, *searched)
    assert tune(scans, out, 1, *searched) == 0
    made = trials(out)
    assert [t.number for t in made] == [0, 1, 2]
    assert [t.value is not None for t in made] == [True, False, True]
    capsys.readouterr()
    assert tune(scans, out, 1, "--space", "losses") == 2
    assert "another space" in capsys.readouterr().err
    assert tune(scans, out, 1, *searched, "--batch", "1") == 2
    assert "another recipe" in capsys.readouterr().err


def test_two_processes_share_one_tuning(scans, tmp_path):
    out = tmp_path / "tuning"
    arguments = ["--data", scans, "--out", out, "--tune", 1, *TINY, *STEPS, "--space", "network"]
    command = [sys.executable, "-m", "training.train_oct", *map(str, arguments)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    for process in both:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said
    made = trials(out)
    assert [t.number for t in made] == [0, 1]
    assert all((out / "trials" / f"{n:04d}" / "recipe.json").exists() for n in (1, 2))


def test_a_mistake_of_the_first_trial_ends_it(tmp_path, capsys):
    assert tune(tmp_path / "nothing", tmp_path / "tuning", 3) == 2
    assert "nothing" in capsys.readouterr().err


def test_without_optuna_the_sentence_says_how_to_install_it(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert tune(scans, tmp_path / "tuning", 1) == 2
    assert "napari-srgan[tune]" in capsys.readouterr().err


def test_the_spaces_that_come_with_the_program_fit_the_default_recipe():
    assert {"rates", "losses", "augmentation", "adversary", "network"} == set(names())
    found = read_space(names(), Recipe())
    assert found["learning_rate"] == Range(3e-5, 2e-3, log=True)
    assert found["discriminator"] == Choices(("pool", "unet"))
    assert isinstance(found["blocks"].low, int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[learning_rat]\nlow = 1\nhigh = 2", "learning_rate"),
        ("[learning_rate]\nlow = 1", "low and high"),
        ("[learning_rate]\nlow = 2.0\nhigh = 1.0", "low below high"),
        ("[learning_rate]\nlow = 0.0\nhigh = 1.0\nlog = true", "above 0"),
        ("[learning_rate]\nlow = -1.0\nhigh = 1.0", "learning_rate"),
        ("[blocks]\nlow = 1.5\nhigh = 4", "int"),
        ("[pixel_loss]\nlow = 1\nhigh = 4", "no number"),
        ("[pixel_loss]\nchoices = []", "choices"),
        ('[pixel_loss]\nchoices = ["l7"]', "pixel_loss"),
        ("[seed]\nlow = 1\nhigh = 4", "seed"),
        ("learning_rate = 3", "learning_rate"),
        ("", "nothing to tune"),
        ("[", "cannot be read"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_space([str(space(tmp_path, text))], Recipe())


def test_a_space_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="did you mean rates"):
        read_space(["rate"], Recipe())
