"""The promises of docs/reliability.md are held by tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_promise_names_a_test_that_there_is():
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    named = re.findall(r"`(?:tests/)?([\w/]*\.py)?::(\w+)`", text)
    assert len(named) > 20
    file = ""
    for path, test in named:
        file = path or file  # a test without a file is of the one named before
        assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}::{test}"


def test_every_test_in_the_tables_is_there():
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 20
    files = (p.read_text("utf-8") for p in (ROOT / "tests").rglob("*.py"))
    there = {name for file in files for name in re.findall(r"^ *def (\w+)\(", file, re.MULTILINE)}
    assert not named - there
