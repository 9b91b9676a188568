"""A parser that answers a mistake with one sentence; the training's command uses it too."""

from __future__ import annotations

import argparse
import sys
from typing import Any, ClassVar, NoReturn

from napari_srgan.cli.arguments import EXIT_INPUT
from napari_srgan.cli.terminal import say
from napari_srgan.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one sentence instead of the whole usage.

    Attributes
    ----------
    program : str
        Who says the sentence.
    """

    program: ClassVar[str] = "napari-srgan"

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, but for text that no system takes as a name, and for flags that are not known."""
        self.words = sys.argv[1:] if args is None else list(args)
        if any("\0" in word for word in self.words):
            self.error("an argument holds a null byte, which no name can")
        known, rest = super().parse_known_args(self.words, namespace)
        for flag in (word.partition("=")[0] for word in rest if word.startswith("--")):
            # argparse gives no list of its flags; this one holds those of groups too.
            self.error(
                f"there is no option {flag}{did_you_mean(flag, self._option_string_actions)}"
            )
        return known, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with the exit code of a mistake."""
        sentence = message[:1].upper() + message[1:]
        self.complain(f"{sentence}; see '{self.prog} --help'.")
        raise SystemExit(EXIT_INPUT)

    def complain(self, sentence: str) -> None:
        """Tell the user of a mistake."""
        say(sentence, self.program)
