"""`napari-srgan presets`: options that are kept under names, for `--preset` and for napari."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK, add_options, typed
from napari_srgan.cli.terminal import table, tell
from napari_srgan.options import RestoreOptions, declared


def add(commands: Any) -> None:
    """Describe the command."""
    presets = commands.add_parser(
        "presets",
        help="list options that are kept under names, or keep some",
        description="Presets are options of 'upscale' that are kept under a name, for "
        "'upscale --preset NAME' and for the panel in napari, which lists and saves the same.",
    )
    presets.add_argument("--json", action="store_true", help="print one JSON line per preset")
    actions = presets.add_subparsers(dest="action", metavar="[show | save | delete NAME]")
    show = actions.add_parser("show", help="print the options of a preset, as they are typed")
    save = actions.add_parser("save", help="keep the options that follow under a name")
    delete = actions.add_parser("delete", help="forget a preset")
    for each in (show, save, delete):
        each.add_argument("name", metavar="NAME", help="of the preset")
    add_options(save, RestoreOptions)
    save.add_argument("--overwrite", action="store_true", help="replace a preset of that name")


def run(arguments: argparse.Namespace) -> int:
    """List the presets, or do one thing with one of them."""
    from napari_srgan.tasks.presets import delete_preset, find_preset, list_presets, save_preset

    if arguments.action == "save":
        save_preset(arguments.name, typed(arguments, RestoreOptions), arguments.overwrite)
        tell(f"{arguments.name}: {as_flags(find_preset(arguments.name))}")
    elif arguments.action == "delete":
        delete_preset(arguments.name)
        tell(f"{arguments.name} is deleted")
    elif arguments.action == "show":
        tell(as_flags(find_preset(arguments.name)))
    else:
        known = list_presets()
        if arguments.json:
            for name, options in known.items():
                tell(json.dumps({"name": name, "options": options}))
        elif known:
            rows = [(name, as_flags(options)) for name, options in known.items()]
            tell(table([("name", "options"), *rows]))
        else:
            tell("There are no presets yet; 'napari-srgan presets save NAME --model M' keeps one.")
    return EXIT_OK


def as_flags(options: Mapping[str, str | bool]) -> str:
    """Write options as they are typed on the command line."""
    flags = {f.name: f.metadata["flag"] for f in declared(RestoreOptions)}
    words = []
    for name, value in options.items():
        flag = flags.get(name) or f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, value]
    return shlex.join(words)
