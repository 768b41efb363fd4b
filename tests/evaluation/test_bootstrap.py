import math

import pytest
import torch

from motiongan.evaluation.bootstrap import Drawn, interval, mean_of, resample, unbiased
from motiongan.evaluation.metrics import tally


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_interval_of_a_constant_is_a_point():
    resampled = resample(torch.arange(30), generator=random())
    assert interval(resampled.means(tally(torch.full((30,), 0.7)))) == pytest.approx((0.7, 0.7))
    assert interval(resampled.medians(torch.full((30,), 0.7))) == pytest.approx((0.7, 0.7))


def test_the_interval_of_a_mean_is_as_wide_as_the_normal_theory_says():
    values = torch.randn(400, generator=random(1), dtype=torch.float64)
    low, high = interval(resample(torch.arange(400), generator=random()).means(tally(values)))
    half = 1.96 * values.std().item() / 20
    assert low == pytest.approx(values.mean().item() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean().item() + half, abs=0.15 * half)


def test_windows_of_one_clip_are_drawn_together():
    values = torch.tensor([0.0, 1.0, 0.0, 1.0])
    whole = resample(torch.tensor([5, 5, 9, 9]), generator=random())  # either clip has mean 1/2
    assert interval(whole.means(tally(values))) == (0.5, 0.5)
    assert whole.clips == 2
    low, high = interval(resample(torch.arange(4), generator=random()).means(tally(values)))
    assert (low, high) == (0, 1)


def test_medians_agree_with_repeating_the_samples():
    values = torch.tensor([3.0, 1.0, 2.0, 8.0])
    resampled = resample(torch.arange(4), generator=random(), draws=50)
    expected = [values.repeat_interleave(weights.long()).median().item() for weights in resampled.weights]
    assert resampled.medians(values).tolist() == expected


def test_equal_seeds_draw_equally_and_what_never_counts_has_no_interval():
    clips = torch.arange(20)
    first, second = (resample(clips, generator=random(3)).weights for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, resample(clips, generator=random(4)).weights)
    nothing = resample(clips, generator=random()).means(tally(torch.ones(20), torch.zeros(20, dtype=torch.bool)))
    assert all(map(math.isnan, interval(nothing)))


def test_the_interval_of_a_mean_holds_how_much_its_parts_differ():
    parts = [Drawn(value, value + torch.linspace(-0.1, 0.1, 101), 7) for value in (1.0, 2.0, 6.0)]
    for several in (parts, [*parts, Drawn(math.nan)]):  # one that does not know the figure moves nothing
        together = mean_of(several)
        found = together.estimate()
        assert (found.value, found.clips) == (3.0, 7)
        assert (found.low, found.high) == pytest.approx((0.9, 6.1), abs=0.03)
        assert together.draws is not None
        assert len(together.draws) == 101 * len(several)  # actions are added up draw by draw
    beside = Drawn(1.0, torch.tensor([0.1, 0.2, 0.3])).estimate()
    assert beside.high == 1.0
    assert math.isnan(mean_of([Drawn(1.0), Drawn(2.0)]).estimate().low)


def test_what_repeated_clips_add_is_taken_off_the_draws_and_told():
    found = unbiased(1.0, torch.tensor([1.0, 2.0, 3.0]), 5, 0.5, 1.5)
    assert (found.value, found.bias, found.clips) == (1.0, 1.0, 5)
    assert found.draws is not None
    assert found.draws.tolist() == [0.5, 1.0, 1.5]
