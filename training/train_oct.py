"""The command `python -m training.train_oct`: answers mistakes, and hears signals.

Nothing heavy is imported before the arguments are understood, so that help and mistakes are
answered at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType, TracebackType

from napari_srgan.engine.devices import is_out_of_memory
from napari_srgan.errors import InputError
from napari_srgan.io.atomic import remove_unfinished
from training.command_line import DEFAULT_PAGE, complain, parser, teller


class Signals:
    """Notes the first SIGINT, SIGTERM or SIGHUP while it is entered; a second one ends at once.

    Attributes
    ----------
    came : int
        Number of the signal that came, or 0.
    """

    def __init__(self) -> None:
        self.came = 0
        self._count = 0
        self._former: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Signals:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or signal.getsignal(number) == signal.SIG_IGN:  # nohup
                continue
            try:
                self._former[number] = signal.signal(number, self._note)  # type: ignore[assignment]
            except ValueError:  # not the main thread: signals are not ours to handle
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:  # while the second is being seen to
            remove_unfinished()
            os._exit(self.exit_code)
        if self.came:
            raise KeyboardInterrupt
        self.came = number

    @property
    def exit_code(self) -> int:
        """What a program that was ended by this signal returns."""
        return 128 + (self.came or signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        0; 2 after one sentence; 130 or 143 after Ctrl-C or a request to end, when the run can be
        resumed.
    """
    options = parser().parse_args(arguments)
    as_json = options.json_progress
    signals = Signals()
    try:
        with signals, ExitStack() as undo:
            from training.start import carry_out, request

            asked = request(options, teller(as_json))
            if options.look is not None:
                from training.look import look

                look(asked, None if options.look == DEFAULT_PAGE else options.look)
                return 0
            if options.tune:
                from training.space import read_space
                from training.tune import tune

                space = read_space(options.space, asked.recipe)
                tuned = tune(asked, options.tune, space, lambda: bool(signals.came))
                return 0 if tuned.finished else signals.exit_code
            trained = carry_out(asked, lambda: bool(signals.came), undo)
            return 0 if trained.finished else signals.exit_code
    except InputError as error:
        complain(str(error), as_json)
    except OSError as error:
        complain(f"{error.filename or 'The system'}: {error.strerror or error}.", as_json)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        complain(
            "The memory is not enough; give a smaller --batch or --crop, or fewer --features. The "
            "last checkpoint, if there is one, is whole.",
            as_json,
        )
    except KeyboardInterrupt:
        complain("Stopped at once; the last checkpoint is whole.", as_json)
        return signals.exit_code
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
