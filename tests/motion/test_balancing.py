"""Balanced motion: the ground carries the body from where its feet are, and in the air it keeps its speed."""

import math

import pytest
import roma
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.body.anatomy import centre_of_mass, off_balance
from motiongan.body.kinematics import PosedSkeleton, Skeleton, forward_kinematics
from motiongan.motion.balancing import balancing_shift
from motiongan.motion.features import decode, encode
from motiongan.motion.footing import settle

RATE = 30.0
FRAMES = 60
SECONDS = torch.arange(FRAMES) / RATE
SWAY = 0.05 * torch.cos(2 * math.pi * 1.5 * SECONDS)  # metres


@pytest.fixture
def skeleton(stick_body) -> Skeleton:
    return stick_body.skeleton(torch.zeros(10))


def crouching() -> Tensor:
    poses = torch.zeros(FRAMES, 24, 3)
    poses[:, 0, 0] = math.pi / 2
    for hip, knee, ankle in ((1, 4, 7), (2, 5, 8)):
        poses[:, hip, 0], poses[:, knee, 0], poses[:, ankle, 0] = -0.5, 1.0, -0.5
    return poses


def posed(skeleton: Skeleton, poses: Tensor, path: Tensor) -> PosedSkeleton:
    """The body along a path (frames, 3) from where its lowest sole point is on the ground."""
    rotations = roma.rotvec_to_rotmat(poses)[None]
    height = forward_kinematics(rotations, torch.zeros(1, FRAMES, 3), skeleton).soles[..., 2].amin()
    return forward_kinematics(rotations, path[None] - height * torch.tensor([0.0, 0.0, 1.0]), skeleton)


def off_by(body: PosedSkeleton, shift: Tensor | float = 0.0) -> Tensor:
    """Metres off balance of the body whose mass is shifted over its feet."""
    centre = centre_of_mass(body.joints)
    centre[..., :2] += shift
    return off_balance(centre, body.soles, RATE)[0]


def along(axis: int, values: Tensor) -> Tensor:
    path = torch.zeros(FRAMES, 3)
    path[:, axis] = values
    return path


def test_a_body_that_wavers_by_centimetres_is_calmed_by_as_much(skeleton):
    wavering = posed(skeleton, crouching(), along(1, SWAY))
    wavering.soles[..., 1] -= SWAY[None, :, None]  # on feet that stay
    assert off_by(wavering).max() > 0.1
    shift = balancing_shift(wavering, RATE)
    assert shift.norm(dim=-1).max() < 0.055
    assert off_by(wavering, shift).max() < 0.01
    assert off_by(wavering, -shift).max() > off_by(wavering).max()


def test_a_body_in_balance_stays_where_it_is(skeleton):
    assert balancing_shift(posed(skeleton, crouching(), along(1, torch.zeros(FRAMES))), RATE).abs().max() < 1e-5


def test_who_leans_out_over_the_feet_comes_back(skeleton):
    leaning = posed(skeleton, crouching(), along(0, torch.zeros(FRAMES)))
    leaning.soles[..., 0] += 0.3
    shift = balancing_shift(leaning, RATE)
    assert 0.05 < off_by(leaning)[0, 30] < 0.25
    assert off_by(leaning, shift).max() < 0.8 * off_by(leaning)[0, 30]


def test_a_lifted_foot_carries_nothing(skeleton):
    """With the right foot in the air the body moves over the left one, and stays between both without."""
    body = posed(skeleton, crouching(), along(1, torch.zeros(FRAMES)))
    body.soles[..., 0] *= 3.0  # astride
    assert balancing_shift(body, RATE).abs().max() < 1e-5
    body.soles[:, :, [1, 3], 2] += 0.2
    assert balancing_shift(body, RATE)[0, FRAMES // 2, 0] > 0.04  # the left foot is 27 cm that way


def test_in_the_air_the_body_keeps_its_speed(skeleton):
    leap = slice(20, 41)
    height = torch.zeros(FRAMES)
    seconds = SECONDS[leap] - SECONDS[20]
    height[leap] = 0.5 * 9.81 * seconds * (20 / RATE - seconds)
    body = posed(skeleton, crouching(), along(1, SWAY) + along(2, height))
    flying = slice(23, 37)
    before = centre_of_mass(body.joints)[0, :, :2]
    after = before + balancing_shift(body, RATE)[0]
    push = (path.diff(n=2, dim=0).norm(dim=-1)[flying].max() * RATE**2 for path in (before, after))
    assert next(push) > 2.0  # m/s^2
    assert next(push) < 0.2


def test_who_lies_on_the_ground_is_left_alone(skeleton):
    poses = torch.zeros(FRAMES, 24, 3)
    lying = posed(skeleton, poses, along(1, SWAY))  # on the back, along Y
    assert off_by(lying).max() > 0.3
    assert balancing_shift(lying, RATE).abs().max() == 0


def test_a_clip_is_balanced_the_same_alone_and_among_others_and_too_short_a_one_not_at_all(skeleton):
    bodies = [
        posed(skeleton, crouching(), along(axis, 0.03 * torch.cos(2 * math.pi * hertz * SECONDS)))
        for axis, hertz in ((0, 1.0), (1, 1.5))
    ]
    both = PosedSkeleton(*(torch.cat(parts) for parts in zip(*((b.joints, b.rotations, b.soles) for b in bodies))))
    assert_close(balancing_shift(both, RATE), torch.cat([balancing_shift(each, RATE) for each in bodies]))
    short = PosedSkeleton(*(part[:, :2] for part in (both.joints, both.rotations, both.soles)))
    assert balancing_shift(short, RATE).shape == (2, 2, 2)


def test_settled_motion_is_in_balance_on_feet_that_stay(skeleton):
    poses = crouching()
    start = posed(skeleton, poses, along(1, torch.zeros(FRAMES)))
    trans = along(1, SWAY)
    trans[:, 2] += float(start.joints[0, 0, 0, 2] - skeleton.rest_joints[0, 2])
    motion = decode(encode(poses, trans, skeleton, RATE)[None], skeleton, RATE, plant_feet=False)
    settled = settle(motion, skeleton, RATE)
    after = forward_kinematics(roma.rotvec_to_rotmat(settled.poses), settled.trans, skeleton)
    assert off_by(PosedSkeleton(motion.joints, start.rotations, start.soles)).max() > 0.1
    assert off_by(after).max() < 0.04
    assert (after.soles.diff(dim=1).norm(dim=-1) * RATE).mean() < 0.02  # m/s
    assert_close(settled.trans[0, 0, :2], motion.trans[0, 0, :2])  # it begins where it began
