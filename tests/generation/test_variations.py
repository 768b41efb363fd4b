"""Variations of clips: how many, whose, labelled how, and from what they are drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from roma import rotvec_to_rotmat

from motiongan.athletes.spec import load_spec
from motiongan.athletes.synthesis import synthesize
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import Body
from motiongan.evaluation.clip_scores import ClipScorer
from motiongan.generation.variations import FASTEST, vary
from motiongan.motion.clip import Clip
from motiongan.motion.features import UPRIGHT, axis_angle_of, heading_of, rotation_about_z

ACTIONS = ("walk", "squat", "kick")


@pytest.fixture(scope="module")
def people(body) -> list[Clip]:
    """Two clips of each of three actions, of two people."""
    return list(synthesize(load_spec(), body, clips_per_action=2, subjects=2, seed=0, actions=ACTIONS))


def variations(
    body: Body, clips: list[Clip], n: int = 2, seed: int = 0, *, recombine: bool = False, new_bodies: bool = False
) -> list[Clip]:
    skeletons = [body.skeleton(torch.from_numpy(clip.betas)) for clip in clips]
    return list(vary(clips, skeletons, n, seed=seed, recombine=recombine, bones=body.bones if new_bodies else None))


def test_each_clip_has_its_variations_on_its_body_under_its_label(body, people):
    made = variations(body, people, n=3)
    assert len(made) == 18
    for number, one in enumerate(made):
        clip = people[number // 3]
        assert (one.action, one.subject, one.gender) == (clip.action, clip.subject, clip.gender)
        assert one.source == f"variation of {clip.source}"
        np.testing.assert_array_equal(one.betas, clip.betas)
        assert clip.num_frames / FASTEST - 1 <= one.num_frames <= clip.num_frames * FASTEST + 1
        assert one.is_finite
    assert len({one.seed for one in made}) == len(made)


@pytest.mark.parametrize("recombine", [False, True])
def test_equal_seeds_give_equal_variations_and_others_do_not(body, people, recombine):
    first = variations(body, people, recombine=recombine)
    for one, same in zip(first, variations(body, people, recombine=recombine), strict=True):
        np.testing.assert_array_equal(one.poses, same.poses)
        np.testing.assert_array_equal(one.trans, same.trans)
    other = variations(body, people, seed=1, recombine=recombine)
    assert not any(np.array_equal(one.poses, same.poses) for one, same in zip(first, other))


def test_new_bodies_lie_one_standard_deviation_around_the_clips_own(body):
    clip = replace(still(body, 0.5), betas=np.linspace(-2, 2, 10, dtype=np.float32))
    drawn = np.stack([one.betas - clip.betas for one in variations(body, [clip], n=300, new_bodies=True)])
    assert np.abs(drawn.mean(0)).max() < 0.25  # 4 standard errors
    np.testing.assert_allclose(drawn.std(0), 1.0, atol=0.17)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(10)).max() < 0.3


def test_steps_grow_with_the_legs_and_the_movement_stays(body, people):
    """The same draw on another body: the same angles, a way as much longer as the legs are, feet on the ground."""
    walks = [clip for clip in people if clip.action == "walk"]
    own, new = (variations(body, walks[:1], n=8, recombine=True, new_bodies=new) for new in (False, True))
    ratios = []
    for one, other in zip(own, new, strict=True):
        if np.abs(one.poses - other.poses).mean() > 0.02:  # another draw: not sound on the other body
            continue
        legs = [float(body.skeleton(torch.from_numpy(clip.betas)).leg_length) for clip in (one, other)]
        ways = [np.linalg.norm(clip.trans[-1, :2] - clip.trans[0, :2]) for clip in (one, other)]
        assert ways[1] / ways[0] == pytest.approx(legs[1] / legs[0], rel=0.03)
        ratios.append(legs[1] / legs[0])
    assert len(ratios) >= 6
    assert max(ratios) - min(ratios) > 0.05
    assert all(scores["penetration"] < 0.005 for scores in ClipScorer(body, ACTIONS, 64)(new))


def still(body: Body, arm: float, **fields: object) -> Clip:
    """Two seconds of standing with the left arm lowered by an angle (radians)."""
    poses = np.zeros((60, 24, 3), np.float32)
    poses[:, 0] = axis_angle_of(UPRIGHT).numpy()
    poses[:, JOINT["left_shoulder"], 2] = -arm
    posed = forward_kinematics(
        rotvec_to_rotmat(torch.from_numpy(poses)), torch.zeros(60, 3), body.skeleton(torch.zeros(10))
    )
    trans = np.array([0, 0, -float(posed.soles[..., 2].min())], np.float32)
    return Clip(poses=poses, trans=np.repeat(trans[None], 60, 0), frame_rate=30.0, action="stand", **fields)


@pytest.mark.parametrize("recombine", [False, True])
def test_another_clip_of_the_action_lends_its_arms_and_one_of_another_action_does_not(body, recombine):
    """Arms down by 0.2 and by 0.8 rad; of another action, by -0.9 rad."""
    clips = [still(body, 0.2), still(body, 0.8), replace(still(body, -0.9), action="cheer")]
    made = variations(body, clips, n=10, recombine=recombine)[:20]
    sides = {"left_shoulder": -1, "right_shoulder": 1}  # mirrored ones lower the right arm
    lowered = [max(sign * one.poses[30, JOINT[name], 2] for name, sign in sides.items()) for one in made]
    assert min(lowered) > 0.0
    if recombine:
        assert {round(float(angle), 2) for angle in lowered} == {0.2, 0.8}
    else:
        assert sum(angle > 0.45 for angle in lowered[:10]) >= 5  # of the first clip: at least half way to the other
        assert sum(angle < 0.55 for angle in lowered[10:]) >= 5


def test_half_are_mirrored_in_their_motion_too(body):
    made = variations(body, [still(body, 0.8), still(body, 0.8)], n=20)
    left = [one.poses[30, JOINT["left_shoulder"], 2] < -0.5 for one in made]
    right = [one.poses[30, JOINT["right_shoulder"], 2] > 0.5 for one in made]
    assert all(one != other for one, other in zip(left, right))
    assert 8 <= sum(right) <= 32


def test_a_variation_begins_where_its_clip_does_and_faces_the_same_way(body):
    turned = still(body, 0.5)
    poses = turned.poses.copy()
    poses[:, 0] = (axis_angle_of(rotation_about_z(torch.tensor(2.0)) @ UPRIGHT)).numpy()
    there = replace(turned, poses=poses, trans=turned.trans + np.float32([5, 7, 0]))
    for one in variations(body, [there, turned], n=2)[:2]:
        np.testing.assert_allclose(one.trans[0, :2], there.trans[0, :2], atol=0.02)
        heading = heading_of(rotvec_to_rotmat(torch.from_numpy(one.poses[:1, 0])))
        assert float(heading) == pytest.approx(2.0, abs=0.01)
        assert one.trans[:, 2].std() < 0.01


def test_a_take_of_a_clip_does_not_depend_on_how_many_there_are_nor_on_batches(body, people, monkeypatch):
    few = variations(body, people, n=1)
    monkeypatch.setattr("motiongan.generation.variations._BATCH_FRAMES", 1)
    for one, same in zip(few, variations(body, people, n=3)[::3], strict=True):
        assert one.seed == same.seed
        np.testing.assert_allclose(one.poses, same.poses, atol=1e-4)
        np.testing.assert_allclose(one.trans, same.trans, atol=1e-4)


def test_what_is_never_sound_is_given_up_and_told(body, people, monkeypatch, caplog):
    monkeypatch.setattr("motiongan.motion.variants._MOST_RISE", -1.0)
    made = variations(body, people, n=1)
    assert len(made) == len(people)
    assert "6 of 6 variations change speed and side alone" in caplog.text


def test_variations_are_as_sound_as_their_clips(body, people):
    scorer = ClipScorer(body, ACTIONS, 64)
    standing = [clip for clip in people if clip.action != "walk"]
    real, made = (
        [scores["off_balance"] for scores in scorer(clips)] for clips in (standing, variations(body, standing))
    )
    assert np.mean(made) < np.mean(real) + 0.02
    assert all(scores["penetration"] < 0.005 for scores in scorer(variations(body, people, recombine=True)))


def test_a_side_in_the_label_is_turned_with_the_motion_only_where_both_sides_are_known(body, people):
    kicks = [clip for clip in people if clip.action == "kick"]
    right = [Clip(**{**vars(clip), "action": "kick_right"}) for clip in kicks]
    assert {one.action for one in variations(body, right, n=6)} == {"kick_right"}
    both = [*right, *(Clip(**{**vars(clip), "action": "kick_left"}) for clip in kicks)]
    made = variations(body, both, n=6)
    assert {one.action for one in made[:12]} == {"kick_right", "kick_left"}


def test_the_only_clip_of_an_action_is_varied_in_speed_and_side_or_with_itself(body, people):
    [plain] = variations(body, people[:1], n=1)
    assert abs(plain.num_frames - people[0].num_frames) <= 0.1 * people[0].num_frames + 1
    [recombined] = variations(body, people[:1], n=1, recombine=True)
    assert not np.allclose(recombined.poses, plain.poses, atol=0.05)
