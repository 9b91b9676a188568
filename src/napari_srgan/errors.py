"""The errors that a user is meant to read: one sentence each, shown as it stands."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was given cannot be used: one sentence says what, where and what to do about it.

    The command line prints it and exits with code 2; the widgets show it. Anything else
    that is raised is a defect of the program.
    """


class OutputExists(InputError):
    """The output is already there and overwriting was not asked for."""


class OutputBusy(InputError):
    """Another run is writing the output."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ask whether the known word that is most like a mistyped one was meant; "" if none is."""
    like = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {like[0]}?)" if like else ""
