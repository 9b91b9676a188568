"""Which numbers are values at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e30
"""From here on a float stands for no value: the largest of float32 in raw Heidelberg exports,
9.97e36 in netCDF, 1.7e38 in Surfer. No detector counts so far."""


def is_value(values: Any) -> NDArray[np.bool_]:
    """Say of each number whether it is a value: neither NaN nor infinite nor absurd.

    Parameters
    ----------
    values : array-like of a real dtype

    Returns
    -------
    ndarray of bool, same shape
    """
    values = np.asarray(values)
    if values.dtype.kind != "f" or values.dtype.itemsize < 4:  # these do not reach so far
        known: NDArray[np.bool_] = np.isfinite(values)
    else:
        known = np.abs(values) < FARTHEST  # false of NaN
    return known
