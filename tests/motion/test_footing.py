"""Settled motion: standing feet stay, swinging feet clear the ground, bodies in the air fall."""

import math
from dataclasses import replace

import pytest
import roma
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.body.anatomy import centre_of_mass
from motiongan.body.kinematics import PosedSkeleton, Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT
from motiongan.motion import footing
from motiongan.motion.features import Motion, decode, encode
from motiongan.motion.footing import GRAVITY, Settled, _tridiagonal, settle

RATE = 30.0


@pytest.fixture(autouse=True)
def unbalanced(monkeypatch):
    """Balance has tests of its own (test_balancing.py): here the body stays where it is."""
    monkeypatch.setattr(
        footing, "balancing_shift", lambda posed, frame_rate: torch.zeros_like(posed.joints[:, :, 0, :2])
    )


KNEES = [JOINT["left_knee"], JOINT["right_knee"]]


@pytest.fixture
def skeleton(stick_body) -> Skeleton:
    return stick_body.skeleton(torch.zeros(10))


def standing(skeleton: Skeleton, frames: int = 40, *, crouch: float = 0.5) -> Motion:
    """A body that stands on bent legs (hips and ankles turn by `crouch`, knees by twice that), as `decode` gives it."""
    poses = torch.zeros(frames, 24, 3)
    poses[:, 0, 0] = math.pi / 2
    for side in ("left", "right"):
        poses[:, JOINT[f"{side}_hip"], 0] = -crouch
        poses[:, JOINT[f"{side}_knee"], 0] = 2 * crouch
        poses[:, JOINT[f"{side}_ankle"], 0] = -crouch
    trans = torch.zeros(frames, 3)
    soles = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, skeleton).soles
    trans[:, 2] -= soles[..., 2].min()
    return decode(encode(poses, trans, skeleton, RATE)[None], skeleton, RATE, plant_feet=False)


def moved(motion: Motion, path: Tensor | None = None, height: Tensor | None = None) -> Motion:
    """The motion along another path (frames, 2), or higher by (frames,), metres."""
    if path is not None:
        motion = replace(motion, path=path[None])
    if height is not None:
        rise = height[None, :, None, None] * torch.tensor([0.0, 0.0, 1.0])
        motion = replace(motion, local_joints=motion.local_joints + rise, local_soles=motion.local_soles + rise)
    return motion


def joined(motions: list[Motion]) -> Motion:
    """As one batch, on the body of the first."""
    names = ("local_rotations", "local_joints", "local_soles", "contacts", "heading", "path")
    return replace(motions[0], **{name: torch.cat([getattr(motion, name) for motion in motions]) for name in names})


def posed(settled: Settled, skeleton: Skeleton) -> PosedSkeleton:
    return forward_kinematics(roma.rotvec_to_rotmat(settled.poses), settled.trans, skeleton.unsqueeze(0).unsqueeze(0))


def test_feet_that_creep_while_they_stand_are_held_and_keep_their_orientation(skeleton):
    creeping = moved(standing(skeleton), path=torch.linspace(0, 0.08, 40)[:, None] * torch.tensor([1.0, 0.5]))
    before = creeping.soles.diff(dim=1)[..., :2].norm(dim=-1)
    settled = settle(creeping, skeleton, RATE)
    after = posed(settled, skeleton)
    assert before.max() * RATE > 0.06  # m/s
    assert after.soles.diff(dim=1)[..., :2].norm(dim=-1).max() < 0.25 * before.max()
    assert_close(settled.trans, creeping.trans, atol=1e-5, rtol=0)  # the pelvis goes its way
    flat = after.soles[..., 2]
    assert_close(flat, flat[:, :1, :1].expand_as(flat), atol=2e-3, rtol=0)


def test_feet_that_hover_are_put_near_the_ground(skeleton):
    hovering = moved(standing(skeleton), height=torch.full((40,), 0.02))
    settled = posed(settle(hovering, skeleton, RATE), skeleton)
    assert_close(settled.soles[..., 2], torch.full((1, 40, 4), 0.01), atol=1e-3, rtol=0)
    assert_close(settled.joints[:, :, 0], hovering.joints[:, :, 0], atol=1e-5, rtol=0)


RIGHT = [1, 3]  # heel and ball of the right foot among the soles


def astride(skeleton: Skeleton, left: Tensor | float, right: Tensor | float, height: Tensor | float) -> Motion:
    """A body on its straight left leg, `left` radians aside; the right one, bent, is `right` radians aside, its foot
    `height` metres above the ground. Numbers, or one for each of 40 frames."""
    frames = 40
    left, right, height = (torch.as_tensor(each).expand(frames) for each in (left, right, height))
    joints = skeleton.rest_joints
    length = float((joints[JOINT["right_hip"]] - joints[JOINT["right_ankle"]]).norm())
    bend = torch.acos((left.cos() - height / length) / right.cos())
    poses = torch.zeros(frames, 24, 3)
    poses[:, 0, 0] = math.pi / 2
    none = torch.zeros(frames)
    for side, aside, bent in (("left", left, none), ("right", -right, bend)):
        hip = roma.rotvec_composition([torch.stack([none, none, aside], -1), torch.stack([-bent, none, none], -1)])
        knee = torch.stack([2 * bent, none, none], -1)
        poses[:, JOINT[f"{side}_hip"]], poses[:, JOINT[f"{side}_knee"]] = hip, knee
        poses[:, JOINT[f"{side}_ankle"]] = -roma.rotvec_composition([hip, knee])  # the foot stays level
    trans = torch.zeros(frames, 3)
    soles = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, skeleton).soles
    trans[:, 2] -= soles[..., 2].amin(-1)
    return decode(encode(poses, trans, skeleton, RATE)[None], skeleton, RATE, plant_feet=False)


def lean(motion: Motion | PosedSkeleton) -> Tensor:
    return footing._lean(centre_of_mass(motion.joints), motion.soles)


def test_a_hovering_foot_comes_down_where_the_body_would_fall_without_it(skeleton):
    hovering = astride(skeleton, 0.4, 0.4, 0.08)
    assert lean(hovering).min() > 0.05
    after = posed(settle(hovering, skeleton, RATE), skeleton)
    assert after.soles[:, :, RIGHT, 2].amin(-1).max() < 0.02
    assert lean(after).max() == 0


@pytest.mark.parametrize(
    ("left", "right", "height"),
    [
        (-0.05, -0.05, 0.08),  # the body stands over the left foot
        (0.4, 0.4, 0.3),  # a kick
        (0.8, -0.88, 0.11),  # beside the left foot, it would take less than half of the lean
        (0.15, 0.5, 0.1),  # it cannot reach the ground
        (0.55, 0.02, 0.13),  # as high as a stair
    ],
)
def test_a_lifted_foot_stays_where_it_would_not_help_or_is_high(skeleton, left, right, height):
    lifted = astride(skeleton, left, right, height)
    assert (lean(lifted).min() > 0.05) == (left > 0)
    after = posed(settle(lifted, skeleton, RATE), skeleton)
    assert_close(after.soles[:, :, RIGHT, 2], lifted.soles[:, :, RIGHT, 2], atol=0.01, rtol=0)


def test_a_slow_step_is_left_as_it_is(skeleton, monkeypatch):
    """The right foot goes 0.35 m aside within 0.8 s, while the body leans out over the left one."""
    part = ((torch.arange(40) - 8) / 24).clamp(0, 1)
    stepping = astride(skeleton, 0.4, 0.4 * part * part * (3 - 2 * part), 0.08 * (math.pi * part).sin())
    assert lean(stepping)[:, 12:28].min() > 0.05
    settled = settle(stepping, skeleton, RATE)
    monkeypatch.setattr(footing, "_LEANS", math.inf)
    assert_close(settled.poses, settle(stepping, skeleton, RATE).poses)


@pytest.mark.parametrize(("balanced", "comes_down"), [(slice(14, 26), True), (slice(6, 34), False)])
def test_a_hovering_foot_comes_down_for_as_long_as_it_hovers_or_not_at_all(skeleton, balanced, comes_down):
    left = torch.full((40,), 0.15)
    left[balanced] = -0.15  # the body stands over the left foot
    hovering = astride(skeleton, left, 0.1, 0.08)
    assert (lean(hovering)[0, [2, 20, 37]] > 0.05).tolist() == [True, False, True]
    after = posed(settle(hovering, skeleton, RATE), skeleton).soles[:, :, RIGHT, 2].amin(-1)
    assert after.max() < 0.02 if comes_down else after.min() > 0.06


def test_each_time_that_a_foot_hovers_is_judged_by_itself(skeleton):
    left, height = torch.full((40,), 0.15), torch.full((40,), 0.08)
    left[20:] = -0.15
    height[16:24] = 0.0
    hovering = astride(skeleton, left, 0.1, height)
    after = posed(settle(hovering, skeleton, RATE), skeleton).soles[0, :, RIGHT, 2].amin(-1)
    assert after[:24].max() < 0.02
    assert after[28:].min() > 0.06


def test_a_foot_comes_down_in_its_own_clip_alone(skeleton):
    clips = [astride(skeleton, *how) for how in ((0.4, 0.4, 0.08), (0.4, 0.4, 0.3), (-0.05, -0.05, 0.07))]
    settled = settle(joined(clips), skeleton, RATE)
    for number, clip in enumerate(clips):
        assert_close(settled.poses[number], settle(clip, skeleton, RATE).poses[0], atol=1e-6, rtol=0)


def test_a_straight_leg_does_not_tremble_with_the_last_centimetre(skeleton):
    """Taken up by a leg that bends by 3 degrees, 8 mm up and down would move the knee by 14 degrees a frame."""
    hover = 0.004 + 0.004 * (-1.0) ** torch.arange(40)
    trembling = moved(standing(skeleton, crouch=0.03), height=hover)
    knees = settle(trembling, skeleton, RATE).poses[:, :, KNEES, 0]
    assert_close(knees, torch.full_like(knees, 0.06), atol=0.01, rtol=0)


def test_bones_keep_their_length_and_knees_bend_the_way_they_bent(skeleton):
    creeping = moved(standing(skeleton), path=torch.linspace(0, 0.15, 40)[:, None] * torch.tensor([1.0, 0.0]))
    settled = settle(creeping, skeleton, RATE)
    axis = settled.poses[:, :, KNEES]
    assert (axis[..., 0] > 0.3).all()  # flexion is a positive turn about X
    assert axis[..., 1:].abs().max() < 0.02
    joints = posed(settled, skeleton).joints
    for hip, knee, ankle in ((1, 4, 7), (2, 5, 8)):
        for first, second in ((hip, knee), (knee, ankle)):
            length = (joints[:, :, first] - joints[:, :, second]).norm(dim=-1)
            assert_close(length, (skeleton.rest_joints[first] - skeleton.rest_joints[second]).norm().expand_as(length))


def test_a_straight_leg_that_cannot_reach_is_not_torn(skeleton):
    hovering = moved(standing(skeleton, crouch=0.02), height=torch.full((40,), 0.02))
    settled = settle(hovering, skeleton, RATE)
    assert settled.poses.isfinite().all()
    hip, ankle = posed(settled, skeleton).joints[:, :, [1, 7]].unbind(2)
    thigh, shin = skeleton.rest_joints[4] - skeleton.rest_joints[1], skeleton.rest_joints[7] - skeleton.rest_joints[4]
    assert ((hip - ankle).norm(dim=-1) <= thigh.norm() + shin.norm() + 1e-5).all()


def test_a_foot_that_swings_through_the_ground_layer_is_lifted(skeleton):
    motion = standing(skeleton)
    fast = moved(motion, path=torch.arange(40.0)[:, None] * torch.tensor([3.0 / RATE, 0.0]))  # both feet glide at 3 m/s
    soles = posed(settle(fast, skeleton, RATE), skeleton).soles
    assert soles[:, 5:-5, :, 2].min() > 0.02
    slow = posed(settle(motion, skeleton, RATE), skeleton).soles
    assert slow[..., 2].max() < 0.002


def test_the_centre_of_mass_falls_between_take_off_and_landing(skeleton):
    rise = torch.zeros(40)
    rise[10:24] = 0.25 * torch.sin(torch.linspace(0, math.pi, 16))[1:-1] ** 0.7 + 0.05  # up and down, not a parabola
    jump = moved(standing(skeleton), height=rise)
    settled = settle(jump, skeleton, RATE)
    height = centre_of_mass(posed(settled, skeleton).joints)[0, :, 2]
    fall = height[10:23].diff(n=2) * RATE**2
    assert_close(fall, torch.full_like(fall, -GRAVITY), atol=0.3, rtol=0)
    wrong = centre_of_mass(jump.joints)[0, 10:23, 2].diff(n=2) * RATE**2
    assert (wrong + GRAVITY).abs().max() > 2


@pytest.mark.parametrize("cut", ["end", "begin"])
def test_a_flight_that_the_clip_cuts_falls_too_and_is_moved_no_more_than_that_takes(skeleton, cut):
    since = torch.arange(1, 9) / RATE  # after the last frame on the ground
    free, bend = 2.4 * since - 0.5 * GRAVITY * since**2, 0.03 * torch.sin(40 * since)
    rise = torch.zeros(40)
    rise[32:] = free + bend
    jump = moved(standing(skeleton), height=rise if cut == "end" else rise.flip(0))
    height = centre_of_mass(posed(settle(jump, skeleton, RATE), skeleton).joints)[0, :, 2]
    height = height if cut == "end" else height.flip(0)
    fall = height[31:].diff(n=2) * RATE**2
    assert_close(fall, torch.full_like(fall, -GRAVITY), atol=0.02, rtol=0)
    # The take-off that is nearest in the sense of least squares: 2.4 m/s and what of the bend grows with time.
    speed = (height[32:] - height[31] + 0.5 * GRAVITY * since**2) / since
    expected = 2.4 + (since * bend).sum() / (since**2).sum()
    assert_close(speed, expected.expand(8), atol=0.005, rtol=0)


def test_a_cut_flight_goes_through_no_ground(skeleton):
    rise = torch.zeros(40)
    rise[32:] = 0.04  # the nearest parabola ends 15 mm under the ground
    path = torch.arange(40)[:, None] * torch.tensor([0.1, 0.0])  # fast enough not to stand with its feet so low
    settled = settle(moved(standing(skeleton), path=path, height=rise), skeleton, RATE)
    soles, height = posed(settled, skeleton).soles[0, ..., 2].amin(-1), centre_of_mass(posed(settled, skeleton).joints)
    assert_close(height[0, 31:, 2].diff(n=2) * RATE**2, torch.full((7,), -GRAVITY), atol=0.02, rtol=0)
    assert soles[32:].min() > -1e-4
    assert soles[-1] < 0.001  # no higher than that takes


def missed_step(skeleton: Skeleton) -> Motion:
    """A run at 3 m/s whose second step, frames 17 to 21, ends 7 cm above the ground."""
    rise = torch.zeros(40)
    rise[8:31] = 0.07
    for first in (8, 22):
        rise[first : first + 9] += 0.05 * torch.sin(torch.linspace(0, math.pi, 9))
    rise[8], rise[30] = 0.04, 0.04
    return moved(standing(skeleton), path=torch.arange(40)[:, None] * torch.tensor([0.1, 0.0]), height=rise)


def test_a_body_that_missed_a_step_comes_down_to_it_and_flies_in_between(skeleton):
    run = missed_step(skeleton)
    before, after = run.local_soles[0, ..., 2].amin(-1), posed(settle(run, skeleton, RATE), skeleton)
    lowest, height = after.soles[0, ..., 2].amin(-1), centre_of_mass(after.joints)[0, :, 2]
    assert before[8:31].min() > 0.035  # it was off its feet for three quarters of a second
    assert lowest[17:22].max() < 0.03
    assert lowest.min() > -1e-4
    for flight in (slice(9, 16), slice(23, 30)):  # from take-off to landing
        assert lowest[flight].max() > 0.05
        fall = height[flight].diff(n=2) * RATE**2
        assert_close(fall, torch.full_like(fall, -GRAVITY), atol=0.3, rtol=0)


def test_what_no_missed_step_explains_stays_up(skeleton, monkeypatch):
    high = moved(missed_step(skeleton), height=torch.zeros(40).index_fill(0, torch.arange(8, 31), 0.15))
    assert_close(settle(high, skeleton, RATE).trans[:, 8:31], high.trans[:, 8:31], atol=1e-4, rtol=0)
    # A body that lies is carried by its back, however high its heels are.
    poses, trans = torch.zeros(40, 24, 3), torch.zeros(40, 3)
    soles = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, skeleton).soles
    trans[:, 2] = torch.zeros(40).index_fill(0, torch.arange(8, 31), 0.07) - soles[..., 2].min()
    lying = decode(encode(poses, trans, skeleton, RATE)[None], skeleton, RATE, plant_feet=False)
    assert_close(settle(lying, skeleton, RATE).trans[0, 10:29, 2], trans[10:29, 2], atol=1e-3, rtol=0)
    monkeypatch.setattr(footing, "_UPPER", -1.0)
    assert (settle(lying, skeleton, RATE).trans[0, 10:29, 2] < trans[10:29, 2] - 0.03).all()


@pytest.mark.parametrize("frames", [slice(10, 40), slice(0, 40)], ids=["to the end of the clip", "all the time"])
def test_a_body_that_only_hangs_in_the_air_is_left_where_it_is(skeleton, frames):
    rise = torch.zeros(40)
    rise[frames] = 0.8
    hanging = moved(standing(skeleton), height=rise)
    assert_close(settle(hanging, skeleton, RATE).trans[:, 10:], hanging.trans[:, 10:], atol=1e-5, rtol=0)


def test_each_clip_of_a_batch_is_settled_as_if_alone_on_its_own_body(stick_body):
    betas = torch.zeros(2, 10)
    betas[1, 0] = 1.0
    both = stick_body.skeleton(betas)
    single = [stick_body.skeleton(betas[row]) for row in range(2)]
    path = torch.linspace(0, 0.1, 40)[:, None] * torch.tensor([1.0, 0.0])
    alone = [settle(moved(standing(each), path=path), each, RATE) for each in single]
    motions = [moved(standing(each), path=path) for each in single]
    together = settle(replace(joined(motions), rest_pelvis=both.rest_joints[:, None, 0]), both, RATE)
    for row in range(2):
        assert_close(together.poses[row], alone[row].poses[0], atol=1e-5, rtol=1e-5)
        assert_close(together.trans[row], alone[row].trans[0], atol=1e-5, rtol=1e-5)


def test_the_tridiagonal_solver_agrees_with_a_dense_one():
    random = torch.Generator().manual_seed(0)
    beside = -torch.rand(3, 7, generator=random)
    diagonal = 2.5 + torch.rand(3, 8, generator=random)
    right = torch.randn(3, 8, 2, generator=random)
    dense = torch.diag_embed(diagonal) + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
    assert_close(_tridiagonal(diagonal, beside, right), torch.linalg.solve(dense, right))
