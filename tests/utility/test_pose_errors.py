import math

import pytest
import roma
import torch

from motiongan.utility.pose_errors import _mean_of_clips, mpjpe, n_mpjpe, pa_mpjpe, velocity_error


@pytest.fixture
def pose():
    return torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_mpjpe_of_a_shift_is_its_length(pose):
    shift = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    assert torch.allclose(mpjpe(pose + shift, pose), torch.full((5,), 5.0).double())


def test_procrustes_forgives_turn_scale_and_shift_but_no_reflection(pose):
    turn = roma.rotvec_to_rotmat(torch.tensor([0.3, -1.2, 0.5], dtype=torch.float64))
    moved = 1.7 * pose @ turn.T + torch.tensor([1.0, 2.0, 3.0])
    assert pa_mpjpe(moved, pose).max() < 1e-9
    assert mpjpe(moved, pose).min() > 0.5
    assert pa_mpjpe(pose * torch.tensor([-1.0, 1.0, 1.0]), pose).min() > 0.1


def test_procrustes_is_never_worse_than_the_best_scale_alone_nor_that_than_none_by_squares(pose):
    other = pose + 0.3 * torch.randn(pose.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # On a single point pair both reduce to least squares, which is what they minimise.
    scale = (other * pose).sum((-2, -1)) / other.square().sum((-2, -1))
    assert torch.allclose(n_mpjpe(other, pose), mpjpe(scale[:, None, None] * other, pose))
    assert n_mpjpe(2 * pose, pose).max() < 1e-9


def test_velocity_error_of_a_pose_that_drifts_is_the_speed_of_the_drift(pose):
    still = pose[:1].expand(4, -1, -1)
    drift = torch.arange(4).double()[:, None, None] * torch.tensor([2.0, 0.0, 0.0])  # 2 mm a frame
    assert torch.allclose(velocity_error(still + drift, still, 30.0), torch.full((3,), 60.0).double())


def test_a_clips_error_is_the_mean_over_its_valid_frames_in_all_its_windows():
    values = torch.tensor([[1.0, 2.0], [3.0, 100.0], [7.0, 9.0]])
    valid = torch.tensor([[True, True], [True, False], [True, True]])
    means = _mean_of_clips(values.double(), valid, torch.tensor([0, 0, 1]), 2)
    assert means.tolist() == [2.0, 8.0]
    assert not math.isnan(means.sum())
