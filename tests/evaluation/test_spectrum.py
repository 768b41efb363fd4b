import math

import pytest
import torch

from motiongan.evaluation.spectrum import PIECE, spectrum_distance, velocity_power

RATE = 30.0


def swinging(make_windows, hertz: float, joint: int = 20, size: float = 0.1, **settings):
    """Bodies of which one joint swings sideways, each from another phase."""
    joints = torch.zeros(6, 60, 24, 3)
    time = torch.arange(60) / RATE
    phase = torch.arange(6)[:, None]
    joints[:, :, joint, 0] = size * torch.sin(2 * math.pi * hertz * time + phase)
    return make_windows(joints, **settings)


def test_power_lies_at_the_frequency_of_the_motion_and_grows_with_its_square(make_windows):
    power = velocity_power(swinging(make_windows, 5.0)).mean(0)
    assert power.shape == (22, round(PIECE * RATE) // 2 + 1)
    assert power[20].argmax().item() == 4  # 5 Hz in steps of 1.25 Hz
    assert power[19].abs().max() == 0
    double = velocity_power(swinging(make_windows, 5.0, size=0.2)).mean(0)
    assert (double[20].sum() / power[20].sum()).item() == pytest.approx(4, rel=1e-4)


def test_a_motion_that_is_faster_by_so_many_hertz_is_that_far_away(make_windows):
    slow, fast = (velocity_power(swinging(make_windows, hertz)).mean(0) for hertz in (3.75, 6.25))
    slow, fast = slow[20:21], fast[20:21]
    assert spectrum_distance(slow, slow).item() == 0
    assert spectrum_distance(fast, slow).item() == pytest.approx(2.5, abs=0.1)
    assert spectrum_distance(torch.stack([fast, 7 * fast]), slow) == pytest.approx(2.5, abs=0.1)  # size is no matter


def test_joints_weigh_by_the_power_of_the_real_motion():
    real = torch.tensor([[3.0, 0.0], [1.0, 0.0]])
    other = torch.tensor([[1.0, 0.0], [0.0, 5.0]])  # the joint with a quarter of the power moved by one step
    assert spectrum_distance(other, real).item() == pytest.approx(0.25 / PIECE)
    resting = torch.cat([real, torch.zeros(1, 2)])
    moving = torch.cat([other, torch.ones(1, 2)])
    assert spectrum_distance(moving, resting).item() == pytest.approx(0.25 / PIECE)


def test_pieces_are_of_valid_frames_alone_and_a_short_window_has_none(make_windows):
    windows = swinging(make_windows, 5.0, lengths=[60, 60, 60, 40, 30, 20])
    power = velocity_power(windows)
    cut = velocity_power(swinging(make_windows, 5.0)[torch.tensor([4])])
    assert power[5].abs().max() == 0
    assert power[4].argmax() == cut[0].argmax()
    windows.joints[4, 30:] = 1e3  # not looked at
    dirty = velocity_power(windows[torch.arange(6)])
    assert torch.equal(dirty[4], power[4])
