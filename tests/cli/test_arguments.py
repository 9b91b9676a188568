import pytest

from napari_srgan.cli.arguments import expanded
from napari_srgan.errors import InputError


def test_a_pattern_stands_for_its_files_in_natural_order(tmp_path):
    names = ["s10.tif", "s2.tif", "s1.tif", "t.png"]
    for name in names:
        (tmp_path / name).touch()
    found = expanded([tmp_path / "t.png", tmp_path / "s*.tif"])
    assert found == [str(tmp_path / n) for n in ("t.png", "s1.tif", "s2.tif", "s10.tif")]
    assert expanded([tmp_path / "s[12].tif"]) == [str(tmp_path / n) for n in ("s1.tif", "s2.tif")]


def test_a_name_that_is_there_is_no_pattern(tmp_path):
    odd = tmp_path / "scan[1].tif"
    odd.touch()
    (tmp_path / "scan1.tif").touch()
    assert expanded([odd]) == [str(odd)]


def test_a_pattern_without_files_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="No file matches"):
        expanded([tmp_path / "*.tif"])


def test_a_name_that_is_missing_is_left_to_who_opens_it(tmp_path):
    assert expanded([tmp_path / "a.tif"]) == [str(tmp_path / "a.tif")]
