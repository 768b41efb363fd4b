"""Resampling against motions whose value at every instant is known."""

import numpy as np
import pytest
import roma
import torch

from motiongan.motion.clip import Clip
from motiongan.motion.resample import interpolate_rotations, low_pass_kernel, resample, smooth_rotations


def make(poses: np.ndarray, trans: np.ndarray, frame_rate: float, **facts: str) -> Clip:
    return Clip(poses.astype(np.float32), trans.astype(np.float32), frame_rate, **facts)


def swinging_clip(frame_rate: float, seconds: float, hertz: float, amplitude: float = 0.5) -> Clip:
    """Left knee about X and trans along X: amplitude * sin(2 pi hertz t), everything else at rest."""
    times = np.arange(round(seconds * frame_rate) + 1) / frame_rate
    poses = np.zeros((len(times), 24, 3))
    trans = np.zeros((len(times), 3))
    poses[:, 4, 0] = trans[:, 0] = amplitude * np.sin(2 * np.pi * hertz * times)
    return make(poses, trans, frame_rate, action="swing", subject="S", source="made up")


def turning_clip(frame_rate: float, seconds: float, axis: np.ndarray, speed: float) -> tuple[Clip, np.ndarray]:
    """All joints turning about one axis at `speed` rad/s, through whole turns; trans straight on."""
    times = np.arange(round(seconds * frame_rate) + 1) / frame_rate
    poses = np.repeat((speed * times)[:, None, None] * axis, 24, axis=1)
    return make(poses, times[:, None] * np.array([1.0, -2.0, 0.5]), frame_rate), times


def matrices(poses: np.ndarray) -> torch.Tensor:
    return roma.rotvec_to_rotmat(torch.from_numpy(poses).double())


@pytest.mark.parametrize("rate", [24.0, 50.0, 59.0, 60.0, 100.0, 120.0, 150.0, 250.0])
def test_uniform_rotation_and_straight_motion_stay_exact_up_to_both_ends(rate: float) -> None:
    axis = np.array([1.0, 2.0, -2.0]) / 3
    clip, _ = turning_clip(rate, 2.0, axis, speed=7.0)
    same = resample(clip, 30.0)
    assert same.num_frames == int((clip.num_frames - 1) * 30 / rate + 1e-6) + 1
    times = np.arange(same.num_frames) / 30.0
    expected = matrices(np.repeat((7.0 * times)[:, None, None] * axis, 24, axis=1))
    assert roma.rotmat_geodesic_distance(matrices(same.poses), expected).max() < 1e-5
    np.testing.assert_allclose(same.trans, times[:, None] * [1.0, -2.0, 0.5], atol=1e-5)


@pytest.mark.parametrize("rate", [59.0, 60.0, 100.0, 120.0, 250.0])
def test_a_2_hz_swing_keeps_its_amplitude_and_phase(rate: float) -> None:
    same = resample(swinging_clip(rate, 4.0, hertz=2.0), 30.0)
    times = np.arange(same.num_frames) / 30.0
    expected = 0.5 * np.sin(2 * np.pi * 2 * times)
    inside = slice(10, -10)
    assert np.abs(same.poses[inside, 4, 0] - expected[inside]).max() < 0.005  # 1 % of the amplitude
    assert np.abs(same.trans[inside, 0] - expected[inside]).max() < 0.005
    assert np.abs(same.poses[:, 4, 1:]).max() < 1e-6


@pytest.mark.parametrize("rate", [100.0, 120.0, 250.0])
def test_a_20_hz_tremor_is_removed_not_folded_to_10_hz(rate: float) -> None:
    clip = swinging_clip(rate, 4.0, hertz=20.0)
    plain = clip.poses[:: round(rate / 30), 4, 0]
    same = resample(clip, 30.0)
    inside = slice(10, -10)
    assert np.abs(plain).max() > 0.4  # what picking frames would have left
    assert np.abs(same.poses[inside, 4, 0]).max() < 0.01
    assert np.abs(same.trans[inside, 0]).max() < 0.01


def test_up_sampling_keeps_the_old_frames_and_curves_between_them() -> None:
    clip = swinging_clip(30.0, 2.0, hertz=1.0)
    finer = resample(clip, 120.0)
    assert finer.num_frames == 4 * (clip.num_frames - 1) + 1
    np.testing.assert_allclose(finer.poses[::4], clip.poses, atol=1e-6)
    np.testing.assert_allclose(finer.trans[::4], clip.trans, atol=1e-6)
    expected = 0.5 * np.sin(2 * np.pi * np.arange(finer.num_frames) / 120.0)
    # Straight lines between frames would be off by amplitude * (2 pi / 30)^2 / 8 = 2.7e-3.
    assert np.abs(finer.poses[:, 4, 0] - expected)[4:-4].max() < 3e-4


def test_it_does_not_matter_which_way_round_an_axis_angle_is_written() -> None:
    clip = swinging_clip(120.0, 2.0, hertz=1.0, amplitude=0.6)
    poses = clip.poses + np.array([2.9, 0.0, 0.0], dtype=np.float32)  # swings through half a turn
    angle = np.linalg.norm(poses, axis=-1, keepdims=True)
    other_side = np.where(angle > np.pi, poses * (1 - 2 * np.pi / angle), poses)
    one = resample(make(poses, clip.trans, 120.0), 30.0)
    two = resample(make(other_side, clip.trans, 120.0), 30.0)
    assert roma.rotmat_geodesic_distance(matrices(one.poses), matrices(two.poses)).max() < 1e-5


def test_the_filter_leaves_a_turn_about_one_axis_alone_for_any_starting_rotation() -> None:
    generator = torch.Generator().manual_seed(3)
    start = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator, dtype=torch.float64), dim=-1)
    axis = torch.nn.functional.normalize(torch.randn(5, 3, generator=generator, dtype=torch.float64), dim=-1)
    turn = roma.rotvec_to_unitquat(torch.arange(80.0, dtype=torch.float64)[:, None, None] * 0.05 * axis)
    rotations = roma.quat_product(start.expand(80, 5, 4), turn)
    smoothed = smooth_rotations(rotations, low_pass_kernel(0.25))
    distance = roma.rotmat_geodesic_distance(roma.unitquat_to_rotmat(smoothed), roma.unitquat_to_rotmat(rotations))
    assert distance.max() < 1e-6
    middle = interpolate_rotations(rotations, torch.tensor([0.5, 40.25, 78.5], dtype=torch.float64))
    expected = roma.quat_product(
        start.expand(3, 5, 4),
        roma.rotvec_to_unitquat(torch.tensor([0.5, 40.25, 78.5]).double()[:, None, None] * 0.05 * axis),
    )
    assert ((middle * expected).sum(-1).abs() > 1 - 1e-12).all()


def test_short_clips_and_equal_rates_pass() -> None:
    one = make(np.ones((1, 24, 3)), np.ones((1, 3)), 120.0)
    assert resample(one, 30.0).num_frames == 1
    two = swinging_clip(120.0, 1 / 120, hertz=2.0)
    assert resample(two, 30.0).num_frames == 1
    assert resample(two, 240.0).num_frames == 3
    clip = swinging_clip(30.0, 1.0, hertz=2.0)
    assert np.array_equal(resample(clip, 30.0).poses, clip.poses)
    assert (resample(clip, 60.0).action, resample(clip, 60.0).subject) == ("swing", "S")
