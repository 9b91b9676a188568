"""Runs that are watched, stopped and compared from outside; the best model; early ends; folds."""

import csv
import json

import numpy as np
import pytest
import torch
from small_scans import TINY, write_scans

import training
from napari_srgan.cli import main as napari_srgan
from napari_srgan.errors import InputError
from napari_srgan.io.lock import FileLock
from napari_srgan.models.catalogue import load_model
from training import loop
from training.log import scores_by
from training.monitor import Monitor
from training.presets import compose
from training.recipe import Recipe
from training.runs import RunFolder
from training.split import Volume, split
from training.train_oct import main

SMALL = {
    "blocks": 1,
    "features": 4,
    "crop": (32,),
    "batch": 4,
    "warmup": 0,
    "val_planes": 2,
    "discriminator_features": 2,
    "content": "none",
    "pretrain_steps": 4,
    "adversarial_steps": 0,
}


def run(scans, out, *more):
    return main(["--data", str(scans), "--out", str(out), *TINY, *map(str, more)])


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    for drawn in ("draw_curves", "draw_previews"):
        monkeypatch.setattr(f"training.outputs.{drawn}", lambda *_, **__: {})


# One call from Python


def test_one_call_trains_and_tells(scans, tmp_path):
    told = []
    made = training.train(
        SMALL | {"name": "mine"}, scans, out=tmp_path / "run", progress=told.append
    )
    assert made.finished and made.folder == tmp_path / "run"
    assert load_model(made.model).card.name == "mine"
    assert made.scores[0]["set"] == "scans" and made.scores[0]["psnr"] > 0
    assert {"data", "start", "step", "validation", "done"} <= {event["event"] for event in told}
    json.dumps(told, allow_nan=False)


def test_a_call_that_is_stopped_is_resumed_to_the_same_weights(scans, tmp_path):
    whole = training.train(Recipe(**SMALL), scans, out=tmp_path / "whole", device="cpu")
    asked = iter([False, True])
    half = training.train(
        SMALL, scans, out=tmp_path / "half", stop=lambda: next(asked), device="cpu"
    )
    assert not half.finished and half.scores == [] and half.model.is_file()
    rest = training.resume(tmp_path / "half")
    assert rest.finished
    one, other = (load_model(made.model).network.state_dict() for made in (whole, rest))
    assert all(torch.equal(one[key], other[key]) for key in one)
    with pytest.raises(InputError, match="--blocks cannot be set"):
        training.resume(tmp_path / "half", blocks=2)


def test_a_recipe_is_a_preset_a_file_or_fields(tmp_path):
    from training.api import _composed

    (tmp_path / "r.toml").write_text("blocks = 3\ncrop = 64\n")
    fine = compose("default", {"blocks": 3, "crop": (64,)})
    assert _composed(tmp_path / "r.toml") == (fine, {"blocks": 3, "crop": (64,)})
    assert _composed({"blocks": 3, "crop": [64]}) == (fine, {"blocks": 3, "crop": (64,)})
    assert _composed(fine) == (fine, {"blocks": 3, "crop": (64,)})
    assert _composed("quick") == (compose("quick", {}), {})


def test_napari_srgan_train_is_the_command(scans, tmp_path, capsys):
    words = ["--data", str(scans), "--out", str(tmp_path / "run"), *TINY, "--pretrain-steps", "1"]
    assert napari_srgan(["train", *words]) == 0
    assert "The model is" in capsys.readouterr().out
    assert napari_srgan(["train", *words]) == 2  # the folder is taken
    assert "holds a former run" in capsys.readouterr().err


def test_without_what_training_needs_it_says_what_to_install(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.hardware._NEEDED", ("a_module_that_is_not_there",))
    assert run(scans, tmp_path / "run", "--pretrain-steps", 1) == 2
    assert 'pip install "napari-srgan[train]"' in capsys.readouterr().err


# From outside


def test_a_file_in_the_folder_stops_a_training(scans, tmp_path, monkeypatch, capsys):
    folder = RunFolder(tmp_path / "run")
    states = []

    def ask(run, step, lr, hr, take=loop._take):
        states.append(folder.is_trained_in)
        if step == 2:
            folder.ask_to_stop()
        return take(run, step, lr, hr)

    monkeypatch.setattr(loop, "_take", ask)
    assert run(scans, folder.path, "--pretrain-steps", 50) != 0
    assert states == [True, True] and not folder.is_trained_in
    assert "Stopped after step 2" in capsys.readouterr().out
    seen = folder.look()
    assert (seen.state, seen.step, seen.steps) == ("stopped", 2, 50) and folder.model is not None
    assert not (folder.path / "stop").exists()
    # One that was asked too late stops no later training.
    folder.ask_to_stop()
    monkeypatch.undo()
    assert main(["--resume", str(folder.path), "--pretrain-steps", "3"]) == 0
    assert folder.look().state == "done"


def test_looking_changes_nothing_and_heeds_damage(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "output.jsonl").write_text(
        '{"event": "step", "steps": "many", "pretrain": null, "memory_gb": [1, "x"]}\n'
    )
    assert folder.look().steps == 0 and folder.look().memory_gb is None
    (tmp_path / "output.jsonl").write_bytes(b'{"event": "step", "steps": 9, "pretr\nTraceback\n')
    seen = folder.look()
    assert (seen.state, seen.step, seen.sentence) == ("failed", 0, "Traceback")
    assert [path.name for path in tmp_path.iterdir()] == ["output.jsonl"]
    lock = FileLock(tmp_path / "run")
    lock.acquire()
    assert folder.look().state == "starting"
    lock.release()
    (tmp_path / "recipe.json").write_text('{"blocks": "many"}')
    with pytest.raises(InputError, match="blocks must be of the type int"):
        _ = folder.recipe


def test_memory_of_a_gpu_is_told(tmp_path):
    told = []
    monitor = Monitor(tmp_path, 0, told.append)
    values = {"step": 1, "phase": "pixel", "steps_per_second": 1.0, "device_share": 1.0}
    monitor.step(values, 9, 60.0, (5.1, 80.0), 4)
    monitor.close()
    assert "5.1 of 80 GB" in told[0]["text"]
    (tmp_path / "output.jsonl").write_text(json.dumps(told[0]) + "\n")
    lock = FileLock(tmp_path / "run")
    lock.acquire()
    seen = RunFolder(tmp_path).look()
    lock.release()
    assert (seen.state, seen.step, seen.steps, seen.pretrain) == ("training", 1, 9, 4)
    assert (seen.seconds_left, seen.memory_gb) == (60.0, (5.1, 80.0))


# The best model, and early ends


def test_the_best_model_is_kept_beside_the_last(scans, tmp_path):
    out = tmp_path / "run"
    steps = ["--pretrain-steps", 10, "--validate-every", 1, "--learning-rate", 0.05, "--ema", 0]
    assert run(scans, out, *steps, "--best", "ssim") == 0
    with (out / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["set"]]
    ssim = {int(row["step"]): float(row["ssim"]) for row in rows}
    best = max(ssim, key=ssim.get)
    assert best != 10, "the test needs a run that gets worse"
    assert load_model(out / "generator-best.safetensors").card.training["steps_done"] == best
    assert load_model(out / "generator.safetensors").card.training["steps_done"] == 10


def test_errors_count_the_other_way():
    rows = [
        {"set": "a", "step": step, "mse": mse, "mse_bicubic": 3.0}
        for step, mse in ((0, 0.0), (1, 2.0), (2, 1.0))
    ]
    assert scores_by(rows, "mse") == {1: 1.0, 2: 2.0}


def test_a_training_that_gets_no_better_ends_early(scans, tmp_path, capsys):
    out = tmp_path / "run"
    steps = ["--pretrain-steps", 50, "--validate-every", 2, "--learning-rate", 1e-30]
    assert run(scans, out, *steps, "--patience", 2) == 0
    printed = capsys.readouterr().out
    assert "Ended early, after step 6" in printed and "generator-best" in printed
    with (out / "metrics.csv").open() as file:
        assert [int(r["step"]) for r in csv.DictReader(file) if r["set"]] == [2, 4, 6]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"patience": 1, "adversarial_steps": 5}, "Against a discriminator"),
        ({"batch": 6, "accumulate": 4}, "4 equal parts"),
        ({"folds": 1}, "2 folds or more"),
        ({"folds": 3, "fold": 4}, "2 folds or more"),
    ],
)
def test_contradictions_are_refused(fields, said):
    with pytest.raises(InputError, match=said):
        Recipe(**fields)


# In parts


@pytest.mark.parametrize("steps", [{}, {"pretrain_steps": 2, "adversarial_steps": 3}])
def test_a_batch_in_parts_is_the_same_step(scans, tmp_path, steps):
    made = [
        training.train(
            SMALL | steps | {"accumulate": parts, "learning_rate": 1e-3},
            scans,
            out=tmp_path / str(parts),
            device="cpu",
        )
        for parts in (1, 2)
    ]
    one, other = (load_model(each.model).network.state_dict() for each in made)
    for key, value in one.items():
        torch.testing.assert_close(value, other[key], rtol=0, atol=2e-5)
    assert any(not torch.equal(one[key], other[key]) for key in one)  # it was in parts


# Folds, and runs beside each other


def test_folds_validate_on_every_volume_once():
    volumes = [Volume(str(n), ()) for n in range(7)]
    sides = [split(volumes, 0.1, 3, fold) for fold in (1, 2, 3)]
    assert sorted(v.name for _, val in sides for v in val) == [v.name for v in volumes]
    for train, val in sides:
        assert not {v.name for v in train} & {v.name for v in val}
        assert len(train) + len(val) == 7 and len(val) in (2, 3)
    with pytest.raises(InputError, match="fewer --folds"):
        split(volumes, 0.1, 8, 1)


def test_folds_need_volumes_to_divide(scans, tmp_path, capsys):
    other = write_scans(tmp_path / "other")
    assert run(scans, tmp_path / "run", "--val", other, "--folds", 2) == 2
    assert "nothing to divide" in capsys.readouterr().err


def test_runs_are_compared_by_score_and_recipe(scans, tmp_path, capsys):
    for fold in (1, 2):
        more = ["--folds", 2, "--fold", fold, "--pretrain-steps", 2, "--validate-every", 1]
        assert run(scans, tmp_path / f"runs/fold{fold}", *more) == 0
    assert run(scans, tmp_path / "runs/wide", "--pretrain-steps", 1, "--features", 8) == 0
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "runs/broken/recipe.json").write_text("{")
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert napari_srgan(["runs", str(tmp_path / "runs"), "-o", str(page)]) == 0
    printed = capsys.readouterr()
    head, _, *rows = printed.out.splitlines()
    assert {"pretrain_steps", "features", "fold", "folds"} <= set(head.split())
    assert "blocks" not in head and "seed" not in head
    assert [row.split()[0] for row in rows[:3]] == ["fold1", "fold2", "wide"]
    assert "done" in rows[0] and "2 of 2" in rows[0]
    assert "2 of 2 folds (fold1 and on)" in rows[3]
    assert "broken" in printed.err
    text = page.read_text("utf-8")
    assert "fold2" in text and text.count("data:image/png") == 1
    assert napari_srgan(["runs", str(tmp_path / "runs"), "-o", str(page)]) == 2  # it is there
    assert napari_srgan(["runs", str(tmp_path / "runs"), "--by", "psrn"]) == 2
    assert "did you mean psnr?" in capsys.readouterr().err
    assert napari_srgan(["runs", str(tmp_path / "runs"), "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["run"] == "fold1" and np.isfinite(float(first["best"]))


def test_a_model_of_no_use_is_said_to_who_watches(tmp_path):
    done = {"event": "done", "text": "a table. The model is here. It is poor.", "step": 9}
    for more, said in (({}, ""), ({"warning": "It is poor."}, "It is poor.")):
        (tmp_path / "output.jsonl").write_text(json.dumps(done | more) + "\n")
        assert RunFolder(tmp_path).look().sentence == said
