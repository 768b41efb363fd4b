"""Smooth curves in time by least squares: every row is a short stencil on neighbouring frames."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

DIFFERENCES: tuple[tuple[float, ...], ...] = ((1.0,), (-1.0, 1.0), (1.0, -2.0, 1.0), (-1.0, 3.0, -3.0, 1.0))
_BANDWIDTH = 3


class BandedLeastSquares:
    """Minimises the sum of ((stencil * x)(t) - target(t))^2 / tolerance(t)^2 over curves x, for a batch of clips.

    All columns (x, y, z) of a clip share the rows' weights, so that each clip costs one banded factorisation.
    """

    def __init__(self, num_clips: int, num_frames: int, num_columns: int) -> None:
        self._bands = np.zeros((num_clips, _BANDWIDTH + 1, num_frames))
        self._right = np.zeros((num_clips, num_frames, num_columns))

    def add(
        self,
        stencil: Sequence[float | ndarray],
        target: Float[ndarray, "#clips #rows #columns"] | float,
        weight: Float[ndarray, "#clips #rows"] | float,
    ) -> None:
        """Add rows: row t acts on frames t, t + 1, ... with the stencil's coefficients (numbers, or one per row).

        weight   1 / tolerance^2 of each row; 0 leaves the row out
        """
        num_clips, num_frames, num_columns = self._right.shape
        rows = num_frames - len(stencil) + 1
        weights = np.broadcast_to(np.asarray(weight, dtype=np.float64), (num_clips, rows))
        targets = np.broadcast_to(np.asarray(target, dtype=np.float64), (num_clips, rows, num_columns))
        for i, first in enumerate(stencil):
            self._right[:, i : i + rows] += (weights * first)[..., None] * targets
            for j, second in enumerate(stencil[i:], start=i):
                self._bands[:, j - i, i : i + rows] += weights * first * second

    def solve(self) -> Float[ndarray, "clips frames columns"]:
        from scipy.linalg import solveh_banded

        return np.stack(
            [
                solveh_banded(bands, right, lower=True, check_finite=False)
                for bands, right in zip(self._bands, self._right)
            ]
        )


def spread(
    correction: Float[ndarray, "clips frames columns"],
    pinned: Bool[ndarray, "clips frames"],
    *,
    time_constant: float,
    frame_rate: float,
) -> Float[ndarray, "clips frames columns"]:
    """The correction where it is pinned; between, a smooth way (least bending) to 0 and back.

    time_constant   seconds in which it fades away from a pinned stretch
    """
    problem = BandedLeastSquares(*correction.shape)
    problem.add(DIFFERENCES[0], correction * pinned[..., None], np.where(pinned, 1e8, 1.0))
    problem.add(DIFFERENCES[2], 0.0, (time_constant * frame_rate) ** 4)
    return problem.solve()
