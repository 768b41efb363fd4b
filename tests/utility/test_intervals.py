import math

import pytest
import torch

from motiongan.utility.intervals import Comparison

IDS = torch.tensor([0] * 20 + [1] * 5)


def tables(**rows):
    return {name: torch.as_tensor(values, dtype=torch.float64) for name, values in rows.items()}


def test_every_action_counts_alike_however_many_clips_it_has():
    errors = torch.where(IDS == 0, 100.0, 40.0).expand(3, -1)
    figure = Comparison(tables(row=errors), IDS).figure("row")
    assert (figure.value, figure.low, figure.high) == pytest.approx((70.0, 70.0, 70.0))
    assert Comparison(tables(row=errors), IDS, action=1).figure("row").value == pytest.approx(40.0)


def test_a_steady_gain_has_a_narrow_interval_although_the_clips_differ_widely():
    errors = 100 + 40 * torch.randn(5, 25, generator=torch.Generator().manual_seed(0))
    comparison = Comparison(tables(base=errors, row=0.9 * errors), IDS)
    assert comparison.figure("base").high - comparison.figure("base").low > 5
    gain = comparison.gain("row", "base")
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_share_of_the_gap_is_one_at_the_ceiling_and_none_where_there_is_no_gap():
    errors = 100 + torch.randn(5, 25, generator=torch.Generator().manual_seed(0))
    comparison = Comparison(tables(base=errors, half=errors - 10, top=errors - 20, same=errors), IDS)
    assert comparison.closed("half", "base", "top").value == pytest.approx(0.5)
    assert comparison.closed("half", "base", "same") is None


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Seeds and clips each add their own deviation to a difference of 5: 95 of 100 intervals should hold it."""
    random = torch.Generator().manual_seed(0)
    ids = torch.zeros(30, dtype=torch.long)
    covered = 0
    for trial in range(100):
        deviation = 2 * torch.randn(6, 1, generator=random) + 4 * torch.randn(1, 30, generator=random)
        base = torch.full((6, 30), 100.0)
        gain = Comparison(tables(base=base, row=base - 5 + deviation), ids, seed=trial).gain("row", "base")
        covered += gain.low <= 0.05 <= gain.high
    assert 86 <= covered <= 100


def test_with_one_seed_and_one_clip_there_is_no_interval_but_the_value():
    figure = Comparison(tables(row=[[7.0]]), torch.tensor([0])).figure("row")
    assert (figure.value, figure.low, figure.high) == (7.0, 7.0, 7.0)
    assert not math.isnan(figure.value)
