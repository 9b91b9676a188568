"""Looking at parts of an image restored, one after the other, as a person moves over it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from napari_srgan.image.stack import Region, Stack
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import Restored, restore


def look(
    stack: Stack, options: RestoreOptions, regions: Sequence[Region]
) -> Generator[Restored | None, None, None]:
    """Restore some parts in memory, in their order.

    Parameters
    ----------
    stack : Stack
    options : RestoreOptions
        Its region does not count.
    regions : sequence of Region
        What is looked at first comes first.

    Yields
    ------
    Restored or None
        Each part when it is there; None after every tile, where the work can be given up.

    Raises
    ------
    InputError
        If the image, an option or a region cannot be used.
    """
    for region in regions:
        steps = restore(stack, replace(options, region=region))
        try:
            while True:
                next(steps)
                yield None
        except StopIteration as done:
            yield done.value
        finally:
            steps.close()
