"""Presets and last choices: one file, options as they are typed, and nothing lost by accident."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.options import RestoreOptions, as_typed, chosen_values, declared, from_typed
from napari_srgan.tasks.presets import (
    delete_preset,
    keep_choices,
    last_choices,
    list_presets,
    preset,
    presets_file,
    save_preset,
)

CHOSEN = {"model": "srgan-gray", "tile": 128, "back_project": True, "intensity": "0:4095"}


def test_a_preset_comes_back_as_it_was_saved():
    save_preset("our OCT", CHOSEN)
    assert preset("our OCT") == CHOSEN
    assert RestoreOptions(**preset("our OCT")) == RestoreOptions(**CHOSEN)
    assert list(list_presets()) == ["our OCT"]
    delete_preset("our OCT")
    assert list_presets() == {}


def test_every_option_can_be_in_a_preset():
    defaults = {f.name: f.default for f in declared(RestoreOptions)}
    assert from_typed(RestoreOptions, as_typed(defaults)) == defaults
    assert chosen_values(RestoreOptions, defaults | CHOSEN) == CHOSEN


def test_a_model_that_is_a_file_is_found_from_other_folders(model_folder, monkeypatch):
    monkeypatch.chdir(model_folder)
    save_preset("mine", {"model": "tiny-gray.safetensors"})
    monkeypatch.chdir("/")
    assert preset("mine")["model"] == str(model_folder / "tiny-gray.safetensors")


def test_a_preset_is_replaced_only_on_request():
    save_preset("a", CHOSEN)
    with pytest.raises(OutputExists, match="already"):
        save_preset("a", {"tile": 64})
    assert preset("a") == CHOSEN
    save_preset("a", {"tile": 64}, overwrite=True)
    assert preset("a") == {"tile": 64}


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "../a", "a\nb", "-a", "x" * 61])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="cannot be a preset's name"):
        save_preset(name, CHOSEN)
    assert not presets_file().exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "srgan-gry"}, "did you mean srgan-gray"),
        ({"precision": "float23"}, "float23"),
        ({}, "would hold the defaults"),
    ],
)
def test_what_does_not_exist_is_not_saved(values, words):
    with pytest.raises(InputError, match=words):
        save_preset("a", values)
    assert not presets_file().exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"model": "srgan-gry"}, "did you mean srgan-gray?"),
        ({"presision": "float32"}, "there is no option 'presision' (did you mean precision?)"),
        ({"tile": "none"}, "neither auto nor a number"),
        ({"tile": True}, "its tile must be text, not True"),
        ({"back_project": "yes"}, "its back_project must be true or false, not 'yes'"),
        ({"kind": "cat"}, "kind of image 'cat' is not known"),
    ],
)
def test_a_preset_of_somebody_else_is_refused_in_one_sentence(typed, words):
    write({"presets": {"lab": typed, "fine": {"tile": "64"}}})
    with pytest.raises(InputError) as error:
        preset("lab")
    assert words in str(error.value) and str(error.value).startswith("The preset 'lab' cannot")
    assert "\n" not in str(error.value)
    assert preset("fine") == {"tile": 64}  # the others are as they were
    with pytest.raises(InputError, match="did you mean lab"):
        preset("lap")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"[]", b"{", b'{"presets": 3}', b'{"presets": {"a": {"tile": 3}}}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_never_written_over(content):
    presets_file().write_bytes(content)
    for use in (
        list_presets,
        last_choices,
        lambda: save_preset("a", CHOSEN),
        lambda: keep_choices(CHOSEN),
    ):
        with pytest.raises(InputError, match="is damaged"):
            use()
    assert presets_file().read_bytes() == content


def test_last_choices_and_presets_leave_each_other_alone():
    assert last_choices() == {}
    save_preset("a", {"tile": 64})
    keep_choices(CHOSEN)
    save_preset("b", {"tile": 96})
    assert last_choices() == CHOSEN
    assert list(list_presets()) == ["a", "b"]
    before = presets_file().stat().st_mtime_ns
    keep_choices(CHOSEN)
    assert presets_file().stat().st_mtime_ns == before  # nothing to write


def test_what_a_later_version_keeps_beside_them_stays():
    write({"presets": {}, "training": {"recipe": "quick"}})
    save_preset("a", CHOSEN)
    assert json.loads(presets_file().read_text("utf-8"))["training"] == {"recipe": "quick"}


def test_of_two_that_save_at_once_none_is_lost():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: save_preset(f"p{n}", {"tile": 64 + n}), range(12)))
    assert len(list_presets()) == 12


def write(content):
    presets_file().write_text(json.dumps(content), encoding="utf-8")
