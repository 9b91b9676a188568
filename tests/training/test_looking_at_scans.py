"""A look at the scans: what is found, what is advised, and the page."""

import json
import re

import numpy as np
import pytest
import tifffile
from small_scans import TINY, picture, write_scans

from training.look import grain
from training.train_oct import main


def look(capsys, folder, *more):
    page = folder.parent / "page.html"
    code = main(
        ["--data", str(folder), *TINY, "--look", str(page), "--json-progress", *map(str, more)]
    )
    assert code == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out.splitlines()[-1]), page.read_text("utf-8")


def advised(told):
    return " ".join(told["advice"])


def test_the_page_says_what_is_there_and_holds_all_that_it_shows(scans, capsys):
    tifffile.imwrite(
        scans / "eye4.tif",
        picture(4),
        resolution=(1 / 4e-4, 1 / 8e-4),
        resolutionunit="CENTIMETER",
    )
    (scans / "eye<5>.txt").write_text("no image")
    told, page = look(capsys, scans)
    assert "4 volumes (4 planes) to train on, 1 volume" in told["summary"]
    assert told["seconds"] > 0 and told["memory_gb"] > 0
    for seed in range(5):
        assert f"scans/eye{seed}.tif" in page
    assert page.count('<img src="data:image/png') == 5 and page.count("<rect") == 64
    assert "8 x 4" in page  # micrometres
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert not (scans.parent / "runs").exists()


def test_an_odd_name_is_text_in_the_page(tmp_path, capsys):
    folder = write_scans(tmp_path / "scans")
    (folder / "eye1.tif").rename(folder / "<b>&.tif")
    _, page = look(capsys, folder)
    assert "<b>" not in page and "&lt;b&gt;&amp;.tif" in page


def test_few_scans_are_sent_to_finetune(scans, capsys):
    told, page = look(capsys, scans)
    assert "--preset finetune" in advised(told) and "--preset finetune" in page


def test_speckle_is_sent_to_restoration(tmp_path, capsys):
    from napari_srgan.synthetic.samples import sample_path

    frames = tifffile.imread(sample_path("oct_frame_hr"))
    (tmp_path / "scans").mkdir()
    for number, frame in enumerate(frames[:3]):
        tifffile.imwrite(tmp_path / f"scans/f{number}.tif", frame)
    told, _ = look(capsys, tmp_path / "scans")
    assert "speckle" in advised(told) and "--paired" in advised(told)


def test_a_neighbour_on_the_other_side_is_shown(tmp_path, capsys):
    folder = write_scans(tmp_path / "scans", 6)
    for seed in range(6):  # each as a volume of its own
        (folder / f"v{'abcdef'[seed]}").mkdir()
        (folder / f"eye{seed}.tif").rename(folder / f"v{'abcdef'[seed]}" / "eye.tif")
    told, page = look(capsys, folder)
    assert "correlation" not in advised(told) and "<p>None.</p>" in page
    held_out = re.search(r"validate on: (\w+)", told["summary"])[1]
    other = "va" if held_out != "va" else "vb"
    copy = np.clip(tifffile.imread(folder / held_out / "eye.tif").astype(int) + 2, 0, 255)
    tifffile.imwrite(folder / other / "eye.tif", copy.astype(np.uint8))
    (folder.parent / "page.html").unlink()
    told, page = look(capsys, folder)
    assert "look like one place" in advised(told)
    assert f"{other}/eye.tif" in page.partition("Alike on both sides")[2].partition("<h2>")[0]


def test_files_that_cannot_be_used_are_named_and_the_rest_is_looked_at(scans, capsys):
    tifffile.imwrite(scans / "small.tif", picture(9, 16, 16))
    told, _ = look(capsys, scans)
    assert "small.tif is 16 x 16 px" in advised(told)


def test_smooth_scans_teach_nothing(tmp_path, capsys):
    (tmp_path / "scans").mkdir()
    for seed in range(3):
        wave = np.sin(np.linspace(0, 3 + seed, 96))
        image = 127 + 120 * np.outer(wave, wave)
        tifffile.imwrite(tmp_path / f"scans/{seed}.tif", image.astype(np.float32))
    told, _ = look(capsys, tmp_path / "scans")
    assert "little is lost by shrinking" in advised(told)


def test_a_page_that_is_there_is_not_replaced(scans, capsys):
    place = scans.parent / "page.html"
    place.write_text("mine")
    assert main(["--data", str(scans), *TINY, "--look", str(place)]) == 2
    assert place.read_text() == "mine"
    assert main(["--data", str(scans), *TINY, "--look", str(scans.parent / "page.txt")]) == 2
    assert ".html" in capsys.readouterr().err


def test_what_does_not_fit_into_memory_is_said(scans, capsys, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("training.players.Players.pixel_step", full)
    told, _ = look(capsys, scans)
    assert told["seconds"] is None and "smaller --batch" in advised(told)


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_grain_is_the_noise_of_a_picture_with_edges(sigma):
    y, x = np.mgrid[:200, :200] / 200
    clean = np.where((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1, 0.8, 0.2 + 0.3 * x)
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    assert grain(clean + noise) == pytest.approx(sigma, rel=0.1)
