"""The journal of an output that is not whole yet: what it is made from, and which planes are done.

It is a folder of small files beside the output. ``run.json`` says what the pixels follow from,
``machine.json`` what computes them, and every other file marks planes that lie on the disk, with
what was measured on them. A mark is written after its planes are on the disk, under another name,
and renamed. So any number of processes can mark planes of their own, on a network disk too, and no
mark is ever half there; one that a power cut spoilt counts as none, and its planes are made again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.atomic import JOURNAL, RUN, leftovers, remove_journal, rename_to_new

_MACHINE = "machine.json"
_MARK = ".done"

Place = tuple[int, ...]
"""A plane of the output, by its index over `OutputSpec.plane_axes`."""
Found = Mapping[str, Any]
"""What was measured on a plane, as JSON holds it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the pixels of an output follow from.

    Attributes
    ----------
    settings : mapping of str to str
        All that decides them, by the words that a sentence has for it.
    machine : mapping of str to str
        The same of what computes them. Of a store that several jobs fill it is not known when
        that is prepared: the first of them decides for all.
    settled : mapping
        What a run that goes on takes over as it was found, as JSON holds it.
    """

    settings: Mapping[str, str]
    machine: Mapping[str, str] = field(default_factory=dict)
    settled: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What there is of an output when a run opens it.

    Attributes
    ----------
    planes : mapping
        Those that are done, with what was found on each.
    machine : mapping of str to str
        What has computed them.
    """

    planes: Mapping[Place, Found] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)


class Journal:
    """The journal in a folder, whether or not it is there.

    Parameters
    ----------
    folder : Path
    output : Path
        The output, for messages.
    """

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder, self._output = folder, output

    def begin(self, origin: Origin, shared: bool = False) -> None:
        """Write down in the folder, which is there, what an output is made from.

        Parameters
        ----------
        origin : Origin
        shared : bool
            Whether several jobs will fill it, each by `claim`.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        if not shared:
            self._write(_MACHINE, origin.machine)
        said = {"settings": origin.settings, "settled": origin.settled, "shared": shared}
        self._write(RUN, said)

    @property
    def origin(self) -> Origin:
        """What the output is made from; InputError if the journal does not say."""
        run = self._run()
        return Origin(_texts(run["settings"]), self._machine(), schema.mapping(run["settled"]))

    @property
    def shared(self) -> bool:
        """Whether several jobs fill the output; InputError as of `origin`."""
        return bool(self._run().get("shared"))

    def check(self, origin: Origin) -> None:
        """Refuse to go on with other settings than those at the start.

        Raises
        ------
        InputError
            That names each of them with both values.
        """
        self._compare(self.origin.settings, origin.settings)

    def claim(self, origin: Origin) -> None:
        """Refuse to compute planes by something else than the others; who is first decides.

        Raises
        ------
        InputError
            That names each difference with both values.
        """
        hidden = self._hidden(_MACHINE, origin.machine)
        with suppress(FileExistsError):
            rename_to_new(hidden, self.folder / _MACHINE)
        hidden.unlink(missing_ok=True)
        self._compare(self._machine(), origin.machine)

    def _compare(self, then: Mapping[str, str], now: Mapping[str, str]) -> None:
        other = [
            f"{name}: {then.get(name, 'not known')} then, {now.get(name, 'not known')} now"
            for name in dict.fromkeys((*then, *now))
            if then.get(name) != now.get(name)
        ]
        if other:
            # What other jobs have made is nothing for one of them to throw away.
            instead = "" if self.shared else ", or overwrite it with --overwrite"
            raise InputError(
                f"The unfinished {self._output.name} was not made from the same ("
                f"{'; '.join(other)}); go on with what it was made from{instead}."
            )

    def mark(self, planes: Mapping[Place, Found]) -> None:
        """Mark planes that are on the disk; OSError if it takes no more.

        A process marks no plane that another one marks at the same time.
        """
        if planes:
            entries = [[list(place), found] for place, found in planes.items()]
            first = "-".join(map(str, next(iter(planes)))) or "plane"
            self._write(f"{first}{_MARK}", entries)

    def planes(self) -> dict[Place, Found]:
        """Return what was measured on the planes that are done, in their order."""
        done: dict[Place, Found] = {}
        with suppress(FileNotFoundError):
            for path in self.folder.glob(f"*{_MARK}"):
                with suppress(ValueError, OSError):  # a power cut spoilt it
                    done |= _marks(schema.from_json(path.read_bytes()))
        return dict(sorted(done.items()))

    def remove(self) -> None:
        """Remove it; harmless at any time."""
        with suppress(OSError):
            remove_journal(self.folder)

    def _run(self) -> dict[str, Any]:
        try:
            run = schema.from_json((self.folder / RUN).read_bytes())
            return schema.fields_of(run, _READERS, ("settings", "settled"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"The unfinished {self._output.name} does not say what it was made from "
                f"({self.folder / RUN} is damaged or missing); start anew with --overwrite."
            ) from error

    def _machine(self) -> Mapping[str, str]:
        with suppress(OSError, ValueError):
            return _texts(schema.from_json((self.folder / _MACHINE).read_bytes()))
        return {}

    def _write(self, name: str, value: Any) -> None:
        os.replace(self._hidden(name, value), self.folder / name)  # noqa: PTH105 (the atomic one)

    def _hidden(self, name: str, value: Any) -> Path:
        hidden = self.folder / f"{name}.{secrets.token_hex(4)}"
        with hidden.open("w", encoding="utf-8") as file:
            json.dump(value, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        return hidden


def _texts(value: Any) -> dict[str, str]:
    return {key: schema.prose(text) for key, text in schema.mapping(value).items()}


_READERS: Mapping[str, schema.Reader[Any]] = {
    "settings": _texts,
    "settled": schema.mapping,
    "shared": bool,
}


def _marks(entries: Any) -> dict[Place, Found]:
    index = schema.several(schema.whole(0, 2**62))
    pairs = schema.several(schema.several(lambda value: value, 2))(entries)
    return {index(place): schema.mapping(found) for place, found in pairs}


def unfinished(target: Path) -> tuple[Path, Journal] | None:
    """Find the unfinished file of a target that a run can go on with, and its journal."""
    for path in leftovers(target):
        journal = Journal(path.with_suffix(JOURNAL), target)
        if (journal.folder / RUN).is_file():
            return path, journal
    return None


def planes_done(target: Path) -> int | None:
    """Count the planes that are done of the unfinished output of a target; None if it has none."""
    found = unfinished(target)
    return None if found is None else len(found[1].planes())
