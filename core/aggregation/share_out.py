"""Values of one set of tiles carried over to another set on the same slide, by area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def share_out(
    values: NDArray[np.floating],
    *,
    from_xy: NDArray[np.integer],
    from_size: tuple[int, int],
    to_xy: NDArray[np.integer],
    to_size: tuple[int, int],
) -> NDArray[np.float64]:
    """Give every tile of the second set the part of each value that lies in it.

    A value is spread evenly over its tile. What falls beside all tiles of the second set is left out, and where those
    overlap it counts in each. On the same tiles the values stay as they are.

    Args:
        values: (M,) of the tiles of the first set.
        from_xy: (M, 2) their top left corners in level-0 px.
        from_size: Their width and height.
        to_xy: (N, 2) corners of the second set.
        to_size: Width and height.

    Returns:
        (N,)
    """
    if from_size == to_size and np.array_equal(from_xy, to_xy):
        return values.astype(np.float64)
    shared = np.zeros(len(to_xy))
    if len(from_xy) == 0 or len(to_xy) == 0:
        return shared
    first, second = np.array(from_size, np.float64), np.array(to_size, np.float64)
    reach = (first + second) / 2
    # Two tiles meet exactly if their centres lie nearer than half their sides together, along x and along y.
    centres = cKDTree((from_xy + first / 2) / reach)
    near = centres.query_ball_point((to_xy + second / 2) / reach, r=1.0, p=np.inf)
    for row, sources in enumerate(near):
        chosen = np.asarray(sources, np.intp)
        low = np.maximum(from_xy[chosen], to_xy[row])
        high = np.minimum(from_xy[chosen] + first, to_xy[row] + second)
        overlap = np.clip(high - low, 0, None).prod(axis=1) / first.prod()
        shared[row] = float(overlap @ values[chosen])
    return shared
