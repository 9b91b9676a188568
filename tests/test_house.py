"""The house of docs/architecture.md: its layers, its arrows that only point down, and no circle.

The imports are read from the source, without importing anything. Late imports count as any other,
since a file needs them too. Imports under ``TYPE_CHECKING`` count for the arrows between layers,
for who names a type knows it, but make no circle: nothing runs there.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from napari_srgan import __version__

ROOT = Path(__file__).parents[1]
PACKAGE = "napari_srgan"
LAYERS = (
    ("errors", "options", "image", "io", "synthetic"),  # ground
    ("models", "measure", "trust"),  # knowledge
    ("engine",),
    ("tasks",),
    ("__init__", "api", "cli", "_gui"),  # faces
)
LEVEL = {entry: level for level, entries in enumerate(LAYERS) for entry in entries}
KNOWS_TRAINING = ("cli.train", "cli.runs", "_gui.train.")
"""Faces of a training: beside these the package knows nothing of it."""
SCREEN = {"napari", "qtpy", "magicgui", "superqt"}
MOST_ENTRIES = 16


@dataclass(frozen=True)
class Import:
    """One line of `source` that imports `target`, both by their module's name."""

    source: str
    target: str
    place: str
    typing: bool  # under TYPE_CHECKING

    def __str__(self):
        return f"{self.place} ({self.source}) imports {self.target}"


@cache
def modules():
    """Name every module of the package and of `training`, and where its file is."""
    found = {}
    for folder in (ROOT / "src" / PACKAGE, ROOT / "training"):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert {PACKAGE, "training"} <= set(found)
    return found


def is_for_typing(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def statements(node, typing=False):
    """Yield every import below the node, and whether it is under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, typing
        else:
            yield from statements(child, typing or is_for_typing(child))


def targets(statement, source, path):
    """Name what a statement imports: the module, and of ``from a import b`` also ``a.b``."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    base = statement.module or ""
    if statement.level:
        package = source.split(".") if path.name == "__init__.py" else source.split(".")[:-1]
        above = package[: len(package) - statement.level + 1]
        base = ".".join([*above, *([base] if base else [])])
    return [
        f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules() else base
        for alias in statement.names
    ]


@cache
def imports():
    """Return every import in the package and in `training`."""
    found = {}
    for source, path in modules().items():
        for statement, typing in statements(ast.parse(path.read_text("utf-8"))):
            for target in targets(statement, source, path):
                place = f"{path.relative_to(ROOT)}:{statement.lineno}"
                found[Import(source, target, place, typing)] = None
    return tuple(found)


def own():
    """Return the imports of our own files in another of our own."""
    return [i for i in imports() if i.target in modules() and i.target != i.source]


def entry(module):
    """Return the entry at the top level that a module lies in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def circle(arrows):
    """Return the imports along one circle, or nothing.

    Parameters
    ----------
    arrows : dict of str to dict of str to Import
        From each module or folder to those that it imports.
    """
    done = set()
    for first in arrows:
        way, ways = [], [(first, iter(arrows.get(first, {}).items()))]
        on_the_way = [first]
        while ways:
            here, rest = ways[-1]
            for there, arrow in rest:
                if there in on_the_way:
                    return [*way[on_the_way.index(there) :], arrow]
                if there not in done:
                    way.append(arrow)
                    on_the_way.append(there)
                    ways.append((there, iter(arrows.get(there, {}).items())))
                    break
            else:
                done.add(here)
                ways.pop()
                on_the_way.pop()
                del way[-1:]
    return []


def told(wrong):
    return "\n".join(map(str, wrong))


def test_every_entry_is_in_a_layer_and_there_are_few():
    names = {entry(m) for m in modules() if m.startswith(PACKAGE)}
    assert names <= set(LEVEL), f"in no layer: {', '.join(sorted(names - set(LEVEL)))}"
    assert len(names) <= MOST_ENTRIES, ", ".join(sorted(names))


def test_arrows_only_point_down():
    """A layer may use itself and those below; of all layers, anyone may ask for the version."""
    wrong = [
        i
        for i in own()
        if i.source.startswith(PACKAGE)
        if not i.target.startswith(PACKAGE) or LEVEL[entry(i.target)] > LEVEL[entry(i.source)]
        if i.target != PACKAGE
        if not (
            i.target.startswith("training")
            and i.source.removeprefix(f"{PACKAGE}.").startswith(KNOWS_TRAINING)
        )
    ]
    assert not wrong, told(wrong)


def test_a_training_knows_no_face_but_how_a_terminal_is_talked_to():
    wrong = [
        i
        for i in own()
        if not i.source.startswith(PACKAGE) and i.target != PACKAGE
        if i.target.startswith(PACKAGE) and LEVEL[entry(i.target)] == LEVEL["cli"]
        if i.target not in (f"{PACKAGE}.cli.terminal", f"{PACKAGE}.cli.parser")
    ]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("top", [PACKAGE, "training"])
def test_no_circle_between_files(top):
    arrows = {m: {} for m in modules() if m.split(".")[0] == top}
    for i in own():
        if i.source in arrows and i.target in arrows and not i.typing and i.target != PACKAGE:
            arrows[i.source].setdefault(i.target, i)
    assert not (found := circle(arrows)), told(found)


def folders():
    return sorted({m.rpartition(".")[0] for m in modules()} - {""})


@pytest.mark.parametrize("folder", folders())
def test_no_circle_between_the_entries_of_a_folder(folder):
    """Each sub-folder counts as one; the folder's own `__init__` is left to the test of files."""

    def child(module):
        inside = module.startswith(folder + ".")
        return module[len(folder) + 1 :].split(".")[0] if inside else None

    arrows = {}
    for i in own():
        source, target = child(i.source), child(i.target)
        if source and target and source != target and not i.typing:
            arrows.setdefault(source, {}).setdefault(target, i)
    assert not (found := circle(arrows)), told(found)


def test_only_the_window_knows_a_screen():
    wrong = [
        i
        for i in imports()
        if i.target.split(".")[0] in SCREEN and not i.source.startswith(f"{PACKAGE}._gui")
    ]
    assert not wrong, told(wrong)


def test_a_circle_is_found():
    arrows = {"a": {"b": "ab"}, "b": {"c": "bc", "d": "bd"}, "c": {}, "d": {"b": "db"}}
    assert circle(arrows) == ["bd", "db"]
    assert circle({"a": {"b": "ab", "c": "ac"}, "b": {"c": "bc"}, "c": {}}) == []


def test_one_version_is_named_everywhere():
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    heading = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert cited[1] == __version__
    assert __version__.partition(".dev")[0] in heading[1]
