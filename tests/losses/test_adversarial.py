import math

import torch
from torch.testing import assert_close

from motiongan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    gradient_penalty,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
)


def test_equal_logits_cost_both_players_log_two():
    logits = torch.tensor([-3.0, 0.0, 5.0])
    for loss in ADVERSARIAL_LOSSES["relativistic"]:
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
