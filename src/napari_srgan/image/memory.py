"""What was found out about a stack, kept for the session: by its files, if it lies in some.

Opening a file again, or a slice of it, must not cost another look at all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from napari_srgan.image.stack import Stack

_MOST = 512
"""Findings about files that are kept; each is a few numbers."""

_BY_STACK: WeakKeyDictionary[Stack, dict[Hashable, Any]] = WeakKeyDictionary()
_BY_FILE: dict[Hashable, Any] = {}

T = TypeVar("T")


def remembered(stack: Stack, what: Hashable, find: Callable[[], T]) -> T:
    """Find something out, once.

    Parameters
    ----------
    stack : Stack
        Data that stay in files say which with ``identity``: where they are, their size, and when
        they were written. Of others the stack itself is remembered, while it lives.
    what : hashable
        The question.
    find : callable
        Gives the answer; what it raises is not kept.

    Returns
    -------
    object
        What `find` returned, now or before.
    """
    known, key = _place(stack, what)
    if key in known:
        answer: T = known[key]
        return answer
    found = find()
    while known is _BY_FILE and len(known) >= _MOST:
        known.pop(next(iter(known)), None)
    known[key] = found
    return found


def recall(stack: Stack, what: Hashable) -> Any:
    """Return the answer to a question that was asked before; None if it was not."""
    known, key = _place(stack, what)
    return known.get(key)


def _place(stack: Stack, what: Hashable) -> tuple[dict[Hashable, Any], Hashable]:
    """Say where the answer is kept, and under which key."""
    identity = getattr(stack.data, "identity", None)
    if identity is None:
        return _BY_STACK.setdefault(stack, {}), what
    return _BY_FILE, (identity, stack.axes, what)
