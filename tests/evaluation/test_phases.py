import math

import pytest
import torch

from motiongan.evaluation.phases import NUM_PHASES, find_phases

RATE = 30.0


def circling(make_windows, begin: float, end: float, count: int = 20, frames: int = 61):
    """Bodies with a wrist on its way round a circle, from one part of a turn to another, each at its own place."""
    start = torch.linspace(0, 0.03, count)[:, None]
    turn = 2 * math.pi * (start + torch.linspace(begin, end, frames))
    joints = torch.zeros(count, frames, 24, 3)
    joints[:, :, 20, 0], joints[:, :, 20, 2] = turn.cos(), 1 + turn.sin()
    return make_windows(joints)


def coverage(phases, windows) -> float:
    return phases.coverage(phases.visits(windows).sum(0)).item()


def test_who_goes_all_the_way_visits_all_and_who_goes_half_visits_half(make_windows):
    real = circling(make_windows, 0, 1)
    phases = find_phases(real, seed=0)
    assert len(phases.shares) == NUM_PHASES
    assert phases.shares.sum() == pytest.approx(1)
    assert coverage(phases, real) == 1
    assert coverage(phases, circling(make_windows, 0, 1, count=3)) > 0.9
    # Twice the speed along half the way would be another phase: slower, as the real ones are.
    half = circling(make_windows, 0, 0.5, frames=31)
    assert coverage(phases, half) == pytest.approx(0.5, abs=0.12)
    assert coverage(phases, circling(make_windows, 0.2, 0.2)) <= 0.1


def test_visits_count_every_second_valid_frame_once(make_windows):
    windows = circling(make_windows, 0, 1, count=4)
    phases = find_phases(windows, seed=0)
    short = make_windows(windows.joints, lengths=[61, 61, 21, 2])
    assert phases.visits(short).sum(1).tolist() == [30, 30, 10, 1]
    assert math.isnan(phases.coverage(torch.zeros(len(phases.shares))).item())


def test_equal_seeds_find_equal_phases(make_windows):
    real = circling(make_windows, 0, 1)
    one, same = find_phases(real, seed=3), find_phases(real, seed=3)
    assert torch.equal(one.centres, same.centres)
