"""What files state is parsed within bounds, and a value is what its reader says or is refused."""

import pytest

from napari_srgan.io import schema
from napari_srgan.io.notes import from_text, jsonable, to_text, valid_layout

DEEP = 100_000
LAYOUT = {
    "axes": "ZYX",
    "shape": [2, 8, 9],
    "scale": [1, 0.5, 0.5],
    "translate": [0, 0, 1.5],
    "units": ["pixel"] * 3,
}


@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP,
        "[" * DEEP + "]" * DEEP,
        '{"a":' * 900 + "1" + "}" * 900,
        "[" * (schema.DEEPEST + 2) + "]" * (schema.DEEPEST + 2),
        "[1e999]",
        "9" * 5000,
        b"\xff\xfe\xff",
        "[" + "[]," * 3_000_000 + "1]",
    ],
)
def test_json_beyond_the_bounds_is_a_value_error(text):
    with pytest.raises(ValueError):
        schema.from_json(text)


def test_json_within_the_bounds_is_read_and_what_json_lacks_is_null():
    levels = "[" * schema.DEEPEST + "1" + "]" * schema.DEEPEST
    assert schema.from_json(levels) is not None
    assert schema.from_json('{"a": NaN, "b": [Infinity, 2.5]}') == {"a": None, "b": [None, 2.5]}


@pytest.mark.parametrize(
    "text",
    [
        f"crop = {'[' * 50_000}",
        "a." * 20_000 + "b = 1",
        f"[{'a.' * 20_000}b]",
        "crop = " + "{a=" * 5000,
        "x = inf",
        "# " + "word " * 100_000,
    ],
)
def test_toml_beyond_the_bounds_is_a_value_error(text):
    with pytest.raises(ValueError):
        schema.from_toml(text)


@pytest.mark.parametrize(
    ("read", "given", "found"),
    [
        (schema.line, " a\tb\n c\u2028d ", "a b c d"),
        (schema.whole(1, 9), 9, 9),
        (schema.number, 3, 3.0),
        (schema.scale, 4, (4, 4)),
        (schema.scale, [1, 4], (1, 4)),
        (schema.optional(schema.number), None, None),
        (schema.several(schema.number, 2), [1, 2.5], (1.0, 2.5)),
        (schema.scalar, True, True),
    ],
)
def test_a_reader_gives_the_value(read, given, found):
    assert read(given) == found


@pytest.mark.parametrize(
    ("read", "given"),
    [
        *((schema.line, v) for v in (5, None, ["x"], "a\x1b[31m", "a\0", "\ud800", "a" * 201)),
        *((schema.whole(1, 9), v) for v in (0, 10, True, 1.0, "1", None, 10**400)),
        *((schema.number, v) for v in (True, "1", None, float("nan"), float("inf"), 10**400, 1j)),
        *((schema.scale, v) for v in (0, 65, "4", [4], [1, True], None, {}, 4.0)),
        *((schema.several(schema.number), v) for v in ("12", {}, 5, [None], [0] * 10_001)),
        *((schema.path, v) for v in ("a\0b", 5, "a" * 5000)),
        *((schema.mapping, v) for v in ([], "x", {1: 2})),
        *((schema.one_of(("a", "b")), v) for v in ("c", ["a"], {})),
    ],
)
def test_a_reader_refuses_what_is_something_else_in_one_short_line(read, given):
    with pytest.raises(ValueError, match="must") as caught:
        read(given)
    said = str(caught.value)
    assert said.isprintable() and len(said) < 200


def test_fields_are_named_where_they_are_wrong_or_missing():
    readers = {"a": schema.number, "b": lambda v: schema.fields_of(v, {"c": schema.line})}
    with pytest.raises(ValueError, match=r"^its a must be a finite number, not 'x'$"):
        schema.fields_of({"a": "x"}, readers)
    with pytest.raises(ValueError, match=r"^its b's c must be text, not 5$"):
        schema.fields_of({"b": {"c": 5}}, readers)
    with pytest.raises(ValueError, match="it has no a"):
        schema.fields_of({"b": {}}, readers, readers)
    assert schema.fields_of({"a": 1, "z": DEEP}, readers) == {"a": 1.0}


@pytest.mark.parametrize("text", ["[" * DEEP, "[]", "5", '{"a":' * DEEP, '{"metadata": 5}', None])
def test_text_that_is_no_notes_is_none(text):
    assert from_text(text) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"axes": 5},
        {"shape": [2, 8, 9.5]},
        {"shape": [2, 8, -9]},
        {"shape": [2, 8, 10**30]},
        {"scale": [1, 0, 1]},
        {"scale": [1, "a", 1]},
        {"scale": [1, None, 1]},
        {"translate": [10**400, 0, 0]},
        {"units": [1, 2, 3]},
        {"units": ["\x1b[2J", "pixel", "pixel"]},
    ],
)
def test_a_layout_that_says_nonsense_is_not_believed_and_the_rest_is_kept(wrong):
    notes = from_text(to_text({"layout": LAYOUT | wrong, "metadata": {"a": 1}}))
    assert notes == {"metadata": {"a": 1}}
    whole = from_text(to_text({"layout": LAYOUT, "metadata": {}}))
    assert valid_layout(whole, "ZYX", (2, 8, 9), None) == whole["layout"] != None  # noqa: E711
    assert valid_layout(whole, "ZYX", (2, 8, 8), None) is None


def test_metadata_that_is_nested_without_end_is_written_so_that_it_is_read_again():
    endless = {}
    endless["a"] = [endless]
    text = to_text({"layout": LAYOUT, "metadata": jsonable({"deep": endless, "x": 1})})
    assert from_text(text)["metadata"]["x"] == 1
