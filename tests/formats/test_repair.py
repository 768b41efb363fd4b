"""Repair of made-up faults in a made-up motion."""

import numpy as np
import pytest

from motiongan.body.skeleton import JOINT
from motiongan.formats.repair import repair
from motiongan.motion.clip import Clip

RATE = 120.0


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
    repaired = repair(clip)
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
    repaired = repair(broken(clip, joint, frames, value))
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
    assert repair(kick).clip is kick


def test_a_clip_is_cut_where_a_limb_jumps_for_good() -> None:
    clip = broken(swinging(6.0), "left_shoulder", slice(400, None), (0.0, 1.5, 1.5))
    repaired = repair(clip)
    assert repaired.pieces == (slice(0, 400), slice(400, 720))
    assert "jump" in repaired.notices[0]


def test_the_t_pose_that_some_files_begin_with_is_cut_off() -> None:
    clip = broken(swinging(), "pelvis", slice(0, 1), (0.0, 0.0, 0.0))
    assert repair(clip).pieces == (slice(0, clip.num_frames),)  # a single frame: filled in from its neighbour
    clip = broken(swinging(), "pelvis", slice(0, 30), (0.0, 0.0, 0.0))
    assert repair(clip).pieces == (slice(30, clip.num_frames),)


def test_frames_with_nan_are_cut_out_and_a_clip_full_of_them_has_no_piece() -> None:
    clip = swinging()
    trans = clip.trans.copy()
    trans[300:330, 1] = np.nan
    repaired = repair(Clip(clip.poses, trans, RATE))
    assert repaired.pieces == (slice(0, 300),)
    assert "NaN" in repaired.notices[0]
    trans[:] = np.nan
    repaired = repair(Clip(clip.poses, trans, RATE))
    assert repaired.pieces == ()
    assert "NaN" in repaired.notices[0]


def test_single_lost_frames_are_filled_in() -> None:
    clip = swinging()
    poses = clip.poses.copy()
    poses[50::40] = np.nan
    repaired = repair(Clip(poses, clip.trans, RATE))
    assert repaired.pieces == (slice(0, clip.num_frames),)
    assert "NaN" in repaired.notices[0]
    assert np.abs(repaired.clip.poses - clip.poses).max() < 1e-3
