"""Steadying: trembling goes where the body is quiet, movement stays."""

import math

import pytest
import torch
from torch.testing import assert_close

from motiongan.motion.features import CONTACTS, HEIGHT, NUM_FEATURES, ROTATIONS, VELOCITY, rotation_6d, rotation_from_6d
from motiongan.motion.steadying import steady

RATE = 30.0


def turning(angles: torch.Tensor) -> torch.Tensor:
    """Features of a body at rest but for its joint 5, which turns about x by these angles (frames,)."""
    features = torch.zeros(1, len(angles), NUM_FEATURES)
    rotations = torch.eye(3).repeat(len(angles), 22, 1, 1)
    cosine, sine = angles.cos(), angles.sin()
    rotations[:, 5, 1, 1], rotations[:, 5, 1, 2] = cosine, -sine
    rotations[:, 5, 2, 1], rotations[:, 5, 2, 2] = sine, cosine
    features[0, :, ROTATIONS] = rotation_6d(rotations).flatten(1)
    return features


def angle(features: torch.Tensor) -> torch.Tensor:
    rotation = rotation_from_6d(features[0, :, ROTATIONS].unflatten(-1, (22, 6))[:, 5])
    return torch.atan2(rotation[:, 2, 1], rotation[:, 2, 2])


@pytest.mark.parametrize("rate", [30.0, 120.0])
def test_trembling_of_a_resting_joint_goes(rate):
    time = torch.arange(int(2 * rate)) / rate
    trembling = 0.02 * torch.sin(2 * math.pi * 10 * time)  # 1 degree at 10 Hz
    left = angle(steady(turning(0.3 + trembling), rate))
    inner = slice(int(0.3 * rate), -int(0.3 * rate))  # the ends repeat
    assert left[inner].std() < 0.1 * trembling.std()
    assert left[inner].mean() == pytest.approx(0.3, abs=1e-3)


def test_a_swing_keeps_its_way_and_its_trembling():
    time = torch.arange(90) / RATE
    swing = 0.8 * torch.sin(2 * math.pi * 1.5 * time)  # up to 7.5 rad/s
    assert_close(angle(steady(turning(swing), RATE))[3:-3], swing[3:-3], atol=0.01, rtol=0)


def test_a_slow_movement_keeps_its_way():
    time = torch.arange(90) / RATE
    slow = 0.4 * torch.sin(2 * math.pi * 0.3 * time)
    assert_close(angle(steady(turning(slow), RATE))[10:-10], slow[10:-10], atol=0.005, rtol=0)


def test_joints_at_rest_and_contacts_stay_as_they_are():
    features = turning(torch.zeros(40))
    features[..., CONTACTS] = torch.rand(1, 40, 4, generator=torch.Generator().manual_seed(0))
    features[..., HEIGHT] = 1.0
    assert_close(steady(features, RATE), features, atol=1e-6, rtol=0)


def test_the_root_of_who_stands_is_smoothed_and_of_who_runs_is_not():
    noise = 0.05 * torch.randn(1, 60, 2, generator=torch.Generator().manual_seed(0))
    for speed, kept in ((0.0, (0.0, 0.5)), (4.0, (0.98, 1.02))):
        features = turning(torch.zeros(60))
        features[..., VELOCITY] = noise + torch.tensor([speed, 0.0])
        left = steady(features, RATE)[..., VELOCITY] - torch.tensor([speed, 0.0])
        assert kept[0] <= float(left.std() / noise.std()) <= kept[1]


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_a_frame_or_two_come_through(frames):
    features = turning(torch.full((frames,), 0.2))
    assert_close(steady(features, RATE), features, atol=1e-6, rtol=0)
