"""A network's outline: its modules with the shapes of their weights, and no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def outline(most: int) -> Iterator[None]:
    """Let networks be built without memory for their weights, and of no more than so many.

    Parameters
    ----------
    most : int
        Weights and buffers that a network may have.

    Raises
    ------
    ValueError
        Where a network that is built within has more, before the next one is made.
    """
    with torch.device("meta"), _NoValues(most):
        yield


class _NoValues(TorchFunctionMode):
    """Counts the tensors that are made, and leaves out what would set their values.

    Drawing weights on the meta device would import torch._dynamo, whose LLVM clashes with that of
    Mesa and ends napari.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry out a function of torch, called while modules are made."""
        if func in _MAKE:
            self._left -= 1
            if self._left < 0:
                raise ValueError("it has more weights than its file holds")
        elif func.__name__.endswith("_") and not func.__name__.startswith("_"):
            return args[0] if args else (kwargs or {})["tensor"]  # in place, as `normal_`
        return func(*args, **(kwargs or {}))


_MAKE = frozenset((torch.empty, torch.zeros, torch.ones, torch.full, torch.tensor))
