"""Repair of made-up faults in a made-up motion."""

import numpy as np
import pytest
import roma
import torch

from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import load_body
from motiongan.formats.repair import Repaired, repair
from motiongan.formats.retarget import body_skeleton
from motiongan.motion.clip import Clip

RATE = 120.0
BODY = load_body()
REST = body_skeleton(BODY, np.zeros(10, np.float32)).rest_joints.numpy()


def mend(clip: Clip) -> Repaired:
    return repair(clip, REST)


def swinging(seconds: float = 4.0) -> Clip:
    """Arms, legs and wrists swing by 0.5 rad at 1 Hz while the body moves at 1 m/s."""
    time = np.arange(round(seconds * RATE)) / RATE
    poses = np.zeros((len(time), 24, 3), np.float32)
    poses[:, 0, 0] = np.pi / 2
    swing = 0.5 * np.sin(2 * np.pi * time)
    for name in ("left_hip", "right_hip", "left_shoulder", "right_wrist"):
        poses[:, JOINT[name], 0] = swing
    trans = np.stack([time, 0 * time, 1 + 0 * time], 1).astype(np.float32)
    return Clip(poses, trans, RATE)


def broken(clip: Clip, joint: str | None, frames: slice, value: tuple[float, float, float]) -> Clip:
    poses, trans = clip.poses.copy(), clip.trans.copy()
    if joint is None:
        trans[frames] += value
    else:
        poses[frames, JOINT[joint]] = value
    return Clip(poses, trans, RATE)


def test_a_sound_clip_passes_untouched() -> None:
    clip = swinging()
    repaired = mend(clip)
    assert repaired.clip is clip
    assert repaired.pieces == (slice(0, clip.num_frames),)
    assert repaired.notices == ()


@pytest.mark.parametrize(
    ("joint", "frames", "value"),
    [
        ("left_hip", slice(100, 104), (0.0, 3.0, 0.0)),  # a spike
        ("left_hip", slice(100, 120), (0.0, 3.1, 0.0)),  # turned over for 1/6 s
        ("left_knee", slice(200, 220), (-2.0, 0.0, 0.0)),  # bent backward
        ("right_wrist", slice(150, 250), (3.1, 0.0, 0.0)),  # a hand flipped for 0.8 s
        (None, slice(50, 53), (3.0, 0.0, 0.0)),  # a teleport and back
    ],
)
def test_stretches_between_two_jumps_are_filled_in(
    joint: str | None, frames: slice, value: tuple[float, float, float]
) -> None:
    clip = swinging()
    repaired = mend(broken(clip, joint, frames, value))
    assert repaired.pieces == (slice(0, clip.num_frames),)
    assert len(repaired.notices) == 1
    # A cut through a swing of 0.5 rad cannot be off by more than the swing itself over that time.
    assert np.abs(repaired.clip.poses - clip.poses).max() < (1.0 if joint == "right_wrist" else 0.15)
    assert np.abs(repaired.clip.trans - clip.trans).max() < 0.01
    sound = np.ones(clip.num_frames, dtype=bool)
    sound[frames] = False
    np.testing.assert_allclose(repaired.clip.poses[sound], clip.poses[sound], atol=1e-5)


def test_a_fast_but_human_kick_is_left_alone() -> None:
    clip = swinging()
    poses = clip.poses.copy()
    poses[:, JOINT["right_knee"], 0] = 1.0 + np.tanh((np.arange(clip.num_frames) - 200) / 4.0)  # up to 30 rad/s
    kick = Clip(poses, clip.trans, RATE)
    assert mend(kick).clip is kick


def test_a_clip_is_cut_where_a_limb_jumps_for_good() -> None:
    clip = broken(swinging(6.0), "left_shoulder", slice(400, None), (0.0, 1.5, 1.5))
    repaired = mend(clip)
    assert repaired.pieces == (slice(0, 400), slice(400, 720))
    assert "jump" in repaired.notices[0]


def test_the_t_pose_that_some_files_begin_with_is_cut_off() -> None:
    clip = broken(swinging(), "pelvis", slice(0, 1), (0.0, 0.0, 0.0))
    assert mend(clip).pieces == (slice(1, clip.num_frames),)
    clip = broken(swinging(), "left_hip", slice(-2, None), (0.0, 0.0, 3.0))
    assert mend(clip).pieces == (slice(0, clip.num_frames - 2),)
    clip = broken(swinging(), "pelvis", slice(0, 30), (0.0, 0.0, 0.0))
    assert mend(clip).pieces == (slice(30, clip.num_frames),)


def test_frames_with_nan_are_cut_out_and_a_clip_full_of_them_has_no_piece() -> None:
    clip = swinging()
    trans = clip.trans.copy()
    trans[300:330, 1] = np.nan
    repaired = mend(Clip(clip.poses, trans, RATE))
    assert repaired.pieces == (slice(0, 300),)
    assert "NaN" in repaired.notices[0]
    trans[:] = np.nan
    repaired = mend(Clip(clip.poses, trans, RATE))
    assert repaired.pieces == ()
    assert "NaN" in repaired.notices[0]


def test_single_lost_frames_are_filled_in() -> None:
    clip = swinging()
    poses = clip.poses.copy()
    poses[50::40] = np.nan
    repaired = mend(Clip(poses, clip.trans, RATE))
    assert repaired.pieces == (slice(0, clip.num_frames),)
    assert "NaN" in repaired.notices[0]
    assert np.abs(repaired.clip.poses - clip.poses).max() < 1e-3


def test_a_leg_turned_about_itself_is_turned_back_exactly() -> None:
    """Thigh and shin flipped by half a turn: the knee bends backward, all joints are where they were."""
    clip = swinging()
    poses = clip.poses.copy()
    poses[:, JOINT["left_knee"], 0] = 1.5
    sound = Clip(poses, clip.trans, RATE)
    hip, knee, ankle = (JOINT[f"left_{name}"] for name in ("hip", "knee", "ankle"))
    thigh, shin = ((REST[b] - REST[a]) / np.linalg.norm(REST[b] - REST[a]) for a, b in ((hip, knee), (knee, ankle)))
    flips = [roma.rotvec_to_rotmat(torch.from_numpy(axis * np.pi)) for axis in (thigh, shin)]
    frames = slice(100, 220)  # longer than any gap that is filled in
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(poses[frames]).double())
    flipped = poses.copy()
    flipped[frames, hip] = roma.rotmat_to_rotvec(rotations[:, hip] @ flips[0]).numpy()
    flipped[frames, knee] = roma.rotmat_to_rotvec(flips[0].mT @ rotations[:, knee] @ flips[1]).numpy()
    repaired = mend(Clip(flipped, clip.trans, RATE))
    assert repaired.notices == ("a leg that was turned about itself turned back",)
    np.testing.assert_allclose(repaired.clip.poses, sound.poses, atol=1e-4)
