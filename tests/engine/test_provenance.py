"""What a record says, and what it must not say."""

import json
import re
import subprocess
import sys

import pytest

from napari_srgan import __version__
from napari_srgan.engine import record as provenance
from napari_srgan.engine.record import KEY, RESEARCH_USE, Record, input_label, methods_text


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.platformdirs, "user_data_dir", lambda *a, **k: str(tmp_path))
    provenance._user_key.cache_clear()
    yield tmp_path
    provenance._user_key.cache_clear()


def record(**changed):
    facts = {
        "model": "srresnet-gray",
        "weights_sha256": "ab" * 32,
        "input": "scan 7.tif",
        "input_axes": "ZYX",
        "intensity_lo": (12.0,),
        "intensity_hi": (4000.5,),
        "precision": "float32",
        "device": "cpu",
        "tile": 128,
    }
    return Record(**(facts | changed))


def test_a_record_survives_json_and_holds_the_facts():
    made = record(region={"Z": (3, 5), "Y": (0, 64), "X": (8, 72)})
    plain = made.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert Record.of({KEY: plain}) == made
    assert plain["tool_version"] == __version__
    assert plain["scale_factor"] == 4
    assert plain["region"] == {"Z": [3, 5], "Y": [0, 64], "X": [8, 72]}
    assert (plain["intensity_lo"], plain["intensity_hi"]) == ([12.0], [4000.5])
    assert plain["notice"] == RESEARCH_USE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", plain["date"])


def test_what_another_version_wrote_is_left_out_where_it_is_not_understood():
    odd = {"model": "m", "tile": "large", "region": [1], "intensity_lo": 3, "scale_factor": "x"}
    assert Record.of({KEY: odd}) == Record.of({KEY: {"model": "m"}})
    assert Record.of({KEY: "not a record"}) is None
    assert Record.of({}) is None
    assert Record.of(None) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile": 1e308},
        {"tile": float("inf")},
        {"scale_factor": {"a": 1}},
        {"scale_factor": 10**9},
        {"region": {"Y": [0, 1e400]}},
        {"region": {"Y": 5}},
        {"intensity_lo": [float("nan")]},
        {"intensity_hi": "12"},
        {"model": "\x1b[31m"},
        {"notice": ["x"]},
        {"date": "a" * 10**6},
        {"consistency": {"rmse_percent": [1]}},
        {"consistency": 5},
        {"back_projection": {"iterations": 1e400}},
    ],
)
def test_what_a_record_cannot_say_is_left_out_and_the_rest_is_kept(wrong):
    plain = record().to_dict()
    found = Record.of({KEY: plain | wrong})
    (key,) = wrong
    name = "scale" if key == "scale_factor" else key
    empty = {"date": "", "notice": ""}.get(name, getattr(Record(), name))
    assert getattr(found, name) == empty
    assert found.input == "scan 7.tif"
    methods_text(found)


def test_folders_are_never_recorded():
    assert input_label("/data/study/Doe_Jane/scan 7.tif") == "scan 7.tif"
    assert input_label(r"D:\patients\Doe\a.tif") == "a.tif"


@pytest.mark.parametrize(
    "name",
    [
        "Doe_Jane_19500101.fds",
        "DOE.FDA",
        "x/doe.e2e",
        "doe_macula.img",
        "doe.OCT",
        "doe.dcm",
        "doe.vol",
        "doe.sdb",
        "doe.fds.tif",
        "doe.e2e [srresnet-gray 4x]",
    ],
)
def test_names_of_vendor_formats_are_hidden(name):
    assert re.fullmatch(r"scan-[0-9a-f]{12}", input_label(name))


@pytest.mark.parametrize("name", ["average.tif", "volume 3", "my.image.png", "a.octopus.tif", "v"])
def test_other_names_are_hidden_only_on_request(name):
    assert input_label(name) == name
    assert re.fullmatch(r"scan-[0-9a-f]+", input_label(name, anonymise=True))


def test_a_label_groups_the_same_scan_and_parts_others():
    assert input_label("/a/doe.fds") == input_label("b/doe.fds") != input_label("roe.fds")
    label = input_label("doe.fds")
    assert input_label(label, anonymise=True) == label


def test_a_label_cannot_be_found_by_hashing_names(home):
    mine = input_label("doe.fds")
    provenance._user_key.cache_clear()
    assert input_label("doe.fds") == mine, "the next run of the same user gives the same label"
    (home / "label-key").unlink()
    provenance._user_key.cache_clear()
    assert input_label("doe.fds") != mine, "another user gives another label"


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(provenance.platformdirs, "user_data_dir", lambda *a, **k: str(blocked))
    assert input_label("doe.fds") == input_label("doe.fds") != "doe.fds"


def test_the_methods_text_states_what_a_reader_must_know():
    text = methods_text(record(transform="log", region={"Z": (3, 5)}, precision="bfloat16"))
    for fact in ("srresnet-gray", "abababababababab", __version__, "12 to 4000.5", "bfloat16"):
        assert fact in text
    assert "transform log" in text
    assert "Z 3 to 4" in text
    assert "not measured" in text
    assert "\n" not in text


def test_the_methods_text_gives_the_range_in_data_values_as_it_is_recorded():
    text = methods_text(record(transform="log"))
    assert "Data values of 12 to 4000.5 were mapped linearly to 0 to 1 after the transform" in text
    text = methods_text(record(intensity_lo=(0, 3), intensity_hi=(9, 50)))
    assert "0 to 9 and 3 to 50" in text and "for all planes of a channel" in text


def test_the_methods_text_of_a_record_with_gaps():
    text = methods_text(Record.of({KEY: {"model": "m"}}))
    assert "model m." in text
    assert "None" not in text


def test_provenance_does_not_load_torch():
    code = "import sys, napari_srgan.engine.record; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
