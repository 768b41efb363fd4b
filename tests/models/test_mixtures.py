"""Mixtures of Gaussians over sequences: the numbers of cases worked out on paper, and draws that follow them."""

import math

import pytest
import torch
from torch.testing import assert_close

from motiongan.models.generator import draw_noise
from motiongan.models.rivals import MixtureGenerator, completed, fit_mixture, fit_mixtures, mixture_config

STEPS, CHANNELS = 3, 2


def fitted(sequences: torch.Tensor, components: int, rank: int, actions: list[int] | None = None) -> MixtureGenerator:
    ids = torch.tensor(actions or [0] * len(sequences))
    made = MixtureGenerator(mixture_config(components, rank), int(ids.max()) + 1, CHANNELS, STEPS)
    mask = torch.ones(sequences.shape[:2], dtype=torch.bool)
    fit_mixtures(made, sequences, mask, ids, random=torch.Generator().manual_seed(0))
    return made


def drawn(generator: MixtureGenerator, count: int, action: int = 0) -> torch.Tensor:
    rank, components = generator.means.shape[2], generator.means.shape[1]
    noise = draw_noise(range(count), STEPS, mixture_config(components, rank))
    return generator(noise, torch.full((count,), action))


def test_one_component_has_the_mean_and_the_covariance_of_its_points():
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]], dtype=torch.float64)
    shares, means, covariances = fit_mixture(points, 1, random=torch.Generator().manual_seed(0))
    assert_close(shares, torch.ones(1, dtype=torch.float64))
    assert_close(means[0], torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert_close(covariances[0], torch.diag(torch.tensor([1.0, 4.0])).double(), rtol=1e-4, atol=1e-5)


def test_two_heaps_far_apart_are_two_components_shrunk_towards_their_common_covariance():
    """Of 6 points around -100 with variance 1 and 2 around 100 with variance 4, on one axis.

    Common: (6 + 2 4) / 8 = 1.75. Shrunk, with one axis: (6 + 1.75) / 7 and (8 + 1.75) / 3.
    """
    heap = torch.tensor([-101.0, -99.0] * 3 + [98.0, 102.0], dtype=torch.float64)[:, None]
    shares, means, covariances = fit_mixture(heap, 2, random=torch.Generator().manual_seed(0))
    order = means[:, 0].argsort()
    assert_close(shares[order], torch.tensor([0.75, 0.25], dtype=torch.float64))
    assert_close(means[order, 0], torch.tensor([-100.0, 100.0], dtype=torch.float64))
    expected = torch.tensor([7.75 / 7, 9.75 / 3], dtype=torch.float64)
    assert_close(covariances[order, 0, 0], expected, rtol=0, atol=0.02)  # the floor is a millionth of 7500


def test_more_components_than_points_still_give_covariances_to_draw_from():
    points = torch.tensor([[0.0, 1.0], [0.0, 1.0], [3.0, 1.0]], dtype=torch.float64)
    shares, means, covariances = fit_mixture(points, 5, random=torch.Generator().manual_seed(0))
    assert shares.sum().item() == pytest.approx(1)
    assert (torch.linalg.eigvalsh(covariances) > 0).all()
    assert means.isfinite().all()


def test_draws_of_a_gaussian_have_the_mean_and_the_covariance_of_the_sequences():
    random = torch.Generator().manual_seed(1)
    mixing = torch.randn(6, 6, generator=random)
    sequences = (torch.randn(400, 6, generator=random) @ mixing + 5).unflatten(1, (STEPS, CHANNELS))
    made = drawn(fitted(sequences, 1, 6), 4000).flatten(1)
    wanted = sequences.flatten(1)
    assert_close(made.mean(0), wanted.mean(0), atol=0.3, rtol=0)
    assert (made.T.cov() - wanted.T.cov()).norm() < 0.12 * wanted.T.cov().norm()


def test_draws_of_a_mixture_fall_on_its_heaps_by_their_shares():
    random = torch.Generator().manual_seed(1)
    heaps = torch.cat([torch.full((150, 6), -10.0), torch.full((50, 6), 10.0)])
    sequences = (heaps + torch.randn(200, 6, generator=random)).unflatten(1, (STEPS, CHANNELS))
    made = drawn(fitted(sequences, 2, 4), 2000).flatten(1).mean(1)
    assert ((made.abs() - 10).abs() < 3).all()  # nothing in between
    assert (made < 0).float().mean().item() == pytest.approx(0.75, abs=0.04)
    one = drawn(fitted(sequences, 1, 4), 2000).flatten(1).mean(1)
    assert ((one.abs() - 10).abs() > 3).float().mean() > 0.2  # a single Gaussian fills the gap


def test_every_action_has_its_own_mixture_and_a_clip_is_its_seeds():
    sequences = torch.cat([torch.zeros(8, STEPS, CHANNELS), torch.full((8, STEPS, CHANNELS), 9.0)])
    sequences += 0.1 * torch.randn(sequences.shape, generator=torch.Generator().manual_seed(0))
    generator = fitted(sequences, 2, 3, [0] * 8 + [1] * 8)
    assert drawn(generator, 50, action=0).mean().item() == pytest.approx(0, abs=0.2)
    assert drawn(generator, 50, action=1).mean().item() == pytest.approx(9, abs=0.2)
    assert_close(drawn(generator, 50)[:5], drawn(generator, 5))
    assert drawn(generator, 50).std(0).min() > 0.01


def test_a_single_window_is_given_back():
    window = torch.arange(6.0).reshape(1, STEPS, CHANNELS)
    assert_close(drawn(fitted(window, 3, 2), 4), window.expand(4, -1, -1), atol=0.01, rtol=0)


def test_the_share_of_a_component_is_drawn_by_the_normal_distribution():
    generator = MixtureGenerator(mixture_config(2, 1), 1, 1, 1)
    generator.shares.copy_(torch.tensor([[0.8, 0.2]]))
    generator.means[0, :, 0] = torch.tensor([1.0, 2.0])
    generator.basis.fill_(1.0)
    edge = math.sqrt(2) * torch.erfinv(torch.tensor(2 * 0.8 - 1)).item()  # the normal number below which 80 % lie
    noise = draw_noise([0, 1], 1, mixture_config(2, 1))
    noise.latent[:, 0] = torch.tensor([edge - 0.01, edge + 0.01])
    assert_close(generator(noise, torch.zeros(2, dtype=torch.long))[:, 0, 0], torch.tensor([1.0, 2.0]))


def test_a_short_sequence_goes_on_like_the_longer_one_that_was_like_it_so_far():
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [9.0, 8.0, 7.0, 0.0], [8.0, 8.5, 0.0, 0.0], [1.2, 0.0, 0.0, 0.0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    expected = [[1.0, 2.0, 3.0, 4.0], [9.0, 8.0, 7.0, 4.0], [8.0, 8.5, 7.0, 4.0], [1.2, 2.0, 3.0, 4.0]]
    assert_close(completed(values[..., None], mask)[..., 0], torch.tensor(expected))


def test_where_no_sequence_is_longer_the_last_step_is_held():
    values, mask = torch.tensor([[[5.0], [6.0], [0.0]]]), torch.tensor([[True, True, False]])
    assert_close(completed(values, mask)[0, :, 0], torch.tensor([5.0, 6.0, 6.0]))
