"""Every option is declared once, and every face has it: the call and the commands."""

import inspect

import pytest

from napari_srgan import upscale
from napari_srgan.cli import parser
from napari_srgan.cli.arguments import chosen
from napari_srgan.options import (
    CalibrateOptions,
    CompareOptions,
    EvaluateOptions,
    FigureOptions,
    FileOptions,
    MapOptions,
    MovieOptions,
    PartOptions,
    RestoreOptions,
    ShareOptions,
    declared,
)

COMMANDS = {
    "upscale": (
        "a.tif b.tif",
        (RestoreOptions, PartOptions, FileOptions, ShareOptions),
        {
            "paths",
            "out_dir",
            "overwrite",
            "json",
            "view",
            "trust_mask",
            "preset",
            "watch",
            "pattern",
            "skip_existing",
            "each",
        },
        set(),
    ),
    "trust": (
        "a.tif --out maps",
        (RestoreOptions, PartOptions, MapOptions),
        {"input", "out", "overwrite", "json", "preset"},
        {"back_project", "outscale", "factor_axes"},  # the maps are of the network's own result
    ),
    "report": (
        "a.tif -o a.html",
        (RestoreOptions, PartOptions, CompareOptions),
        {"input", "output", "reference", "show", "overwrite", "json", "preset"},
        # The page always has rings, takes the range of the reference, and shows whole planes of
        # the model's own result.
        {"roi", "data_range", "frc", "frc_threshold", "outscale", "factor_axes"},
    ),
    "compare": (
        "a.tif b.tif",
        (CompareOptions, PartOptions),
        {"reference", "candidates", "low", "error_map", "csv", "overwrite", "json"},
        {"roi", "series", "level"},
    ),
    "figure": (
        "a.tif -o a.png",
        (FigureOptions,),
        {"result", "low", "reference", "output", "overwrite"},
        set(),
    ),
    "movie": (
        "a.tif -o a.gif",
        (MovieOptions,),
        {"result", "low", "reference", "output", "overwrite"},
        set(),
    ),
    "evaluate": ("folder", (EvaluateOptions,), {"paths", "csv", "overwrite", "json"}, set()),
    "calibrate": (
        "folder",
        (CalibrateOptions,),
        {"paths", "choose_on", "check", "keep", "json"},
        set(),
    ),
}
"""Of each command: what has to be typed, its options, what it has beside them, and what of them it
leaves out."""


def names(*classes):
    return {f.name for cls in classes for f in declared(cls)}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_the_options_that_are_declared(command):
    typed, classes, beside, left_out = COMMANDS[command]
    whole = parser()
    found = {action.dest for action in own_parser(whole, command)._actions}
    assert found - {"help"} == names(*classes) - left_out | beside
    arguments = whole.parse_args([command, *typed.split()])
    for cls in classes:
        assert chosen(arguments, cls) == cls()


def own_parser(whole, command):
    (commands,) = (a for a in whole._actions if a.dest == "command")
    return commands.choices[command]


def test_the_call_has_the_options_that_are_declared_with_the_same_defaults():
    """`region` stands for the slices and the region that are typed."""
    found = dict(inspect.signature(upscale).parameters)
    part = names(PartOptions) - {"slices", "roi"} | {"region"}
    assert set(found) - {"image", "progress"} == names(RestoreOptions) | part
    for f in declared(RestoreOptions):
        assert found[f.name].default == f.default, f.name


@pytest.mark.parametrize(
    "cls", [RestoreOptions, PartOptions, FileOptions, MapOptions, CompareOptions, EvaluateOptions]
)
def test_every_option_is_described(cls):
    for f in declared(cls):
        assert f.metadata["help"], f.name
        assert f.default is None or not f.metadata["choices"] or f.default in f.metadata["choices"]
    cls()
