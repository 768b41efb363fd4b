"""Banded least squares against dense least squares and against curves one can work out."""

import numpy as np

from motiongan.motion.banded import DIFFERENCES, BandedLeastSquares, spread


def test_the_solution_is_that_of_dense_least_squares():
    rng = np.random.default_rng(0)
    clips, frames, columns = 2, 12, 3
    problem = BandedLeastSquares(clips, frames, columns)
    rows: list[list[np.ndarray]] = [[] for _ in range(clips)]
    targets: list[list[np.ndarray]] = [[] for _ in range(clips)]
    varying = [rng.normal(size=(clips, frames - 2)) for _ in range(3)]
    for stencil in (*DIFFERENCES, varying):
        count = frames - len(stencil) + 1
        weight, target = rng.uniform(0.1, 2, (clips, count)), rng.normal(size=(clips, count, columns))
        problem.add(stencil, target, weight)
        for clip in range(clips):
            for row in range(count):
                dense = np.zeros(frames)
                for offset, value in enumerate(stencil):
                    dense[row + offset] = value if np.isscalar(value) else value[clip, row]
                rows[clip].append(np.sqrt(weight[clip, row]) * dense)
                targets[clip].append(np.sqrt(weight[clip, row]) * target[clip, row])
    expected = [np.linalg.lstsq(np.array(rows[clip]), np.array(targets[clip]), rcond=None)[0] for clip in range(clips)]
    np.testing.assert_allclose(problem.solve(), expected, atol=1e-9)


def test_two_ends_and_a_constant_fall_make_a_parabola():
    frames, rate = 31, 60.0
    problem = BandedLeastSquares(1, frames, 1)
    ends = np.zeros((1, frames))
    ends[0, [0, -1]] = 1e6
    problem.add(DIFFERENCES[0], 0.0, ends)
    problem.add(DIFFERENCES[2], -9.81 / rate**2, rate**4)
    time = np.arange(frames) / rate  # half a second: up for a quarter, 9.81 / 2 * 0.25^2 = 0.3066 m
    np.testing.assert_allclose(problem.solve()[0, :, 0], 9.81 / 2 * time * (0.5 - time), atol=1e-4)


def test_a_correction_is_kept_where_pinned_and_fades_away_from_there():
    correction = np.full((1, 200, 1), 5.0)
    pinned = np.zeros((1, 200), dtype=bool)
    pinned[:, :50] = True
    result = spread(correction, pinned, time_constant=0.1, frame_rate=100.0)[0, :, 0]
    np.testing.assert_allclose(result[:50], 5, atol=1e-3)
    assert 0 < result[55] < 5
    assert np.abs(result[150:]).max() < 0.05
    assert np.abs(np.diff(result)).max() < 0.5  # smooth: nowhere a jump
