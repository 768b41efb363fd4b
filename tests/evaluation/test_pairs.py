import itertools

import pytest
import torch
from torch.testing import assert_close

from motiongan.evaluation.pairs import FeatureSet, balanced_mean, kernel_distances, mean_distances, weigh_clips


def features(count: int, seed: int, actions: int = 1, clips: int | None = None, shift: float = 0.0) -> FeatureSet:
    values = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) + shift
    numbers = torch.arange(count)
    return FeatureSet(values, numbers % actions, numbers if clips is None else numbers % clips)


def plain(windows: FeatureSet, draws: int = 0):
    return weigh_clips(windows, seed=0, draws=draws)


def kernel(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one.double() @ other.double()) / 4 + 1).item() ** 3


def test_distances_are_means_over_pairs_of_different_clips():
    windows = FeatureSet(
        torch.tensor([[0.0, 0.0], [9.0, 9.0], [3.0, 4.0], [0.0, 1.0]]),
        torch.tensor([0, 0, 0, 1]),
        torch.tensor([5, 5, 6, 5]),  # clip 5 of action 1 is another clip
    )
    means = mean_distances(plain(windows), torch.tensor([0, 1]))[0]
    to_long = (81 + 81) ** 0.5, (36 + 25) ** 0.5
    assert means[0, 0].item() == pytest.approx((5 + to_long[1]) / 2)  # not the pair within clip 5
    assert means[0, 1].item() == pytest.approx((1 + (81 + 64) ** 0.5 + (9 + 9) ** 0.5) / 3)
    assert means[1, 1].isnan()
    assert_close(means, means.T, equal_nan=True)


def test_the_kernel_distance_is_the_unbiased_estimate_of_its_definition():
    one, other = features(7, 0), features(5, 1, shift=0.3)
    first, second = one.features, other.features
    inside = [kernel(first[i], first[j]) for i, j in itertools.permutations(range(7), 2)]
    outside = [kernel(second[i], second[j]) for i, j in itertools.permutations(range(5), 2)]
    between = [kernel(x, y) for x in first for y in second]
    expected = sum(inside) / 42 + sum(outside) / 20 - 2 * sum(between) / 35
    together, each = kernel_distances(plain(one), plain(other), torch.tensor([0]))
    assert together.item() == pytest.approx(expected, rel=1e-6)
    assert each.item() == pytest.approx(expected, rel=1e-6)


def test_kernel_distances_of_one_origin_scatter_round_0_however_few_the_clips():
    values = [
        kernel_distances(plain(features(6, 2 * seed)), plain(features(6, 2 * seed + 1)), torch.tensor([0]))[0].item()
        for seed in range(200)
    ]
    values = torch.tensor(values)
    assert abs(values.mean()) < 3 * values.std() / 200**0.5
    apart, _ = kernel_distances(plain(features(6, 0)), plain(features(6, 1, shift=3.0)), torch.tensor([0]))
    assert apart.item() > 10 * values.std()


def test_every_action_has_the_same_weight_whatever_its_number_of_clips():
    one, other = features(30, 0, actions=2), features(30, 1, actions=2)
    many = one[torch.cat([torch.arange(30), (one.action_ids == 1).nonzero()[:, 0]])]
    actions = torch.tensor([0, 1])
    same = kernel_distances(plain(one), plain(other), actions)[0]
    # Clips of action 1 are twice as long now, and as alike as before: nothing changes.
    assert_close(kernel_distances(plain(many), plain(other), actions)[0], same)


def test_a_clip_drawn_twice_is_not_its_own_neighbour():
    far = FeatureSet(10 * torch.eye(4), torch.zeros(4, dtype=torch.long), torch.arange(4))
    draws = mean_distances(plain(far, draws=200), torch.tensor([0]))[:, 0, 0]
    known = draws[~draws.isnan()]
    assert_close(known, torch.full_like(known, 200**0.5))


def test_a_draw_without_a_pair_takes_the_plain_value():
    nan = torch.nan
    blocks = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[5.0, 2.0], [3.0, nan]], [[nan, 4.0], [4.0, 7.0]]])
    assert_close(balanced_mean(blocks), torch.tensor([12 / 4, (5 + 2 + 3 + 6) / 4, (1 + 4 + 4 + 7) / 4]))


def test_an_action_of_a_single_clip_leaves_nothing_to_say_over_all_actions():
    one, other = features(12, 0, actions=2), features(12, 1, actions=2)
    single = one[(one.action_ids == 0).nonzero()[:, 0]]
    single = FeatureSet(
        torch.cat([single.features, one.features[1:2]]),
        torch.cat([single.action_ids, torch.ones(1, dtype=torch.long)]),
        torch.cat([single.clip_ids, torch.tensor([1])]),
    )
    actions = torch.tensor([0, 1])
    for first, second in ((single, other), (other, single)):
        together, each = kernel_distances(plain(first, 20), plain(second, 20), actions)
        assert together.isnan().all()
        assert each[0, 0].isfinite()
        assert each[:, 1].isnan().all()
    assert balanced_mean(mean_distances(plain(single, 20), actions)).isnan().all()
    assert kernel_distances(plain(one, 20), plain(other, 20), actions)[0].isfinite().all()
