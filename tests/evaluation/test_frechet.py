import math

import pytest
import torch

from motiongan.evaluation.frechet import equal_rows, fid
from motiongan.evaluation.metrics import frechet_distance
from motiongan.evaluation.pairs import FeatureSet


def features(count: int, seed: int, shift: float = 0.0, actions: int = 2) -> FeatureSet:
    values = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) + shift
    return FeatureSet(values, torch.arange(count) % actions, torch.arange(count))


def counts(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


def test_equal_rows_take_as_many_of_each_action_as_asked_or_all():
    ids = torch.tensor([0, 0, 0, 1, 1, 2])
    drawn = equal_rows(ids, counts(2, 5, 0), seed=0)
    assert len(drawn) > 1
    for rows in drawn:
        assert torch.bincount(ids[rows], minlength=3).tolist() == [2, 2, 0]
    assert len(equal_rows(ids, counts(3, 2, 1), seed=0)) == 1


def test_the_distance_of_whole_sets_is_that_of_their_gaussians_and_lies_in_its_interval():
    one, other = features(60, 0, shift=1.0), features(80, 1)
    found = fid(one, other, counts(30, 30), seed=0, intervals=True)
    assert found.value == pytest.approx(frechet_distance(one.features, other.features), rel=1e-6)
    assert found.estimate().low < found.value < found.estimate().high
    assert found.clips == 60
    assert found.bias > 0  # repeated clips lie farther away
    assert math.isnan(fid(one, other, counts(30, 30), seed=0, intervals=False).estimate().low)


def test_the_interval_is_as_wide_as_other_clips_would_make_it():
    values = torch.tensor(
        [
            fid(features(60, 2 * s, shift=1.0), features(80, 2 * s + 1), counts(30, 30), seed=0, intervals=False).value
            for s in range(60)
        ]
    )
    found = fid(features(60, 0, shift=1.0), features(80, 1), counts(30, 30), seed=0, intervals=True).estimate()
    assert (found.high - found.low) / (4 * values.std().item()) == pytest.approx(1, abs=0.35)


def test_actions_that_the_reference_lacks_and_uneven_mixes_do_not_move_the_distance():
    one, other = features(60, 0), features(60, 1)
    found = fid(one, other, counts(30, 30), seed=0, intervals=False).value
    strange = FeatureSet(
        torch.cat([one.features, torch.full((9, 3), 50.0)]),
        torch.cat([one.action_ids, torch.full((9,), 2)]),
        torch.arange(69),
    )
    assert fid(strange, other, counts(30, 30, 9), seed=0, intervals=False).value == pytest.approx(found)
    assert math.isnan(fid(strange, other, counts(0, 0, 9), seed=0, intervals=False).value)
