"""The report on an installation: complete, free of names, and with the right advice."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_srgan import __version__
from napari_srgan.cli import main
from napari_srgan.tasks import doctor


@pytest.fixture
def without_opengl(monkeypatch):
    monkeypatch.setattr(doctor, "_opengl", lambda: doctor.Fact("OpenGL", "not tried"))


def _found(about: str) -> doctor.Fact:
    return next(fact for fact in doctor.examine() if fact.about == about)


@pytest.mark.usefixtures("without_opengl")
def test_versions_devices_formats_and_models_are_named(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = {fact["about"]: fact["value"] for fact in json.loads(capsys.readouterr().out)}
    assert facts["napari-srgan"] == __version__
    assert "GiB" in facts["cpu"]
    assert ".ome.tif" in facts["formats"]
    assert "bundled" in facts["models"]
    assert {"torch", "numpy", "tifffile"} <= set(facts)


@pytest.mark.usefixtures("without_opengl")
def test_the_report_names_no_folder_of_the_user(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path / "patient Miller"))
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "Miller" not in told
    assert str(Path.home()) not in told


@pytest.mark.usefixtures("without_opengl")
def test_a_model_file_that_is_left_out_is_told_of(monkeypatch, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    assert "left out (1)" in _found("models").advice


@pytest.mark.parametrize(
    ("cuda", "works", "said"),
    [(None, False, "built without CUDA"), ("12.8", False, "update its driver"), ("12.8", True, "")],
)
def test_an_nvidia_gpu_that_is_not_used_gets_advice(monkeypatch, cuda, works, said):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    torch = SimpleNamespace(
        version=SimpleNamespace(cuda=cuda), cuda=SimpleNamespace(is_available=lambda: works)
    )
    advice = doctor._torch_advice(torch)
    assert said in advice
    assert bool(advice) == bool(said)


def test_an_opengl_that_crashes_is_a_line_of_the_report(monkeypatch):
    def crash(*args, **settings):
        raise subprocess.CalledProcessError(-11, args[0])

    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(doctor.subprocess, "run", crash)
    fact = doctor._opengl()
    assert fact.value == "does not start"
    assert "driver" in fact.advice


def test_advice_stands_under_the_facts():
    told = doctor.report([doctor.Fact("a", "1"), doctor.Fact("long", "2", "Do this.")])
    assert told.splitlines() == ["a     1", "long  2", "", "What would help:", "- Do this."]
