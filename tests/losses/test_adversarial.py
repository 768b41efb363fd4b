import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    began_balance,
    began_convergence,
    began_discriminator_loss,
    clip_weights,
    cross_entropy_discriminator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    interpolates,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    unit_gradient_penalty,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)


def test_equal_logits_cost_both_players_log_two():
    logits = torch.tensor([-3.0, 0.0, 5.0])
    for loss in (relativistic_generator_loss, relativistic_discriminator_loss):
        assert_close(loss(logits, logits), torch.tensor(math.log(2)))


def test_only_the_difference_within_a_pair_counts():
    real, fake = torch.tensor([1.0, 10.0]), torch.tensor([0.0, 12.0])
    # Differences real - fake: 1 and -2.
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(2))) / 2
    assert_close(relativistic_discriminator_loss(real, fake), torch.tensor(expected))
    assert_close(relativistic_discriminator_loss(real + 100, fake + 100), torch.tensor(expected))
    assert_close(relativistic_generator_loss(fake, real), torch.tensor(expected))


def test_the_generator_gains_by_a_higher_fake_logit_and_the_discriminator_by_a_lower_one():
    real = torch.zeros(4)
    fake = torch.zeros(4, requires_grad=True)
    (up,) = torch.autograd.grad(relativistic_generator_loss(real, fake), fake)
    (down,) = torch.autograd.grad(relativistic_discriminator_loss(real, fake), fake)
    assert_close(up, torch.full((4,), -0.125))  # -sigmoid(0) / 4
    assert_close(down, torch.full((4,), 0.125))


def test_huge_logits_stay_finite():
    real, fake = torch.tensor([1e4]), torch.tensor([-1e4], requires_grad=True)
    loss = relativistic_generator_loss(real, fake)
    (gradient,) = torch.autograd.grad(loss, fake)
    assert_close(loss.detach(), torch.tensor(2e4))
    assert_close(gradient, torch.tensor([-1.0]))


# Two real clips and two fake ones. As probabilities, sigmoid: 3/4, 9/10 and 1/4, 1/2.
REAL = torch.tensor([math.log(3), math.log(9)])
FAKE = torch.tensor([-math.log(3), 0.0])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (minimax_generator_loss, (math.log(3 / 4) + math.log(1 / 2)) / 2),  # log(1 - D(G(z)))
        (non_saturating_generator_loss, -(math.log(1 / 4) + math.log(1 / 2)) / 2),  # -log D(G(z))
        (
            cross_entropy_discriminator_loss,
            -(math.log(3 / 4) + math.log(9 / 10)) / 2 - (math.log(3 / 4) + math.log(1 / 2)) / 2,
        ),
    ],
)
def test_the_losses_of_the_first_gan_are_logarithms_of_probabilities(loss, expected):
    assert_close(loss(REAL, FAKE), torch.tensor(expected))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (least_squares_generator_loss, 2.5),  # (1 + 9) / 2 / 2
        (least_squares_discriminator_loss, 3.0),  # (4 + 4) / 2 / 2 + (0 + 4) / 2 / 2
        (wasserstein_generator_loss, 1.0),  # -(0 - 2) / 2
        (wasserstein_discriminator_loss, -2.0),  # (0 - 2) / 2 - (3 - 1) / 2
        (hinge_discriminator_loss, 1.5),  # (0 + 2) / 2 + (1 + 0) / 2
    ],
)
def test_losses_of_unbounded_scores(loss, expected):
    assert_close(loss(torch.tensor([3.0, -1.0]), torch.tensor([0.0, -2.0])), torch.tensor(expected))


def test_a_rejected_fake_moves_the_non_saturating_generator_and_hardly_the_minimax_one():
    fake = torch.tensor([-10.0], requires_grad=True)
    (strong,) = torch.autograd.grad(non_saturating_generator_loss(fake, fake), fake)
    (weak,) = torch.autograd.grad(minimax_generator_loss(fake, fake), fake)
    assert_close(strong, torch.tensor([-1.0]), atol=1e-4, rtol=0)  # -sigmoid(10)
    assert_close(weak, torch.tensor([-math.exp(-10)]), atol=1e-8, rtol=0)  # -sigmoid(-10)


@pytest.mark.parametrize("name", sorted(ADVERSARIAL_LOSSES))
def test_every_generator_wants_higher_fake_logits_and_every_discriminator_the_opposite(name):
    game = ADVERSARIAL_LOSSES[name]
    real, fake = torch.tensor([0.1, 0.2], requires_grad=True), torch.tensor([0.05, 0.3], requires_grad=True)
    balance = {"balance": torch.tensor(0.5)} if game.balanced else {}
    (up,) = torch.autograd.grad(game.generator_loss(real, fake), fake)
    real_slope, fake_slope = torch.autograd.grad(game.discriminator_loss(real, fake, **balance), (real, fake))
    assert (up < 0).all()
    assert (real_slope < 0).all()
    assert (fake_slope > 0).all()


@pytest.mark.parametrize(
    ("name", "penalty", "where", "bound", "updates"),
    [
        ("relativistic", gradient_penalty, ("real", "fake"), None, 3),
        ("minimax", None, (), None, 1),
        ("non-saturating", None, (), None, 1),
        ("non-saturating-r1", gradient_penalty, ("real",), None, 1),
        ("lsgan", None, (), None, 1),
        ("wgan", None, (), "clip", 5),
        ("wgan-gp", unit_gradient_penalty, ("between",), None, 5),
        ("began", None, (), None, 1),
        ("hinge", None, (), "spectral", 1),
    ],
)
def test_every_game_brings_its_own_penalty(name, penalty, where, bound, updates):
    game = ADVERSARIAL_LOSSES[name]
    assert (game.penalty, game.penalised, game.bound, game.updates) == (penalty, where, bound, updates)


# -- BEGAN: reconstruction errors 1 and 3 of real clips, 0.5 and 1 of fake ones ----------------------------------------


def test_the_balance_weighs_the_fakes_errors_for_the_discriminator():
    real, fake = torch.tensor([-1.0, -3.0]), torch.tensor([-0.5, -1.0])
    assert_close(began_discriminator_loss(real, fake, torch.tensor(0.0)), torch.tensor(2.0))
    assert_close(began_discriminator_loss(real, fake, torch.tensor(0.4)), torch.tensor(1.7))  # 2 - 0.4 0.75


@pytest.mark.parametrize(
    ("balance", "fake_error", "expected"),
    [
        (0.4, 0.75, 0.425),  # 0.4 + 0.1 (0.5 2 - 0.75)
        (0.4, 1.0, 0.4),  # balanced
        (0.4, 3.0, 0.2),
        (0.1, 3.0, 0.0),  # -0.1
        (0.99, 0.0, 1.0),  # 1.09
    ],
)
def test_the_balance_rises_where_fakes_are_given_back_too_well_and_stays_within_0_and_1(balance, fake_error, expected):
    moved = began_balance(torch.tensor(balance), torch.tensor(2.0), torch.tensor(fake_error), 0.5, 0.1)
    assert_close(moved, torch.tensor(expected))


@pytest.mark.parametrize(("fake_error", "expected"), [(0.75, 2.25), (1.0, 2.0), (1.5, 2.5)])
def test_convergence_is_the_real_error_plus_the_imbalance(fake_error, expected):
    assert_close(began_convergence(torch.tensor(2.0), torch.tensor(fake_error), 0.5), torch.tensor(expected))


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_gradient_penalty_of_a_linear_discriminator_is_its_squared_weight():
    weight = torch.arange(6.0).reshape(2, 3)  # 0 + 1 + 4 + 9 + 16 + 25 = 55
    clips = torch.ones(4, 2, 3, requires_grad=True)
    assert_close(gradient_penalty(clips, (clips * weight).sum((1, 2))), torch.full((4,), 55.0))


def test_gradient_penalty_is_per_sample_and_can_be_derived_again():
    scale = torch.tensor(3.0, requires_grad=True)
    clips = torch.tensor([[[1.0, 2.0]], [[0.0, -1.0]]], requires_grad=True)
    penalty = gradient_penalty(clips, scale * clips.square().sum((1, 2)))  # |2 s x|^2 = 4 s^2 |x|^2
    assert_close(penalty, torch.tensor([180.0, 36.0]))
    (derivative,) = torch.autograd.grad(penalty.sum(), scale)  # 8 s (5 + 1)
    assert_close(derivative, torch.tensor(144.0))


def test_a_slope_of_one_costs_nothing_and_one_of_five_costs_sixteen():
    weight = torch.tensor([[0.6, 0.0], [0.0, 0.8]])
    clips = torch.ones(2, 2, 2, requires_grad=True)
    assert_close(unit_gradient_penalty(clips, (clips * weight).sum((1, 2))), torch.zeros(2), atol=1e-12, rtol=0)
    assert_close(unit_gradient_penalty(clips, 5 * (clips * weight).sum((1, 2))), torch.full((2,), 16.0))


def test_a_slope_of_zero_costs_one_and_can_be_trained_through():
    scale = torch.tensor(0.0, requires_grad=True)
    clips = torch.ones(3, 2, 2, requires_grad=True)
    penalty = unit_gradient_penalty(clips, scale * clips.sum((1, 2)))  # (2 |s| - 1)^2
    assert_close(penalty, torch.ones(3))
    assert torch.autograd.grad(penalty.sum(), scale)[0].isfinite()


def test_interpolates_lie_on_the_line_of_their_pair_and_fill_it():
    real, fake = torch.randn(500, 2, 3), torch.randn(500, 2, 3)
    share = ((interpolates(real, fake, generator=torch.Generator().manual_seed(0)) - fake) / (real - fake)).flatten(1)
    assert_close(share, share[:, :1].expand(-1, 6), atol=1e-2, rtol=0)  # one share for a whole clip
    quartiles: Tensor = share[:, 0].quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert_close(quartiles, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]), atol=0.06, rtol=0)


def test_clipping_stops_every_weight_at_the_limit_and_leaves_smaller_ones():
    critic = torch.nn.Linear(3, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[0.5, -0.005, -2.0]]))
        critic.bias.fill_(0.02)
    clip_weights(critic, 0.01)
    assert_close(critic.weight.detach(), torch.tensor([[0.01, -0.005, -0.01]]))
    assert_close(critic.bias.detach(), torch.tensor([0.01]))
