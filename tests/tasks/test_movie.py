"""Movies through the slices."""

import json
import stat
import sys

import numpy as np
import pytest
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.options import MovieOptions
from napari_srgan.tasks import movie
from napari_srgan.tasks.figure import Shown
from napari_srgan.tasks.steps import drain


@pytest.fixture
def shown():
    planes = np.zeros((4, 32, 48), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None] * 50
    planes[:, :4], planes[:, -4:] = 255, 0
    return Shown(low=Stack(planes[:, ::4, ::4], axes="ZYX"), result=Stack(planes, axes="ZYX"))


def test_a_gif_has_a_frame_a_slice_in_one_gray_scale(shown, tmp_path):
    path = tmp_path / "a.gif"
    assert drain(movie.write_movie(shown, path, MovieOptions(fps=4, width=300))) == 4
    seen = Image.open(path)
    assert seen.n_frames == 4
    assert seen.info["duration"] == 250 and seen.info["loop"] == 0
    levels = []
    for number in range(4):
        seen.seek(number)
        levels.append(np.asarray(seen.convert("L"))[60, 280])
    assert np.all(np.diff(np.array(levels, int)) > 20), "a scale a slice would make them alike"


def test_colours(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3)).astype(np.uint8)
    path = tmp_path / "a.gif"
    drain(movie.write_movie(Shown(result=Stack(rgb, axes="ZYXS")), path, MovieOptions(width=64)))
    assert np.ptp(np.asarray(Image.open(path).convert("RGB")).astype(int), axis=2).max() > 50


def test_what_cannot_be_made_is_said_and_nothing_written(shown, tmp_path, monkeypatch):
    one = Shown(result=Stack(np.zeros((16, 16), np.uint8), name="scan"))
    with pytest.raises(InputError, match="scan has one slice only"):
        drain(movie.write_movie(one, tmp_path / "a.gif", MovieOptions()))
    with pytest.raises(InputError, match="gif or"):
        drain(movie.write_movie(shown, tmp_path / "a.avi", MovieOptions()))
    with pytest.raises(InputError, match="make the movie wider"):
        drain(movie.write_movie(shown, tmp_path / "a.gif", MovieOptions(width=60)))
    monkeypatch.setattr(movie, "_MOST", 1000)
    with pytest.raises(InputError, match="too much for a GIF"):
        drain(movie.write_movie(shown, tmp_path / "a.gif", MovieOptions()))
    monkeypatch.setattr(movie.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match="install ffmpeg"):
        drain(movie.write_movie(shown, tmp_path / "a.mp4", MovieOptions()))
    assert list(tmp_path.iterdir()) == []


def test_a_movie_that_is_cancelled_leaves_nothing(shown, tmp_path):
    steps = movie.write_movie(shown, tmp_path / "a.gif", MovieOptions())
    next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []


def program(tmp_path, body):
    """Something that stands for ffmpeg."""
    path = tmp_path / "bin" / "ffmpeg"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\nimport sys, json\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_ffmpeg_is_given_the_frames(shown, tmp_path, monkeypatch):
    told = "json.dumps([len(sys.stdin.buffer.read()), sys.argv])"
    body = f"open(sys.argv[-1], 'w').write({told})"
    fake = program(tmp_path, body)
    monkeypatch.setattr(movie, "ffmpeg", lambda: fake)
    path = tmp_path / "a.mp4"
    drain(movie.write_movie(shown, path, MovieOptions(fps=5, width=301)))
    length, words = json.loads(path.read_text())
    width, height = map(int, words[words.index("-s") + 1].split("x"))
    assert width % 2 == height % 2 == 0, "as H.264 wants them"
    assert length == 4 * width * height * 3
    assert words[words.index("-r") + 1] == "5"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_what_ffmpeg_says_is_passed_on(shown, tmp_path, monkeypatch):
    fake = program(tmp_path, "sys.exit('Unknown encoder libx264')")
    monkeypatch.setattr(movie, "ffmpeg", lambda: fake)
    with pytest.raises(InputError, match="Unknown encoder libx264"):
        drain(movie.write_movie(shown, tmp_path / "a.mp4", MovieOptions()))
    assert not (tmp_path / "a.mp4").exists()
