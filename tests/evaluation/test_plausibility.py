import math

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d
from scipy.stats import wasserstein_distance

from motiongan.body.flesh import self_penetration
from motiongan.body.skeleton import JOINT, PARENTS
from motiongan.evaluation import plausibility
from motiongan.evaluation.metrics import GRAVITY
from motiongan.evaluation.plausibility import (
    asymmetry,
    bone_drift,
    fall,
    floating,
    off_balance_mm,
    self_penetration_mm,
    skating_ratio,
)

RATE = 30.0
LEFT, RIGHT = JOINT["left_foot"], JOINT["right_foot"]


def toes(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, frames, 24, 3), torch.ones(1, frames, dtype=torch.bool)


def ratio_by_its_description(joints: np.ndarray, frame_rate: float) -> float:
    """The published definition in numpy: contact in two frames, speed now and in the mean of five, either foot."""
    feet = joints[:, [LEFT, RIGHT]]
    speed = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1) * frame_rate
    mean = uniform_filter1d(speed, size=5, axis=0, mode="constant")
    contact = (feet[1:, :, 2] < 0.05) & (feet[:-1, :, 2] < 0.05)
    return float((contact & (speed > 0.5) & (mean > 0.5)).any(1).mean())


def test_the_skating_ratio_is_that_of_its_description_on_any_feet():
    random = np.random.default_rng(0)
    for _ in range(20):
        joints = np.zeros((31, 24, 3), dtype=np.float32)
        joints[:, [LEFT, RIGHT], :2] = random.normal(0, 0.02, (31, 2, 2)).cumsum(0)
        joints[:, [LEFT, RIGHT], 2] = random.uniform(0, 0.07, (31, 2))
        found = skating_ratio(torch.from_numpy(joints)[None], torch.ones(1, 31, dtype=torch.bool), RATE)
        assert found.mean == pytest.approx(ratio_by_its_description(joints, RATE))


def test_padding_does_not_skate_and_ends_a_window_as_its_last_frame_does():
    joints, mask = toes(20)
    joints[0, :, LEFT, 0] = 0.1 * torch.arange(20)  # 3 m/s
    mask[0, 12:] = False
    alone = skating_ratio(joints[:, :12], mask[:, :12], RATE)
    padded = skating_ratio(joints, mask, RATE)
    assert padded.count.item() == 11
    assert padded.total.item() == alone.total.item() > 0


def test_one_quick_step_or_a_high_toe_is_no_skating():
    joints, mask = toes(20)
    joints[0, 10:, LEFT, 0] = 0.05  # 1.5 m/s in one step, 0.3 m/s in the mean of five
    assert skating_ratio(joints, mask, RATE).mean == 0
    joints[0, :, RIGHT, 0] = 0.1 * torch.arange(20)
    assert skating_ratio(joints, mask, RATE).mean == 1
    joints[0, :, RIGHT, 2] = 0.06
    assert skating_ratio(joints, mask, RATE).mean == 0


def test_a_hovering_body_floats_at_its_height_and_a_falling_one_does_not():
    time = torch.arange(12) / RATE
    still = torch.zeros(1, 12, 3)
    falling = still.clone()
    falling[0, :, 2] = 5 - GRAVITY / 2 * time**2
    high, mask = torch.full((1, 12), 0.2), torch.ones(1, 12, dtype=torch.bool)
    assert floating(still, high, mask, RATE).mean == pytest.approx(200)
    assert floating(falling, high, mask, RATE).mean == 0
    assert floating(still, torch.full((1, 12), 0.004), mask, RATE).mean == 0  # within the tolerance
    assert fall(falling.double(), high.double(), mask, RATE).mean == pytest.approx(GRAVITY, abs=1e-3)
    assert fall(still, high, mask, RATE).mean == 0
    assert math.isnan(fall(still, torch.zeros(1, 12), mask, RATE).mean)


def test_off_balance_is_the_mean_over_the_frames_in_which_the_ground_carries_the_body():
    soles = torch.zeros(1, 30, 4, 3)
    centre = torch.tensor([0.17, 0.0, 1.0]).repeat(1, 30, 1)  # 10 cm out of the shoes' rim
    mask = torch.ones(1, 30, dtype=torch.bool)
    soles[0, 9:, :, 0] = 0.17  # from there on it stands
    soles[0, 20:, :, 2] = 0.5
    mask[0, :2] = False
    # The acceleration is known three frames from the clip's ends: 5 to 8 lean, 9 to 19 stand, the rest hangs.
    assert off_balance_mm(centre, soles, mask, RATE).mean == pytest.approx(400 / 15, rel=1e-3)


def test_parts_within_each_other_are_measured_by_the_deepest_pair_of_each_frame(monkeypatch):
    monkeypatch.setattr(plausibility, "_WINDOWS_AT_ONCE", 2)
    joints = torch.randn(5, 8, 24, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    mask = torch.ones(5, 8, dtype=torch.bool)
    mask[0, 3:] = False
    deepest = torch.stack([self_penetration(frame).max() for frame in joints[mask]])
    assert self_penetration_mm(joints, mask).mean == pytest.approx(1000 * float(deepest.mean()), rel=1e-5)


def test_bones_drift_by_what_they_are_longer_or_shorter():
    joints, mask = toes(4)
    for joint in range(1, 24):
        joints[:, :, joint] = joints[:, :, PARENTS[joint]] + torch.tensor([0.0, 0.3, 0.4])  # every bone is 0.5 m
    lengths = torch.full((1, 23), 0.5)
    assert bone_drift(joints, lengths, mask).mean == pytest.approx(0, abs=1e-3)
    head = JOINT["head"]  # no joint hangs on it
    joints[:, 0, head] += torch.tensor([0.0, 0.06, 0.08])  # 10 cm longer in one of four frames, one of 23 bones
    assert bone_drift(joints, lengths, mask).mean == pytest.approx(100 / 4 / 23, rel=1e-3)


def test_asymmetry_is_the_distance_of_what_both_sides_do_at_any_time():
    angles = torch.rand(2, 9, 5, 2, generator=torch.Generator().manual_seed(0)) * 90
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    found = asymmetry(angles, mask)
    for window, length in enumerate((9, 6)):
        sides = angles[window, :length].numpy()
        expected = np.mean([wasserstein_distance(sides[:, limb, 0], sides[:, limb, 1]) for limb in range(5)])
        assert found[torch.tensor([window])].mean == pytest.approx(expected, rel=1e-4)
    later = angles.clone()
    later[..., 1] = angles[..., 0].roll(4, dims=1)  # the right does half a stride later what the left does
    assert asymmetry(later[:1], mask[:1]).mean == pytest.approx(0, abs=1e-4)
