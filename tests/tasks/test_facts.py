"""What is known of a model beside its card."""

import json

import pytest
from small_models import save, save_lateral

from napari_srgan.cli import main
from napari_srgan.models.catalogue import list_models, load_model
from napari_srgan.tasks.facts import MEASURED, facts_of, multiply_adds
from napari_srgan.trust.calibration import NAME, Calibration, keep_calibrations


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    return tmp_path


def test_multiply_adds_are_those_of_the_convolutions(folder):
    # Head 3x3 of 1 to 8, block 3x3 of 8 to 8, last 3x3 of the image and 8 features to 4.
    path = save_lateral(folder, "lateral", 4)
    assert multiply_adds(load_model(path)) == 9 * (1 * 8 + 8 * 8 + 9 * 4)


def test_the_models_command_tells_of_arithmetic_time_and_calibration(folder, capsys):
    path = save(folder, "own", 1)
    facts = facts_of(path)
    assert facts.measured is None and not facts.calibrations and facts.multiply_adds > 1000
    kept = Calibration(
        model="own",
        sha256=load_model(path).sha256,
        kind="oct",
        score="detail",
        threshold=2.0,
        alpha=0.1,
        tolerance=5.0,
        images=12,
        share=0.625,
        typical=((1.0, 2.0),) * 3,
    )
    keep_calibrations(folder / NAME, [kept])
    assert main(["models", "show", "own"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "multiply-adds for a pixel of the input" in told
    assert "oct: 62 % of the pixels trusted, at most 10 % of them off by more than 5 %" in told
    assert main(["models", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    own = next(row for row in rows if row["name"] == "own")
    assert own["multiply_adds"] == facts.multiply_adds
    assert own["calibrations"]["oct"]["trusted_share"] == 0.625
    assert "seconds_per_megapixel" not in own
    assert main(["models"]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert "multiply-adds" in head


def test_what_was_measured_is_of_the_weights_that_are_bundled():
    """Figures of other weights would stand for these: benchmarks/measured.py makes them anew."""
    stated = json.loads(MEASURED.read_text(encoding="utf-8"))
    bundled = {m.card.name: load_model(m.path).sha256 for m in list_models() if m.bundled}
    assert {name: entry["sha256"] for name, entry in stated.items()} == bundled


def test_the_bundled_calibrations_are_of_the_weights_that_are_bundled():
    """A calibration of former weights promises nothing: benchmarks/calibrations.py makes it."""
    from napari_srgan.models.catalogue import WEIGHTS
    from napari_srgan.trust.calibration import read_calibrations

    bundled = {m.card.name: load_model(m.path).sha256 for m in list_models() if m.bundled}
    found = read_calibrations(WEIGHTS / NAME)
    assert {c.model: c.sha256 for c in found}.items() <= bundled.items()
    assert len({c.model for c in found}) >= 2
    assert all(0 < c.share <= 1 and c.images >= 1 / c.alpha - 1 for c in found)
