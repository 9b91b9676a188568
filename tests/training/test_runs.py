"""What a run says while it lasts, what a stop leaves, how it is extended, and mistakes."""

import json
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scans import TINY, picture, write_scans

from napari_srgan.models.catalogue import load_model
from training import checkpoint, loop, start
from training.log import read_rows
from training.monitor import Board, Monitor
from training.pace import Forecast
from training.pictures import Picture, draw_curves, draw_previews
from training.recipe import Recipe
from training.session import verdict
from training.timetable import Timetable
from training.train_oct import main

ROOT = Path(__file__).parents[2]
ADVERSARY = ["--pretrain-steps", "3", "--adversarial-steps", "3"]


def run(scans, out, *more):
    return main(["--data", str(scans), "--out", str(out), *TINY, *map(str, more)])


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    for drawn in ("draw_curves", "draw_previews"):
        monkeypatch.setattr(f"training.outputs.{drawn}", lambda *_, **__: {})


# What is typed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--pretrian-steps", "3"], "did you mean --pretrain-steps?"),
        (["--preset", "quikc"], "invalid choice"),
        (["--blocks", "many"], "invalid int value"),
        (["--datta", "x"], "did you mean --data?"),
    ],
)
def test_a_mistyped_argument_is_told_to_people_and_programs(capsys, typed, said):
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert said in printed.err and len(printed.err.splitlines()) == 1 and not printed.out
    with pytest.raises(SystemExit):
        main([*typed, "--json-progress"])
    event = json.loads(capsys.readouterr().out)
    assert event["event"] == "error" and said in event["text"]


def test_a_mistyped_key_of_a_recipe_is_told(tmp_path, capsys):
    (tmp_path / "r.toml").write_text("pretrain_step = 3\n")
    assert main(["--data", str(tmp_path), "--recipe", str(tmp_path / "r.toml")]) == 2
    assert "did you mean pretrain_steps?" in capsys.readouterr().err


def test_help_needs_nothing_heavy_and_begins_with_what_is_common():
    code = (
        "import sys\nfrom training.train_oct import main\ntry:\n main(['--help'])\n"
        "except SystemExit: print({'torch', 'scipy', 'tifffile'} & set(sys.modules))"
    )
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"
    flags = [done.stdout.index(f"  --{flag} ") for flag in ("data", "preset", "pretrain-steps")]
    assert flags == sorted(flags) and flags[-1] < done.stdout.index("  --growth ")


# In which order things are found out


def test_scans_are_checked_before_weights_are_fetched(tmp_path, monkeypatch, capsys):
    def fetched(*_, **__):
        raise AssertionError("fetched")

    monkeypatch.setattr(start, "content_features", fetched)
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", tmp_path / "run", "--content", "vgg54", *ADVERSARY) == 2
    assert "holds no scans" in capsys.readouterr().err


def test_fine_tuning_is_in_float32_unless_told_otherwise(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.hardware.native_16_bits", lambda _: ("bfloat16",))
    assert run(scans, tmp_path / "first", "--pretrain-steps", 1) == 0
    assert ", bfloat16" in capsys.readouterr().out
    tiny = [*TINY[4:], "--init", str(tmp_path / "first/generator.safetensors")]
    for more, format in (([], "float32"), (["--precision", "bfloat16"], "bfloat16")):
        out = ["--out", str(tmp_path / format), "--pretrain-steps", "1"]
        assert main(["--data", str(scans), *out, *tiny, *more]) == 0
        assert f", {format}" in capsys.readouterr().out
        kept = json.loads((tmp_path / format / "run.json").read_text())
        assert kept["precision"] == format


# How long it takes


def test_the_first_line_comes_with_the_first_step_and_knows_both_phases(
    scans, tmp_path, monkeypatch, capsys
):
    """A step of the second phase takes a second here, and the first line says so."""
    monkeypatch.setattr("training.players.Players.rehearse", lambda *_: 1.0)
    steps = ["--pretrain-steps", 4, "--adversarial-steps", 100]

    def stop_at_once(run, step, lr, hr, take=loop._take):
        if step == 2:
            raise KeyboardInterrupt
        return take(run, step, lr, hr)

    monkeypatch.setattr(loop, "_take", stop_at_once)
    assert run(scans, tmp_path / "run", *steps, "--json-progress") == 130
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (step,) = (e for e in events if e["event"] == "step")
    assert step["step"] == 1 and 100 <= step["seconds_left"] < 200


def test_a_rehearsal_leaves_no_trace(scans, tmp_path, monkeypatch):
    options = [*ADVERSARY, "--batch-norm"]
    assert run(scans, tmp_path / "with", *options) == 0
    monkeypatch.setattr("training.players.Players.rehearse", lambda *_: 1.0)
    assert run(scans, tmp_path / "without", *options) == 0
    one, two = (checkpoint.read(tmp_path / o / "checkpoint.pt") for o in ("with", "without"))
    for key in ("generator", "discriminator", "average"):
        assert all(torch.equal(v, two[key][k]) for k, v in one[key].items())


def test_the_time_left_neither_forgets_a_phase_nor_jumps():
    """Crops that grow, a second phase that is slower, one slow moment, validations."""
    recipe = Recipe(channels=1, crop=(32, 64), discriminator="pool", validate_every=50)
    table = Timetable(recipe, pretrain=100, adversarial=100)
    cost = {"pixel": 1.0, "adversarial": 3.0}  # seconds for a step of 64 px

    def takes(first, last):
        steps = range(first, last + 1)
        return sum(cost[table.phase(s)] * (table.crop(s) / 64) ** 2 for s in steps)

    whole = takes(1, 200)
    forecast = Forecast(table)
    forecast.step_would_take(200, 64, 3.0)
    forecast.steps_took(1, 1, 5 * takes(1, 1), rough=True)  # the first step prepares much
    forecast.steps_took(2, 10, takes(2, 10))
    assert forecast.seconds_left(10) == pytest.approx(whole - takes(1, 10))
    forecast.validation_took(2.0)
    assert forecast.seconds_left(10) == pytest.approx(whole - takes(1, 10) + 2 * (3 + 1))
    forecast.validation_took(0.0)
    told = []
    for first in range(11, 191, 10):
        slow = 4 if first == 51 else 1
        forecast.steps_took(first, first + 9, slow * takes(first, first + 9))
        told.append(forecast.seconds_left(first + 9))
    assert all(later < 1.2 * former for former, later in pairwise(told))
    assert told[-1] == pytest.approx(takes(191, 200), rel=0.01)


@pytest.mark.parametrize("crop", [(32,), (32, 64, 96)])
@pytest.mark.parametrize("steps", [(30, 9), (7, 5), (2, 1)])
def test_the_crops_that_are_left_are_those_of_the_timetable(crop, steps):
    recipe = Recipe(channels=1, crop=crop, discriminator="pool")
    table = Timetable(recipe, *steps)
    for step in range(table.total + 1):
        for phase in ("pixel", "adversarial"):
            left = [s for s in range(step + 1, table.total + 1) if table.phase(s) == phase]
            assert table.crop_area_left(phase, step) == sum(table.crop(s) ** 2 for s in left)


# Stopped, and gone on with


def stopped_after(monkeypatch, step):
    """Let a signal come during a step."""
    monkeypatch.setattr(loop, "_any_asked", lambda *_: loop_step() >= step)
    taken = []
    monkeypatch.setattr(loop, "_take", lambda *a, take=loop._take: (taken.append(1), take(*a))[1])

    def loop_step():
        return len(taken)


def test_a_stop_before_the_first_validation_leaves_a_model(scans, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("training.outputs.draw_curves", lambda *_: drawn.append(1))
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        assert run(scans, tmp_path / "run", "--pretrain-steps", 50) == 130
    card = load_model(tmp_path / "run/generator.safetensors").card
    assert card.training["steps_done"] == 2 and not card.validation and drawn


def steps_of(out):
    rows = read_rows(out / "metrics.csv")
    return [(int(r["step"]), r["phase"]) for r in rows if not r["set"]]


def test_a_run_is_made_longer_with_its_discriminator(scans, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    assert run(scans, out, *ADVERSARY, "--log-every", 1) == 0
    before = checkpoint.read(out / "checkpoint.pt")["discriminator"]
    begun = []
    take = loop._take
    monkeypatch.setattr(
        loop,
        "_take",
        lambda r, *a: (begun.append(r.players.discriminator.state_dict()), take(r, *a))[1],
    )
    kept = {}

    def resume(run, real=loop.Run.resume):
        real(run)
        kept.update({k: v.clone() for k, v in run.players.discriminator.state_dict().items()})

    monkeypatch.setattr(loop.Run, "resume", resume)
    longer = ["--resume", str(out), "--adversarial-steps", "5", "--validate-every", "2"]
    assert main(longer) == 0
    assert all(torch.equal(v, before[k]) for k, v in kept.items())
    assert steps_of(out) == [(s, "pixel" if s <= 3 else "adversarial") for s in range(1, 9)]
    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["adversarial_steps"], recipe["validate_every"]) == (5, 2)
    assert load_model(out / "generator.safetensors").card.training["steps_done"] == 8
    for options, message in (
        (["--pretrain-steps", "9"], "in its second phase since step 3"),
        (["--adversarial-steps", "1"], "has 8 steps done already"),
        (["--learning-rate", "1"], "--learning-rate cannot be set"),
    ):
        assert main(["--resume", str(out), *options]) == 2
        assert message in capsys.readouterr().err
    assert json.loads((out / "recipe.json").read_text()) == recipe


def test_a_run_of_a_former_version_goes_on(scans, tmp_path):
    """Its recipe has fewer fields: what came later is as it always was."""
    out = tmp_path / "run"
    assert run(scans, out, "--pretrain-steps", 2) == 0
    values = json.loads((out / "recipe.json").read_text())
    for later in ("lateral", "accumulate", "gradient_weight"):
        del values[later]
    (out / "recipe.json").write_text(json.dumps(values))
    assert main(["--resume", str(out), "--pretrain-steps", "3"]) == 0


def test_a_fidelity_run_is_made_longer_and_gets_a_second_phase(scans, tmp_path):
    out = tmp_path / "run"
    assert run(scans, out, "--pretrain-steps", 2, "--log-every", 1) == 0
    assert main(["--resume", str(out), "--pretrain-steps", "4"]) == 0
    assert main(["--resume", str(out), "--adversarial-steps", "2"]) == 0
    phases = ["pixel"] * 4 + ["adversarial"] * 2
    assert steps_of(out) == list(enumerate(phases, 1))
    assert load_model(out / "generator.safetensors").card.role == "perceptual"


def test_the_later_of_two_new_runs_in_one_folder_is_refused(scans, tmp_path, monkeypatch, capsys):
    """Both looked at the folder when it was empty; the other was done while this one read."""
    real = start.load

    def slow(*given):
        monkeypatch.setattr(start, "load", real)
        assert run(scans, tmp_path / "run", "--pretrain-steps", 1) == 0
        return real(*given)

    monkeypatch.setattr(start, "load", slow)
    assert run(scans, tmp_path / "run", "--pretrain-steps", 2) == 2
    assert "former run" in capsys.readouterr().err


# The end


def rows(gain):
    return [{"set": "eyes", "psnr": 30.0 + gain, "psnr_bicubic": 30.0}]


def test_a_training_that_failed_says_so():
    recipe = Recipe(channels=1, content="none")
    fidelity, adversarial = Timetable(recipe, 100, 0), Timetable(recipe, 100, 10)
    assert verdict(rows(+0.5), {}, fidelity, 0) == ""
    worse = "0.50 dB worse than bicubic on eyes; it is not worth"
    assert worse in verdict(rows(-0.5), {}, fidelity, 0)
    assert worse in verdict(rows(-0.5), {"eyes": -0.1}, adversarial, 0)
    assert "look at the previews" in verdict(rows(-0.5), {"eyes": 0.6}, adversarial, 0)
    assert "7 steps of 100 were left out" in verdict(rows(+0.5), {}, fidelity, 7)


@pytest.mark.parametrize(("better", "listed"), [(True, True), (False, False)])
def test_only_a_model_that_is_worth_it_is_to_be_listed(
    scans, tmp_path, monkeypatch, capsys, better, listed
):
    monkeypatch.setattr(
        "training.start.verdict", lambda *_: "" if better else "It is worse than bicubic."
    )
    assert run(scans, tmp_path / "run", "--pretrain-steps", 1) == 0
    printed = capsys.readouterr().out
    assert ("models add" in printed) == listed and ("It is worse" in printed) != listed


# Curves, previews, TensorBoard


def test_curves_show_where_the_phase_begins_and_both_losses(tmp_path, monkeypatch):
    monitor = Monitor(tmp_path, 0, lambda _: None)
    for step in (10, 20, 30):
        values = {"step": step, "phase": "pixel", "pixel": 0.1, "generator": 0.1}
        if step > 13:
            values |= {"phase": "adversarial", "discriminator": 0.7, "real": 0.6, "fake": 0.4}
        monitor.step(values | {"steps_per_second": 1.0, "device_share": 1.0}, 30, 1.0)
    monitor.close()
    drawn = []
    monkeypatch.setattr("training.pictures._save", lambda figure, path: drawn.append(figure))
    draw_curves(tmp_path, 13)
    axes = drawn[0].axes
    lines = {line.get_label(): line.get_xdata() for line in axes[0].lines}
    assert list(lines["generator, in all"]) == list(lines["discriminator"]) == [20, 30]
    dotted = [line.get_xdata() for line in axes[0].lines if line.get_linestyle() == ":"]
    assert [list(x) for x in dotted] == [[13, 13]]


def test_previews_say_when_and_how_good_and_are_kept(tmp_path, monkeypatch):
    image = picture(0, 64, 64) / 255.0
    shown = Picture("eyes 1", image[::4, ::4], image, image, image, 31.25, 30.0)
    titles = []
    from training import pictures

    save = pictures._save
    monkeypatch.setattr(
        pictures,
        "_save",
        lambda figure, path: (titles.append(figure.get_suptitle()), save(figure, path))[1],
    )
    for step in (5, 10):
        draw_previews(tmp_path, [shown], step)
    assert titles[1] == "eyes 1, step 10\nPSNR 31.25 dB (+1.25 over bicubic)"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["preview-eyes-1-0000005.png", "preview-eyes-1-0000010.png"]


def events_of(folder):
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted((folder / "tensorboard").iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):  # length, its checksum, the event, its checksum
            size = int.from_bytes(content[at : at + 8], "little")
            yield Event.FromString(content[at + 12 : at + 12 + size])
            at += 16 + size


def test_tensorboard_has_images_and_no_point_twice(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("training.outputs.draw_previews", draw_previews)
    out = tmp_path / "run"
    assert run(scans, out, "--pretrain-steps", 2, "--log-every", 1) == 0
    for _ in range(2):  # within a second, too
        assert main(["--resume", str(out)]) == 0
    points = [(e.step, v.tag, v.HasField("image")) for e in events_of(out) for v in e.summary.value]
    assert len(points) == len(set(points)) > 10
    assert [p for p in points if p[2]] == [(2, "scans 1, scans/eye2.tif", True)]


def test_a_full_disk_is_told_without_a_traceback(tmp_path, capfd):
    threads = threading.active_count()  # other tests of this process may have left some
    board = Board(tmp_path / "tensorboard", 0)
    board._events._py_recordio_writer.close()
    board._events._py_recordio_writer._writer = open("/dev/full", "wb")  # noqa: SIM115, PTH123
    from napari_srgan.errors import InputError

    with pytest.raises(InputError, match=r"The log could not be written .* the disk is full"):
        board.scalars(1, {"x": 1.0})
    assert threading.active_count() == threads
    assert capfd.readouterr().err == ""


def test_library_noise_is_silent(tmp_path):
    scans = write_scans(tmp_path / "scans", 3)
    command = [sys.executable, "-m", "training.train_oct", "--data", scans, *TINY]
    command += ["--out", tmp_path / "run", "--pretrain-steps", "2"]
    command += ["--precision", "bfloat16"]
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, command)], env=path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert np.isfinite(
        load_model(tmp_path / "run/generator.safetensors").card.validation[0]["psnr"]
    )
