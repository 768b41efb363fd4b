"""The promises of the made-up athletes: standing feet do not slide, flight follows gravity, bodies stay anatomical."""

import math

import numpy as np
import pytest
import roma
import torch
from torch import Tensor

from motiongan.athletes.spec import load_spec
from motiongan.athletes.synthesis import draw_athlete, synthesize, synthesize_action
from motiongan.body.anatomy import centre_of_mass, foot_contacts, joint_range_violation
from motiongan.body.kinematics import PosedSkeleton, forward_kinematics
from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import Body
from motiongan.motion.clip import Clip

ACTIONS = ("walk", "run", "sprint", "jump", "squat", "lunge", "kick", "throw", "jumping_jack")
WITH_FLIGHT = ("run", "sprint", "jump", "jumping_jack")
RATE = 30.0


@pytest.fixture(scope="module")
def sample(body: Body) -> dict[str, list[tuple[Clip, PosedSkeleton]]]:
    """Five clips of every action, posed."""
    result: dict[str, list[tuple[Clip, PosedSkeleton]]] = {action: [] for action in ACTIONS}
    for clip in synthesize(load_spec(), body, clips_per_action=5, subjects=5, seed=0, actions=ACTIONS):
        result[str(clip.action)].append((clip, _pose(clip, body)))
    return result


def _pose(clip: Clip, body: Body) -> PosedSkeleton:
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
    skeleton = body.skeleton(torch.from_numpy(clip.betas))
    skeleton = type(skeleton)(skeleton.rest_joints.double(), skeleton.rest_soles.double())
    return forward_kinematics(rotations, torch.from_numpy(clip.trans).double(), skeleton)


def _vertical_acceleration(posed: PosedSkeleton) -> Tensor:
    return centre_of_mass(posed.joints)[:, 2].diff(n=2) * RATE**2


@pytest.mark.parametrize("action", ACTIONS)
def test_feet_that_stand_do_not_slide(sample, body, action):
    planted_steps, rate, posed_clips = 0, RATE, [posed for _, posed in sample[action]]
    if action == "sprint":  # its contacts last three frames at 30 Hz
        rate = 120.0
        clips = synthesize_action(load_spec(), action, body, clips=2, subjects=2, seed=0, frame_rate=rate)
        posed_clips = [_pose(clip, body) for clip in clips]
    for posed in posed_clips:
        grounded = posed.soles[..., 2] < 0.003
        # Four frames on the ground: the step in the middle is surely no landing and no lift-off.
        planted = grounded[:-3] & grounded[1:-2] & grounded[2:-1] & grounded[3:]
        speed = posed.soles[1:-1, :, :2].diff(dim=0).norm(dim=-1) * rate
        planted_steps += int(planted.sum())
        assert (speed * planted).max() < 0.02
        assert (speed * planted).sum() / planted.sum().clamp(min=1) < 0.001
    assert planted_steps > 100


@pytest.mark.parametrize("action", ACTIONS)
def test_feet_in_contact_by_the_usual_thresholds_hardly_skate(sample, action):
    for _, posed in sample[action]:
        contact = foot_contacts(posed.soles.float(), RATE)
        both = contact[1:] & contact[:-1]
        speed = posed.soles[..., :2].diff(dim=0).norm(dim=-1) * RATE
        assert (speed * both).sum() / both.sum() < 0.03


@pytest.mark.parametrize("action", ACTIONS)
def test_soles_neither_sink_nor_float(sample, action):
    for _, posed in sample[action]:
        height = posed.soles[..., 2]
        assert height.min() > -0.005
        if action not in WITH_FLIGHT:
            assert height.amin(-1).max() < 0.01  # one sole point always touches the ground


@pytest.mark.parametrize("action", WITH_FLIGHT)
def test_in_flight_the_centre_of_mass_falls_freely(sample, action):
    frames = 0
    for _, posed in sample[action]:
        airborne = posed.soles[..., 2].amin(-1) > 0.012
        flying = airborne[2:] & airborne[1:-1] & airborne[:-2]
        acceleration = centre_of_mass(posed.joints).diff(n=2, dim=0) * RATE**2
        error = (acceleration - torch.tensor([0.0, 0.0, -9.81])).norm(dim=-1)
        frames += int(flying.sum())
        assert (error * flying).max() < 0.1  # of 9.81 m/s^2
    assert frames >= 3


@pytest.mark.parametrize("action", ACTIONS)
def test_the_ground_pushes_and_never_pulls(sample, action):
    for _, posed in sample[action]:
        acceleration = _vertical_acceleration(posed)
        assert acceleration.min() > -10.1  # free fall, and 3 %
        assert acceleration.max() < 50  # five times the body's weight, on landing from a jump


@pytest.mark.parametrize("action", ACTIONS)
def test_joints_stay_within_their_ranges_and_hinges_bend_one_way(sample, action):
    for clip, posed in sample[action]:
        assert joint_range_violation(roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))).max() < 0.1
        for side, sign in (("left", -1.0), ("right", 1.0)):
            knee, elbow = clip.poses[:, JOINT[f"{side}_knee"]], clip.poses[:, JOINT[f"{side}_elbow"]]
            assert knee[:, 0].min() > np.deg2rad(-4)  # the body's rest pose is itself bent by about 4 degrees
            assert np.abs(knee[:, 1:]).max() < 1e-4
            assert (sign * elbow[:, 1]).min() > 0
            assert np.abs(elbow[:, [0, 2]]).max() < 1e-4
        speed = posed.joints.diff(dim=0).norm(dim=-1) * RATE
        assert speed.max() < 25


@pytest.mark.parametrize("action", ["walk", "run", "sprint"])
def test_arms_swing_against_the_legs(sample, action):
    for _, posed in sample[action]:
        left = posed.joints[:, JOINT["left_hip"]] - posed.joints[:, JOINT["right_hip"]]
        forward = torch.stack([left[:, 1], -left[:, 0]], -1)  # a quarter turn to the right of the hips' axis
        forward = forward / forward.norm(dim=-1, keepdim=True)

        def ahead(joint: str, forward: Tensor = forward, posed: PosedSkeleton = posed) -> Tensor:
            return ((posed.joints[:, JOINT[joint]] - posed.joints[:, 0])[:, :2] * forward).sum(-1)

        for side in ("left", "right"):
            pair = torch.stack([ahead(f"{side}_wrist"), ahead(f"{side}_ankle")])
            assert torch.corrcoef(pair)[0, 1] < -0.4


@pytest.mark.parametrize(("action", "slowest", "fastest"), [("walk", 0.8, 1.9), ("run", 2, 4.5), ("sprint", 5, 10)])
def test_travellers_move_at_a_plausible_speed_the_way_they_face(sample, action, slowest, fastest):
    for clip, posed in sample[action]:
        way = posed.joints[-1, 0] - posed.joints[0, 0]
        assert slowest < way[:2].norm() / clip.duration < fastest
        left = (posed.joints[:, JOINT["left_hip"]] - posed.joints[:, JOINT["right_hip"]]).mean(0)
        facing = torch.tensor([left[1], -left[0]]) / left[:2].norm()
        assert facing @ way[:2] / way[:2].norm() > 0.95


def test_a_jump_is_as_high_as_its_flight_is_long(sample):
    for _, posed in sample["jump"]:
        airborne = (posed.soles[..., 2].amin(-1) > 0.005).double()
        height = centre_of_mass(posed.joints)[:, 2]
        edges = airborne.diff().nonzero().flatten()
        if len(edges) < 2:
            continue  # the clip does not show the whole flight
        seconds = (edges[1] - edges[0]).item() / RATE
        rise = (height[edges[0] : edges[1] + 1].max() - height[edges[0] : edges[1] + 2].min()).item()
        assert rise == pytest.approx(9.81 * seconds**2 / 8, abs=0.12)
        assert 0.35 < seconds < 0.7


def test_kicks_come_from_both_sides_and_the_foot_swings_through(body):
    clips = synthesize_action(load_spec(), "kick", body, clips=10, subjects=10, seed=0)
    kicking = []
    for clip in clips:
        ankles = _pose(clip, body).joints[:, [JOINT["left_ankle"], JOINT["right_ankle"]]]
        assert ankles[..., 2].max() > 0.4
        kicking.append(int(ankles[..., 2].amax(0).argmax()))
    assert 0 < sum(kicking) < len(kicking)


def test_a_clip_depends_on_its_own_draws_alone(body):
    spec = load_spec()
    few = synthesize_action(spec, "run", body, clips=2, subjects=40, seed=3)
    many = synthesize_action(spec, "run", body, clips=5, subjects=40, seed=3)
    for one, same in zip(few, many):
        assert (one.subject, one.num_frames) == (same.subject, same.num_frames)
        np.testing.assert_array_equal(one.betas, same.betas)
        np.testing.assert_allclose(one.poses, same.poses, atol=1e-5)
        np.testing.assert_allclose(one.trans, same.trans, atol=1e-5)


def test_the_same_seed_makes_the_same_clips_and_another_seed_others(body):
    spec = load_spec()
    first, again = (synthesize_action(spec, "squat", body, clips=2, subjects=2, seed=1) for _ in range(2))
    (other, _) = synthesize_action(spec, "squat", body, clips=2, subjects=2, seed=2)
    for one, same in zip(first, again):
        np.testing.assert_array_equal(one.poses, same.poses)
        np.testing.assert_array_equal(one.trans, same.trans)
    assert not np.array_equal(first[0].betas, other.betas)
    frames = min(first[0].num_frames, other.num_frames)
    assert np.abs(first[0].poses[:frames, 1:] - other.poses[:frames, 1:]).max() > 0.05


def test_two_takes_of_one_athlete_differ(body):
    first, second = synthesize_action(load_spec(), "squat", body, clips=2, subjects=1, seed=1)
    assert first.subject == second.subject
    assert (first.source, second.source) == ("made-up squat, take 1", "made-up squat, take 2")
    np.testing.assert_array_equal(first.betas, second.betas)
    frames = min(first.num_frames, second.num_frames)
    assert np.abs(first.poses[:frames, 1:] - second.poses[:frames, 1:]).max() > 0.05


def test_athletes_differ_in_body_and_side():
    spec = load_spec()
    athletes = [draw_athlete(spec, index, seed=0) for index in range(40)]
    assert len({athlete.name for athlete in athletes}) == 40
    assert np.stack([athlete.betas for athlete in athletes]).std(0).min() > 0.5
    assert 10 <= sum(athlete.is_left for athlete in athletes) <= 30


def test_another_frame_rate_shows_the_same_motion(body):
    spec = load_spec()
    (slow,) = synthesize_action(spec, "throw", body, clips=1, subjects=1, seed=0, frame_rate=30.0)
    (fast,) = synthesize_action(spec, "throw", body, clips=1, subjects=1, seed=0, frame_rate=60.0)
    assert fast.duration == pytest.approx(slow.duration, abs=0.04)
    frames = min(slow.num_frames, (fast.num_frames + 1) // 2)
    difference = _pose(slow, body).joints[:frames] - _pose(fast, body).joints[: 2 * frames : 2]
    assert difference.norm(dim=-1).mean() < 0.02
    assert math.isclose(fast.frame_rate, 60)
