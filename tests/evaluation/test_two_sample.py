import math

import pytest
import torch

from motiongan.evaluation.two_sample import FOLDS, out_of_fold_scores, separability


def swinging(make_windows, seed: int, count: int = 40, jitter: float = 0.0, **settings):
    """Bodies with swinging wrists of many amplitudes and phases; jitter (metres) of every joint and frame."""
    random = torch.Generator().manual_seed(seed)
    amplitude, phase = 0.1 + 0.3 * torch.rand(2, count, 1, generator=random)
    joints = torch.zeros(count, 40, 24, 3)
    joints[:, :, 20, 0] = amplitude * torch.sin(2 * math.pi * (torch.arange(40) / 30 + 10 * phase))
    joints += jitter * torch.randn(joints.shape, generator=random)
    return make_windows(joints, **settings)


def area(first, second, seed: int = 0) -> float:
    scores, others, folds, other_folds = out_of_fold_scores(first, second, seed=seed)
    return separability(
        scores, others, folds, other_folds, *(torch.ones(1, len(one)).double() for one in (scores, others))
    )


def test_sets_of_one_origin_cannot_be_told_apart_and_trembling_ones_can(make_windows):
    first = swinging(make_windows, 0, count=120)
    assert area(first, swinging(make_windows, 1, count=120)).item() == pytest.approx(0.5, abs=0.12)
    assert area(first, swinging(make_windows, 1, jitter=0.02)).item() > 0.95


def test_the_windows_of_a_clip_share_a_fold_and_every_action_is_dealt_out(make_windows):
    ids = [number // 20 for number in range(40)]
    first = swinging(make_windows, 0, clip_ids=[number // 2 for number in range(40)], action_ids=ids)
    second = swinging(make_windows, 1, action_ids=ids)
    _, _, folds, others = out_of_fold_scores(first, second, seed=0)
    assert torch.equal(folds[::2], folds[1::2])
    for action in (slice(0, 20), slice(20, 40)):
        assert torch.bincount(folds[action], minlength=FOLDS).tolist() == [4] * FOLDS
        assert torch.bincount(others[action], minlength=FOLDS).tolist() == [4] * FOLDS


def test_the_mix_of_actions_and_actions_that_one_set_lacks_tell_nothing(make_windows):
    first = swinging(make_windows, 0, action_ids=[0] * 30 + [1] * 10)
    second = swinging(make_windows, 1, action_ids=[0] * 10 + [2] * 30)
    scores, others, folds, _ = out_of_fold_scores(first, second, seed=0)
    assert scores[30:].isnan().all()
    assert others[10:].isnan().all()
    assert not scores[:30].isnan().any()
    assert set(folds[30:].tolist()) == {-1}
    same = out_of_fold_scores(first, second, seed=0)
    assert torch.equal(scores[:30], same[0][:30])


def test_a_single_clip_cannot_be_judged_since_nothing_like_it_was_learned_from(make_windows):
    first = swinging(make_windows, 0, action_ids=[0] * 20 + [1] * 20)
    single = swinging(make_windows, 1, clip_ids=list(range(20)) + [20] * 20, action_ids=[0] * 20 + [1] * 20)
    scores, others, _, _ = out_of_fold_scores(first, single, seed=0)
    assert scores[20:].isnan().all()
    assert others[20:].isnan().all()
    assert not others[:20].isnan().any()


def test_the_area_is_the_share_of_pairs_in_order_within_a_fold():
    folds, other_folds = torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])
    scores, others = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([2.0, 3.0, 8.0])
    # Fold 0: 2 > 1, 3 > 1, 3 > 2 and one tie; fold 1: 8 < 9.
    plain = torch.ones(1, 3).double()
    assert separability(scores, others, folds, other_folds, plain, plain).item() == pytest.approx(3.5 / 5)
    twice = torch.tensor([[1.0, 1.0, 4.0]]).double()
    assert separability(scores, others, folds, other_folds, twice, plain).item() == pytest.approx(3.5 / 8)
