import math

import pytest
import torch
from torch.testing import assert_close

from motiongan.evaluation.metrics import (
    GRAVITY,
    flight,
    foot_skate,
    frechet_distance,
    joint_range,
    median_jerk,
    nearest,
    neighbourhoods,
    penetration,
    pose_deviation,
    tally,
)

RATE = 20.0


def normal(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Samples with mean exactly 0 and covariance exactly I."""
    values = torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values = values - values.mean(0)
    root = torch.linalg.cholesky(values.T @ values / (count - 1))
    return torch.linalg.solve_triangular(root, values.T, upper=False).T


def test_frechet_distance_of_a_shifted_normal_is_the_squared_shift():
    values = normal(300, 5)
    shift = torch.tensor([3.0, 0.0, -4.0, 0.0, 0.0])
    assert frechet_distance(values, values) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(values, values + shift) == pytest.approx(25)


def test_frechet_distance_of_a_scaled_normal_is_the_squared_difference_of_the_scales():
    # tr (1 + s^2 - 2 s) I = d (s - 1)^2
    assert frechet_distance(normal(300, 4), 3 * normal(200, 4, seed=1)) == pytest.approx(4 * 4)


def test_frechet_distance_takes_covariances_that_do_not_commute_or_have_no_inverse():
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(2)
    first = torch.randn(50, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    second = torch.randn(40, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    one, two = first.double().T.cov().numpy(), second.double().T.cov().numpy()
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum().item() + (one + two - 2 * sqrtm(one @ two).real).trace()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-4)
    flat = first * torch.tensor([1.0, 1, 1, 0, 0, 0])  # rank 3
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-4)


def test_frechet_distance_with_weights_equals_repeated_samples_at_large_numbers():
    values = torch.cat([normal(400, 3), normal(400, 3, seed=1) + 5])
    others = torch.cat([normal(400, 3, seed=2), normal(100, 3, seed=3) + 5])
    assert frechet_distance(values, others) > 3  # the mix differs
    weights = torch.cat([torch.full((400,), 1.0), torch.full((100,), 4.0)])
    assert frechet_distance(values, others, None, weights) == pytest.approx(0, abs=0.05)


def test_clips_in_step_have_no_pose_deviation_however_much_they_move():
    motion = torch.rand(1, 12, 3, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, 12, dtype=torch.bool)
    assert pose_deviation(motion.expand(5, 12, 3, 3), mask) == pytest.approx(0, abs=1e-6)


def test_pose_deviation_is_the_unbiased_rms_over_valid_frames():
    joints = torch.zeros(2, 4, 1, 3)
    joints[1, :, 0, 0] = 0.2  # two clips 20 cm apart: variance 0.1^2 + 0.1^2 over n - 1 = 1
    joints[1, 3] = 99.0
    mask = torch.ones(2, 4, dtype=torch.bool)
    mask[1, 3] = False
    assert pose_deviation(joints, mask) == pytest.approx(math.sqrt(0.02))


def means(tallies: dict) -> dict[str, float]:
    return {name: tally.mean for name, tally in tallies.items()}


def soles(frames: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, frames, 4, 3), torch.ones(1, frames, dtype=torch.bool)


def test_skating_is_the_fast_share_of_the_low_balls():
    points, mask = soles()
    points[0, :, 2, 0] = 0.1 * torch.arange(6)  # the left ball slides at 2 m/s
    points[0, :, 0, 0] = 9.0 * torch.arange(6)  # heels do not count
    result = foot_skate(points, mask, RATE)
    assert result == pytest.approx({"low_toe_share": 1.0, "skate_share": 0.5, "foot_skate": 1.0})
    points[0, 4:, 2, 2] = 0.1  # it lifts in frame 4: 3 of its 5 steps stay low
    result = foot_skate(points, mask, RATE)
    assert result == pytest.approx({"low_toe_share": 0.8, "skate_share": 3 / 8, "foot_skate": 2 * 3 / 8})
    mask[0, 3:] = False
    assert foot_skate(points, mask, RATE)["low_toe_share"] == 1.0


def test_penetration_is_the_mean_depth_of_the_lowest_point():
    points, mask = soles(4)
    points[0, 1, 0, 2] = -0.01
    points[0, 1, 3, 2] = -0.03
    points[0, 2, :, 2] = 0.5
    assert penetration(points, mask) == pytest.approx(0.03 / 4)


def test_a_jump_flies_and_a_hovering_body_floats():
    time = torch.arange(20, dtype=torch.float64) / RATE
    fall = torch.stack([time, time, 2 + 4 * time - GRAVITY / 2 * time**2], -1)[None]
    mask = torch.ones(1, 20, dtype=torch.bool)
    high = torch.full((1, 20), 0.5)
    result = means(flight(fall, high, mask, RATE))
    assert result["air_share"] == 1
    assert result["floating_share"] == 0
    assert result["flight_error"] == pytest.approx(0, abs=1e-6)
    still = means(flight(torch.ones(1, 20, 3), high, mask, RATE))
    assert still == pytest.approx({"air_share": 1.0, "flight_error": GRAVITY, "floating_share": 1.0}, rel=1e-5)
    ground = means(flight(torch.ones(1, 20, 3), torch.zeros(1, 20), mask, RATE))
    assert ground["air_share"] == 0
    assert math.isnan(ground["flight_error"])


def test_joint_range_counts_frames_beyond_five_degrees():
    violation = torch.zeros(1, 4, 24)
    violation[0, 0, 3] = math.radians(4)
    violation[0, 1, 3] = violation[0, 1, 7] = math.radians(20)
    mask = torch.tensor([[True, True, True, False]])
    violation[0, 3] = 3.0
    assert means(joint_range(violation, mask)) == pytest.approx(
        {"range_share": 1 / 3, "range_degrees": 44 / 3}, rel=1e-5
    )


def test_median_jerk_needs_four_valid_frames():
    values = torch.tensor([[1.0, 5.0, 9.0]])[..., None].expand(1, 3, 2)
    mask = torch.ones(1, 6, dtype=torch.bool)
    assert median_jerk(values, mask) == 5
    mask[0, 5] = False
    assert median_jerk(values, mask) == 1  # torch's median of two is the lower one
    mask[0, 3:] = False
    assert math.isnan(median_jerk(values, mask))


def test_the_nearest_agrees_with_all_the_distances_and_a_copy_is_at_zero():
    generator = torch.Generator().manual_seed(4)
    queries, candidates = torch.randn(30, 7, generator=generator), torch.randn(50, 7, generator=generator)
    distance, index = nearest(queries, candidates, chunk=8)
    assert_close(distance, torch.cdist(queries, candidates).amin(1), atol=1e-4, rtol=1e-4)
    assert torch.equal(index, torch.cdist(queries, candidates).argmin(1))
    distance, index = nearest(candidates[:3], candidates)
    assert distance.tolist() == [0, 0, 0]
    assert index.tolist() == [0, 1, 2]
    assert nearest(queries, candidates[:0])[0].isinf().all()


def test_a_tally_takes_its_mean_over_what_counts_in_any_windows():
    values = torch.tensor([[1.0, 2.0, math.inf], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    where = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    made = tally(values, where)
    assert made.mean == 9 / 3
    assert made[torch.tensor([1])].mean == 6
    assert math.isnan(made[torch.tensor([2])].mean)
    assert tally(torch.tensor([True, False, False, True])).mean == 0.5


def test_neighbourhoods_of_points_on_a_line():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # with k = 1 the radii are 1, 1, 1, 8
    generated = torch.tensor([[0.5], [1.2], [40.0], [40.5]])  # 0.7, 0.7, 0.5, 0.5
    found = neighbourhoods(real, generated, k=1)
    assert found.precision.tolist() == [1, 1, 0, 0]
    assert found.density.tolist() == [2, 2, 0, 0]  # 0.5 lies near 0 and 1, 1.2 near 1 and 2; 8.8 is not < 8
    assert found.recall.tolist() == [1, 1, 0, 0]  # 2 is 0.8 from 1.2
    assert found.coverage.tolist() == [1, 1, 1, 0]


def test_neighbourhoods_of_a_set_in_itself_are_perfect_and_of_a_far_one_empty():
    real = normal(40, 3)
    itself, far = neighbourhoods(real, real), neighbourhoods(real, real + 100)
    for name in ("precision", "recall", "coverage"):
        assert getattr(itself, name).mean() == 1
        assert getattr(far, name).mean() == 0
    # The definition, sample by sample: the open ball of the 5th neighbour holds its own centre and 4 others at least.
    assert itself.density.sum() == pytest.approx(40 * 5 / 5)
    assert far.density.sum() == 0


def test_a_single_sample_has_no_neighbourhood_to_find_anything_in():
    several, single = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5]])
    found, other = neighbourhoods(several, single), neighbourhoods(single, several)
    assert found.recall.isnan().all()
    assert found.precision.tolist() == [1]
    assert found.density.tolist() == [2]
    assert found.coverage.tolist() == [1, 1]
    assert all(getattr(other, name).isnan().all() for name in ("precision", "density", "coverage"))
    assert other.recall.tolist() == [1]


def test_neighbourhoods_tell_a_collapse_from_spread_by_coverage_and_recall_alone():
    real = normal(200, 2)
    collapsed = normal(200, 2, seed=1) * 0.05
    found, honest = neighbourhoods(real, collapsed), neighbourhoods(real, normal(200, 2, seed=2))
    assert found.precision.mean() == 1
    assert found.density.mean() > 1
    assert found.coverage.mean() < 0.2 < 0.8 < honest.coverage.mean()
    assert found.recall.mean() < 0.2 < 0.8 < honest.recall.mean()
