"""Scores of clips: worked out on paper for rigid motion, and beside real clips that they copy or do not."""

import dataclasses

import numpy as np
import pytest
import torch
from roma import rotvec_to_rotmat
from torch.testing import assert_close

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.evaluation import clip_scores
from motiongan.evaluation.clip_scores import ClipScorer, NearestSearch, RealMotion, read_real_motion
from motiongan.evaluation.metrics import nearest
from motiongan.generation.generate import load_generator
from motiongan.models.checkpoint import ModelFile
from motiongan.motion.clip import SCORE_UNITS, Clip
from motiongan.motion.store import read_clips, write_clips

RATE = 30.0
COPIED = ("squat", "kick_left", "kick_right")  # their middle 0.8 s begin at an even frame, where pieces are searched


def _standing(body: Body, num_frames: int = 40, height: float = 0.0, velocity: float = 0.0, **fields: object) -> Clip:
    """A T-pose whose lowest sole point is `height` above the ground, sliding along x at `velocity`."""
    skeleton = body.skeleton(torch.zeros(10))
    poses = np.zeros((num_frames, 24, 3), np.float32)
    poses[:, 0, 0] = np.pi / 2  # the rest body's +Y, upwards, becomes +Z
    pelvis, soles = skeleton.rest_joints[0].numpy(), skeleton.rest_soles.numpy()
    trans = np.zeros((num_frames, 3), np.float32)
    trans[:, 0] = velocity * np.arange(num_frames) / RATE
    trans[:, 2] = height - (pelvis[2] + soles[:, 1].min() - pelvis[1])  # SMPL turns the body about its rest pelvis
    return Clip(poses=poses, trans=trans, frame_rate=RATE, action="walk", **fields)


def _scores(body: Body, clip: Clip, window: int = 64) -> dict[str, float]:
    return ClipScorer(body, ["walk"], window)([clip])[0]


# -- physical scores ---------------------------------------------------------------------------------------------------


def test_a_body_that_stands_still_is_faultless(body):
    scores = _scores(body, _standing(body))
    assert set(scores) == set(SCORE_UNITS) - {"recognized", "training_distance", "flight_error", "attempts", "accepted"}
    assert scores == pytest.approx(dict.fromkeys(scores, 0.0), abs=0.02)  # m/s^3: float32 at 27,000 frames^3/s^3


def test_feet_that_slide_skate_at_their_speed(body):
    scores = _scores(body, _standing(body, velocity=0.7))
    assert scores["foot_skate"] == pytest.approx(0.7, rel=1e-4)


def test_penetration_is_the_depth_in_metres(body):
    assert _scores(body, _standing(body, height=-0.03))["penetration"] == pytest.approx(0.03, abs=1e-5)


def test_a_body_that_hangs_in_the_air_floats_and_errs_by_g(body):
    scores = _scores(body, _standing(body, height=0.5))
    assert scores["floating"] == 1
    assert scores["flight_error"] == pytest.approx(9.81, abs=0.01)
    assert "foot_skate" not in scores  # no foot is ever low


def test_a_falling_body_neither_floats_nor_errs(body):
    clip = _standing(body, num_frames=16, height=2.0)
    seconds = np.arange(16) / RATE
    clip.trans[:, 2] -= (9.81 / 2 * seconds**2).astype(np.float32)
    scores = _scores(body, clip)
    assert scores["floating"] == 0
    assert scores["flight_error"] == pytest.approx(0, abs=0.01)


def test_a_knee_bent_sideways_counts_in_radians_for_its_share_of_the_frames(body):
    clip = _standing(body)
    clip.poses[:20, JOINT["left_knee"], 2] = np.radians(42)  # its range ends at 12 degrees
    assert _scores(body, clip)["joint_range_violation"] == pytest.approx(np.radians(30) / 2, rel=1e-3)


def test_a_body_that_lies_in_the_air_on_its_heels_is_metres_off_balance(body):
    clip = _standing(body)
    assert _scores(body, clip)["off_balance"] == 0
    for joint in ("left_hip", "right_hip"):
        clip.poses[:, JOINT[joint], 0] = -np.radians(60)  # the feet 0.7 m ahead
    rotations, skeleton = rotvec_to_rotmat(torch.from_numpy(clip.poses)), body.skeleton(torch.zeros(10))
    posed = forward_kinematics(rotations, torch.from_numpy(clip.trans), skeleton)
    clip.trans[:, 2] -= float(posed.soles[..., 2].min())
    assert 0.3 < _scores(body, clip)["off_balance"] < 0.9


def test_an_arm_that_hangs_in_the_trunk_scores_its_depth_over_the_frames(body):
    clip = _standing(body)
    assert _scores(body, clip)["self_penetration"] == 0
    clip.poses[:, JOINT["left_shoulder"], 2] = -np.radians(110)  # the elbow in the trunk
    deep = _scores(body, clip)["self_penetration"]
    assert 0.02 < deep < 0.1
    clip.poses[10:, JOINT["left_shoulder"], 2] = -np.radians(75)
    assert _scores(body, clip)["self_penetration"] == pytest.approx(deep * 10 / clip.num_frames, rel=1e-4)


def test_jerk_is_the_third_derivative_of_the_path(body):
    clip = _standing(body, num_frames=40)
    seconds = np.arange(40) / RATE
    clip.trans[:, 0] = 5 * seconds**3  # third derivative 30 m/s^3, whose differences are exact
    assert _scores(body, clip)["jerk"] == pytest.approx(30, rel=0.01)


def test_a_clip_scores_the_same_alone_among_others_and_beyond_the_window(body):
    clips = [
        _standing(body, num_frames=50, velocity=0.5),
        _standing(body, num_frames=3),
        _standing(body, num_frames=90, velocity=0.2, height=-0.01),
    ]
    together = ClipScorer(body, ["walk"], 64)(clips)
    assert together[1] == {}  # too short for any
    for number in (0, 2):
        for window in (32, 64, 128):
            assert _scores(body, clips[number], window) == pytest.approx(together[number], rel=1e-5, abs=1e-6)
    assert together[2]["foot_skate"] == pytest.approx(0.2, rel=1e-4)


# -- beside real clips -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tiny_model) -> ModelFile:
    return load_generator(tiny_model).file


@pytest.fixture(scope="module")
def real(tiny_data_file, model, body) -> RealMotion:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_scores, "_RECOGNIZER_STEPS", 60)
        return read_real_motion(tiny_data_file, model, body, novel=True)


@pytest.fixture
def seen(tiny_data_file, model) -> list[Clip]:
    return [clip for clip in read_clips(tiny_data_file) if clip.subject not in model.provenance["held_out"]]


def test_a_training_clip_is_recognized_and_at_no_distance_and_an_odd_pose_is_far(real, model, body, seen):
    scores = ClipScorer(body, model.actions, model.window, real)(seen)
    copies = [score for score, clip in zip(scores, seen) if clip.action in COPIED]
    assert max(score["training_distance"] for score in copies) < 1e-5
    assert np.mean([score["recognized"] for score in scores]) > 0.5
    odd = _standing(body)
    odd.poses[:, JOINT["left_shoulder"], 2] = 1.2
    (score,) = ClipScorer(body, model.actions, model.window, real)([odd])
    assert score["training_distance"] > 0.1


def test_the_mirror_image_of_a_training_clip_is_at_no_distance_either(real, model, body, seen):
    images = [
        dataclasses.replace(
            clip,
            poses=clip.poses[:, MIRROR_JOINTS] * np.float32([1, -1, -1]),
            trans=clip.trans * np.float32([-1, 1, 1]),
        )
        for clip in seen
        if clip.action in COPIED
    ]
    scores = ClipScorer(body, model.actions, model.window, real)(images)
    assert max(score["training_distance"] for score in scores) < 0.001  # bodies are not quite alike on both sides


def test_distances_are_metres_on_the_mean_training_body(real, model, body, seen):
    """A turned ankle moves one joint of the 22 that are compared: root mean square over all of them."""
    clip = next(clip for clip in seen if clip.action in COPIED)
    other = dataclasses.replace(clip, poses=clip.poses.copy())
    other.poses[:, JOINT["left_foot"], 0] += 1.0  # turns toes only, and no joint hangs on them
    scorer = ClipScorer(body, model.actions, model.window, real)
    assert scorer([other])[0]["training_distance"] < 1e-5
    other.poses[:, JOINT["left_ankle"], 0] += 0.05
    skeleton = body.skeleton(torch.from_numpy(clip.betas))
    foot = (skeleton.rest_joints[JOINT["left_foot"]] - skeleton.rest_joints[JOINT["left_ankle"]])[1:].norm().item()
    moved = 2 * np.sin(0.025) * foot / skeleton.leg_length.item()
    legs = [
        body.skeleton(torch.from_numpy(betas)).leg_length.item()
        for betas in {one.subject: one.betas for one in seen}.values()
    ]
    assert scorer([other])[0]["training_distance"] == pytest.approx(moved * np.mean(legs) / np.sqrt(22), rel=0.02)


def test_what_is_novel_is_told_by_people_against_other_people(real, tiny_data_file, tmp_path, model, body, monkeypatch):
    """Were everybody's clips somebody else's too, nothing would be too near."""
    assert set(real.novel_from) == set(model.actions)
    assert min(real.novel_from.values()) > 0.01
    monkeypatch.setattr(clip_scores, "_RECOGNIZER_STEPS", 1)
    clips = read_clips(tiny_data_file)
    (held_out,) = model.provenance["held_out"]
    names = [name for name in dict.fromkeys(clip.subject for clip in clips) if name != held_out]
    first = [clip for clip in clips if clip.subject == names[0]]
    copies = [dataclasses.replace(clip, subject=name) for name in (held_out, *names) for clip in first]
    write_clips(tmp_path / "copies.h5", copies, kind="sample")
    copied = read_real_motion(tmp_path / "copies.h5", model, body, novel=True)
    assert [copied.novel_from[action] for action in COPIED] == pytest.approx([0.0] * len(COPIED), abs=1e-6)


def test_typical_scores_are_those_of_the_training_clips(real, model, body, seen):
    walks = [clip for clip in seen if clip.action == "walk"]  # as long as one window
    jerks = [score["jerk"] for score in ClipScorer(body, model.actions, model.window)(walks)]
    assert real.typical["walk"]["jerk"] == pytest.approx(np.quantile(jerks, 0.75), rel=1e-4)


def test_data_without_the_models_actions_is_refused(tmp_path, model, body, make_clip):
    known = model.provenance["subjects"][0]
    write_clips(tmp_path / "walks.h5", [make_clip(0, subject=known), make_clip(1, subject=known)], kind="sample")
    with pytest.raises(MotionganError, match=r"walks\.h5: no training clip of squat, kick_left, kick_right; give"):
        read_real_motion(tmp_path / "walks.h5", model, body)


def test_people_on_whom_the_model_was_not_trained_are_no_training_people(
    tmp_path, tiny_data_file, model, body, monkeypatch, caplog
):
    monkeypatch.setattr(clip_scores, "_RECOGNIZER_STEPS", 1)
    clips = read_clips(tiny_data_file)
    (held_out,) = model.provenance["held_out"]
    strange = [dataclasses.replace(clip, subject="stranger") for clip in clips if clip.subject == held_out]
    write_clips(tmp_path / "more.h5", [*clips, *strange], kind="sample")
    more = read_real_motion(tmp_path / "more.h5", model, body)
    assert ClipScorer(body, model.actions, model.window, more)([strange[0]])[0]["training_distance"] > 0.005
    assert "not all be here" not in caplog.text
    seen = [clip for clip in clips if clip.subject != model.provenance["subjects"][0]]
    write_clips(tmp_path / "fewer.h5", seen, kind="sample")
    read_real_motion(tmp_path / "fewer.h5", model, body)
    assert "fewer.h5: other motion than the model was trained on" in caplog.text


# -- the search --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "tried"), [(4, 2), (16, 8), (40, 500)])
def test_the_quick_search_finds_what_the_plain_one_does(axes, tried):
    """Few axes and few tried candidates: many queries are unsure, and are looked up in full."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(3, 0.1, 40)
    candidates = torch.randn(300, 40, generator=generator) * scale + 5
    queries = torch.cat([torch.randn(100, 40, generator=generator) * scale + 5, candidates[:5]])
    found = NearestSearch(candidates, axes=axes, tried=tried).distance(queries)
    assert_close(found, nearest(queries, candidates)[0], atol=1e-5, rtol=1e-5)
    assert_close(found[-5:], torch.zeros(5), atol=1e-5, rtol=0)
