"""Variants of clips: other legs and arms of the same action, on feet that stand."""

import math
from dataclasses import replace

import pytest
import roma
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.athletes.spec import load_spec
from motiongan.athletes.synthesis import synthesize
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, NUM_MOVING_JOINTS
from motiongan.motion import variants
from motiongan.motion.features import ROTATIONS, UPRIGHT, decode, encode, rotation_6d, rotation_from_6d
from motiongan.motion.posture import LEFT_ARM, RIGHT_ARM, TRUNK
from motiongan.motion.variants import Blend, Source, make_variants, mixed_variants

RATE = 30.0


@pytest.fixture(scope="module")
def sources(body) -> list[Source]:
    """Two walks and two squats of different people, and one kick, each but the kick also a frame shorter."""
    result = []
    clips = synthesize(load_spec(), body, clips_per_action=2, subjects=2, seed=0, actions=("walk", "squat", "kick"))
    for number, clip in enumerate(list(clips)[:5]):
        skeleton = body.skeleton(torch.from_numpy(clip.betas))
        features = encode(torch.from_numpy(clip.poses), torch.from_numpy(clip.trans), skeleton, RATE)
        result.append(Source(features, skeleton, str(clip.action), number))
        if clip.action != "kick":
            result.append(Source(features[:-1], skeleton, str(clip.action), number))
    return result


def made(sources: list[Source], count: int = 2, seed: int = 0) -> list[tuple[int, Tensor]]:
    return mixed_variants(sources, count, RATE, generator=torch.Generator().manual_seed(seed))


def knee_angles(features: Tensor) -> Tensor:
    """Radians by which both knees bend, (frames, 2)."""
    values = features[:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[:, [JOINT["left_knee"], JOINT["right_knee"]]]
    return torch.acos(((rotation_from_6d(values).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1))


def test_every_source_with_company_has_its_variants_at_its_own_length(sources):
    found = made(sources, count=3)
    assert sorted(number for number, _ in found) == sorted([*range(8)] * 3)  # nobody else kicks
    assert all(len(features) == len(sources[number].features) for number, features in found)
    assert all(features.isfinite().all() for _, features in found)


def test_the_legs_move_towards_those_of_the_other_clip_of_the_action(body):
    """A walk that is mixed with a sprint bends its knees more, and the other way round."""
    clips = list(synthesize(load_spec(), body, clips_per_action=1, subjects=1, seed=0, actions=("walk", "sprint")))
    skeleton = body.skeleton(torch.from_numpy(clips[0].betas))
    pair = [
        Source(encode(torch.from_numpy(clip.poses), torch.from_numpy(clip.trans), skeleton, RATE), skeleton, "run", i)
        for i, clip in enumerate(clips)
    ]
    walk, sprint = (float(knee_angles(source.features).mean()) for source in pair)
    assert sprint - walk > 0.3
    blends = [Blend(clip, 1 - clip, share) for clip in (0, 1) for share in (0.5, 0.8, 1.1)]
    for variant in make_variants(pair, blends, RATE):
        own, share = blends[variant.number].clip, blends[variant.number].share
        bent = float(variant.poses[:, [JOINT["left_knee"], JOINT["right_knee"]]].norm(dim=-1).mean())
        way = (bent - walk) / (sprint - walk)  # 0 as the walk, 1 as the sprint
        assert (way if own == 0 else 1 - way) == pytest.approx(share, abs=0.3)


def test_feet_of_variants_stand_on_the_ground_and_stay(sources):
    steps = 0
    for number, features in made(sources, count=4):
        motion = decode(features[None], sources[number].skeleton, RATE, plant_feet=False)
        assert motion.soles[..., 2].min() > -0.005
        low = motion.soles[0, ..., 2] < 0.015
        stands = low[:-3] & low[1:-2] & low[2:-1] & low[3:]  # the step in the middle is no landing and no lift-off
        speed = motion.soles[0, 1:-1, :, :2].diff(dim=0).norm(dim=-1) * RATE
        steps += int(stands.sum())
        assert speed[stands].quantile(0.95) < 0.15
    assert steps > 500


def test_another_person_walks_with_other_steps(sources):
    """The root follows the feet: it does not keep the path of the clip whose legs were exchanged."""
    own = {number: source.features[:, 133].mean() for number, source in enumerate(sources)}  # forward, leg lengths / s
    changes = [float((features[:, 133].mean() / own[number] - 1).abs()) for number, features in made(sources)[:4]]
    assert sources[0].action == sources[1].action == "walk"
    assert max(changes) > 0.01


def test_equal_generators_give_equal_variants(sources):
    for (first, features), (again, same) in zip(made(sources), made(sources), strict=True):
        assert first == again
        assert torch.equal(features, same)
    assert any(not torch.equal(a, b) for (_, a), (_, b) in zip(made(sources), made(sources, seed=1)))


def test_a_variant_does_not_depend_on_what_else_is_made(sources):
    blends = [Blend(number, partner, 0.9) for number, partner in ((0, 2), (1, 3), (4, 6), (2, 1))]
    together = {one.number: one for one in make_variants(sources, blends, RATE)}
    assert len(together) == 4
    for number, blend in enumerate(blends):
        [alone] = make_variants(sources, [blend], RATE)
        assert_close(alone.poses, together[number].poses, atol=1e-4, rtol=0)
        assert_close(alone.trans, together[number].trans, atol=1e-4, rtol=0)
        assert alone.is_sound == together[number].is_sound


def test_what_leaves_the_joints_ranges_is_dropped(sources, monkeypatch):
    monkeypatch.setattr(variants, "_MOST_MORE", (-10.0, 9.0, 9.0, 999.0, 9.0))
    assert made(sources) == []


def test_what_loses_its_balance_is_dropped(sources, monkeypatch):
    monkeypatch.setattr(variants, "_MOST_MORE", (9.0, -1.0, 9.0, 999.0, 9.0))
    assert made(sources) == []


@pytest.fixture(scope="module")
def bows(body) -> list[Source]:
    """Two people who stand still, one upright and one bent at the hips by 60 degrees, the pelvis with the trunk."""
    made = []
    skeleton = body.skeleton(torch.zeros(10))
    for number, angle in enumerate((0.0, math.radians(60))):
        poses, trans = torch.zeros(40, 24, 3), torch.zeros(40, 3)
        poses[:, 0] = roma.rotmat_to_rotvec(UPRIGHT @ roma.rotvec_to_rotmat(torch.tensor([angle, 0.0, 0.0])))
        poses[:, [JOINT["left_hip"], JOINT["right_hip"]], 0] = -angle
        posed = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, skeleton)
        trans[:, 2] = -posed.soles[..., 2].min()
        made.append(Source(encode(poses, trans, skeleton, RATE), skeleton, "bow", number))
    return made


def test_a_pelvis_goes_with_the_legs_below_it(bows):
    """Standing legs on a standing pelvis: the thighs still hang straight down."""
    for blend in (Blend(0, 1, 1.0), Blend(1, 0, 1.0)):
        [variant] = make_variants(bows, [blend], RATE)
        skeleton = bows[0].skeleton
        posed = forward_kinematics(roma.rotvec_to_rotmat(variant.poses), variant.trans, skeleton)
        thigh = posed.joints[:, JOINT["left_knee"]] - posed.joints[:, JOINT["left_hip"]]
        assert (thigh[..., 2] / thigh.norm(dim=-1)).max() < -0.95


def test_whoever_leans_out_hovers_or_slides_is_not_sound(bows, monkeypatch):
    """The legs of one on the pelvis of the other: a body that lies in the air, its feet ahead of it."""
    assert all(one.is_sound for one in make_variants(bows, [Blend(0, 0, 0.0), Blend(1, 1, 0.0)], RATE))
    monkeypatch.setattr(variants, "LOWER_BODY", [joint for joint in variants.LOWER_BODY if joint != JOINT["pelvis"]])
    assert not any(one.is_sound for one in make_variants(bows, [Blend(0, 1, 1.0), Blend(1, 0, 1.0)], RATE))


def test_whose_arm_hangs_in_the_trunk_is_not_sound(bows):
    features = bows[0].features.clone()
    inwards = roma.rotvec_to_rotmat(torch.tensor([0.0, 0.0, -math.radians(110)]))  # 20 degrees beyond hanging
    features[:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[:, JOINT["left_shoulder"]] = rotation_6d(inwards)
    pair = [bows[0], replace(bows[0], features=features, clip=1)]
    unchanged, lent = make_variants(pair, [Blend(1, 1, 0.0), Blend(0, 0, 0.0, ((0, 0), (1, 0), (0, 0)))], RATE)
    assert unchanged.is_sound  # no worse than its source
    assert not lent.is_sound
    assert_close(lent.poses, unchanged.poses)


def test_borrowed_trunk_and_arms_move_as_in_their_lenders_and_turn_back_at_the_end(sources):
    clip, lenders = 0, (2, 1, 3)
    starts = [len(sources[lender].features) - 5 for lender in lenders]
    [variant] = make_variants(sources, [Blend(clip, clip, 0.0, tuple(zip(lenders, starts)))], RATE)
    found = encode(variant.poses, variant.trans, sources[clip].skeleton, RATE)[:, ROTATIONS].unflatten(-1, (-1, 6))
    assert len(found) == len(sources[clip].features)
    for joints, lender in zip((TRUNK, LEFT_ARM, RIGHT_ARM), lenders):
        theirs = sources[lender].features[:, ROTATIONS].unflatten(-1, (-1, 6))[:, joints]
        assert_close(found[:5][:, joints], theirs[-5:], atol=1e-4, rtol=0)
        assert_close(found[5:9][:, joints], theirs[-5:-1].flip(0), atol=1e-4, rtol=0)


def test_variants_are_posed_on_their_sources_skeleton(sources):
    """Decoding without a plant gives back legs of the source's lengths."""
    number, features = made(sources)[0]
    skeleton = sources[number].skeleton
    motion = decode(features[None], skeleton, RATE, plant_feet=False)
    thigh = (motion.joints[0, :, JOINT["left_knee"]] - motion.joints[0, :, JOINT["left_hip"]]).norm(dim=-1)
    rest = forward_kinematics(torch.eye(3).expand(1, 24, 3, 3), torch.zeros(1, 3), skeleton).joints[0]
    assert_close(thigh, (rest[JOINT["left_knee"]] - rest[JOINT["left_hip"]]).norm().expand_as(thigh), atol=1e-4, rtol=0)
