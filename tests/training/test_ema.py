"""The average of the weights that is sampled from."""

import pytest
import torch
from torch import nn

from motiongan.training.ema import averaged_copy, ema_decay, update_average


def test_the_decay_starts_at_nothing_and_spans_the_share_of_the_steps():
    assert ema_decay(0, 0.2) == 0  # the first update takes the weights as they are
    assert ema_decay(50, 0.2) == pytest.approx(1 - 1 / 11)  # after 50 steps: an average over about 10
    assert ema_decay(5000, 0.1) == pytest.approx(1 - 1 / 501)


def test_with_a_share_of_one_it_is_the_plain_mean_of_all_steps():
    average, seen = 0.0, [3.0, -1.0, 4.0, 10.0]
    for step, value in enumerate(seen):
        average += (1 - ema_decay(step, 1.0)) * (value - average)
    assert average == pytest.approx(sum(seen) / len(seen))


def test_an_update_moves_every_weight_by_what_the_decay_leaves():
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    average = averaged_copy(model)
    before = [parameter.clone() for parameter in average.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 8.0
    update_average(average, model, decay=0.75)
    for parameter, old in zip(average.parameters(), before, strict=True):
        torch.testing.assert_close(parameter, old + 2.0)
        assert not parameter.requires_grad


def test_the_average_is_a_copy_of_its_own():
    model = nn.Linear(2, 2)
    average = averaged_copy(model)
    with torch.no_grad():
        model.weight.zero_()
    assert average.weight.abs().sum() > 0
