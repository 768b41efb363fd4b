import math

import pytest
import torch

from motiongan.body.joint_sets import JOINT_SETS
from motiongan.utility.perturbation import Perturbation, mirrored, scaled

H36M = JOINT_SETS["h36m17"]
NONE = {"mirror": 0.0, "speed": 1.0, "limb": 0.0, "size": 0.0, "tilt": 0.0}


@pytest.fixture
def joints():
    return torch.randn(6, 27, 17, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 0.0, 1.0])


def bones(joints):
    return {
        name: (joints[..., index, :] - joints[..., parent, :]).norm(dim=-1)
        for index, (name, parent) in enumerate(zip(H36M.names, H36M.parents))
        if parent >= 0
    }


def test_nothing_switched_on_changes_nothing(joints):
    still = Perturbation(**NONE)
    assert torch.allclose(still.apply(joints, generator=torch.Generator()), joints, atol=1e-5)
    assert torch.equal(still.times(2, 27, generator=torch.Generator()), (torch.arange(27.0) - 13).expand(2, -1))


def test_a_mirror_exchanges_left_and_right_and_twice_is_none(joints):
    left, right = H36M.names.index("left_wrist"), H36M.names.index("right_wrist")
    seen = mirrored(joints)
    assert torch.equal(seen[..., left, 0], -joints[..., right, 0])
    assert torch.equal(seen[..., left, 1:], joints[..., right, 1:])
    assert torch.equal(mirrored(seen), joints)


def test_scaling_one_bone_changes_its_length_and_moves_only_what_hangs_on_it(joints):
    scale = torch.ones(6, 17)
    knee, ankle = H36M.names.index("left_knee"), H36M.names.index("left_ankle")
    scale[:, knee] = 1.5
    longer = scaled(joints, scale)
    before, after = bones(joints), bones(longer)
    for name in before:
        assert torch.allclose(after[name], (1.5 if name == "left_knee" else 1.0) * before[name], rtol=1e-4), name
    moved = (longer - joints).norm(dim=-1).amax((0, 1)) > 1e-5
    assert moved.nonzero()[:, 0].tolist() == sorted([knee, ankle])


def test_limbs_of_both_sides_are_scaled_alike_and_steadily_through_a_window(joints):
    other = Perturbation(**{**NONE, "limb": 0.2}).apply(joints, generator=torch.Generator().manual_seed(1))
    before, after = bones(joints), bones(other)
    ratio = {name: after[name] / before[name] for name in before}
    assert torch.allclose(ratio["left_knee"], ratio["right_knee"], rtol=1e-3)
    assert torch.allclose(ratio["left_knee"], ratio["left_knee"][:, :1].expand(-1, 27), rtol=1e-3)
    assert 0.02 < (ratio["left_knee"][:, 0] - 1).abs().max() <= 0.2001
    assert not torch.allclose(ratio["left_knee"], ratio["left_elbow"], rtol=1e-3)


def test_tilt_leans_the_body_by_no_more_than_it_says_about_its_root(joints):
    up = torch.zeros(200, 27, 17, 3)
    up[..., 1:, 2] = 1.0
    leaning = Perturbation(**{**NONE, "tilt": math.radians(10)}).apply(up, generator=torch.Generator().manual_seed(0))
    angle = torch.rad2deg(torch.acos(leaning[:, 0, 5, 2].clamp(max=1)))
    assert 8 < angle.max() <= 10.01
    assert torch.allclose(leaning[:, :, 0], up[:, :, 0])


def test_time_is_warped_within_the_speeds_it_says_and_keeps_the_middle_frame():
    times = Perturbation(speed=1.25).times(500, 27, generator=torch.Generator().manual_seed(0))
    assert torch.equal(times[:, 13], torch.zeros(500))
    mean_speed = (times[:, -1] - times[:, 0]) / 26
    assert 1.2 < mean_speed.max() <= 1.251
    assert 0.79 < mean_speed.min() < 0.84
    assert (times.diff(dim=1) > 0.5).all()  # never backwards
    assert (times.diff(dim=1).std(1) > 0.02).any()  # and not at one speed
