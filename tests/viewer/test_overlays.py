import numpy as np
import pytest

from motiongan.viewer.overlays import find_flights, lane_lines, polyline, runs, smoothed_path, turned

RATE = 100.0


def leap(velocity=(2.0, 0.0, 3.0), start=20, frames=60, num_frames=100):
    """A centre of mass that waits, flies freely from frame `start` for `frames`, and waits; and its clearance."""
    seconds = (np.arange(num_frames) - start).clip(0, frames - 1)[:, None] / RATE
    centre = np.array([0.0, 0.0, 1.0]) + seconds * velocity - np.array([0, 0, 0.5 * 9.81]) * seconds**2
    clearance = np.zeros(num_frames)
    clearance[start : start + frames] = 0.3
    return centre.astype(np.float32), clearance.astype(np.float32)


def test_a_free_flight_is_found_with_its_launch_and_velocity():
    centre, clearance = leap()
    (flight,) = find_flights(centre, clearance, RATE)
    assert (flight.start, flight.stop) == (20, 80)
    np.testing.assert_allclose(flight.launch, [0, 0, 1], atol=1e-4)
    np.testing.assert_allclose(flight.velocity, [2, 0, 3], atol=1e-3)
    assert flight.residual < 1e-4


def test_the_parabola_goes_through_the_flight_and_its_top_is_where_physics_says():
    centre, clearance = leap(frames=62)
    (flight,) = find_flights(centre, clearance, RATE)
    path = flight.path(RATE, num_points=1001)
    np.testing.assert_allclose(path[0], centre[20], atol=1e-4)
    np.testing.assert_allclose(path[-1], centre[81], atol=1e-4)
    assert path[:, 2].max() == pytest.approx(1 + 3**2 / (2 * 9.81), abs=1e-4)  # v^2 / 2g above the launch


def test_a_body_that_floats_is_off_its_parabola():
    centre, clearance = leap()
    centre[:] = [0, 0, 1]  # hangs in the air for 0.6 s instead of falling
    (flight,) = find_flights(centre, clearance, RATE)
    # The residual of g t^2 / 2 against a straight line over T seconds: g T^2 / (2 sqrt(180)) for a dense sampling.
    assert flight.residual == pytest.approx(9.81 * 0.6**2 / (2 * np.sqrt(180)), rel=0.03)


@pytest.mark.parametrize(("frames", "found"), [(7, 0), (8, 1), (150, 1), (151, 0)])
def test_only_what_lasts_as_long_as_a_flight_counts(frames, found):
    centre, clearance = leap(frames=frames, num_frames=200)
    assert len(find_flights(centre, clearance, RATE)) == found


def test_two_frames_are_no_flight_however_long_they_last():
    centre, clearance = leap(frames=2)
    assert find_flights(centre, clearance, 10.0) == []


def test_runs_reach_the_ends():
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)) == [(0, 2), (4, 5), (6, 7)]
    assert runs(np.zeros(3, dtype=bool)) == []


def test_a_polyline_joins_each_point_to_the_next():
    points = np.arange(9.0).reshape(3, 3)
    assert polyline(points).tolist() == [[[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [6, 7, 8]]]
    assert polyline(points[:1]).shape == (0, 2, 3)


def test_a_straight_steady_walk_is_its_own_smoothed_path():
    walk = np.arange(50)[:, None] * np.array([[0.1, -0.05]])
    np.testing.assert_allclose(smoothed_path(walk, 30.0), walk, atol=1e-9)


def test_smoothing_takes_away_the_sway_but_not_the_way():
    frames = np.arange(300)
    walk = np.stack([0.05 * frames, 0.1 * np.sin(2 * np.pi * frames / 15)], axis=1)  # sways twice a second
    smooth = smoothed_path(walk, 30.0)
    np.testing.assert_allclose(smooth[60:240, 0], walk[60:240, 0], atol=1e-6)
    assert np.abs(smooth[60:240, 1]).max() < 0.005


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_short_paths_keep_their_length(num_frames):
    points = np.random.default_rng(0).normal(size=(num_frames, 2))
    assert smoothed_path(points, 30.0).shape == (num_frames, 2)


def test_a_quarter_turn_brings_x_to_y():
    np.testing.assert_allclose(turned(np.array([[1.0, 0.0], [0.0, 2.0]]), np.pi / 2), [[0, 1], [-2, 0]], atol=1e-12)


def test_a_lane_stays_where_it_is_while_its_lines_move():
    for offset in ([0.0, 0.0], [-3.2, 0.9], [17.05, -0.3]):
        lines = lane_lines(np.array(offset), 1.1, width=2.0, length=6.0)
        assert lines[..., 0].min() == -3
        assert lines[..., 0].max() == 3
        assert lines[..., 1].min() == pytest.approx(0.1)
        assert lines[..., 1].max() == pytest.approx(2.1)
        across = lines[lines[:, 0, 0] == lines[:, 1, 0]]
        np.testing.assert_allclose(np.diff(across[:, 0, 0]), 0.5, atol=1e-5)
        phase = (across[:, 0, 0] - offset[0]) / 0.5  # every line is a whole number of steps from the moved origin
        np.testing.assert_allclose(phase, phase.round(), atol=1e-4)
