"""Augmentation: nothing outside the mask comes in, and it can be derived."""

import pytest
import torch
from torch.testing import assert_close

from motiongan.models.augment import AugmentConfig, augment

OFF = {"noise": 0.0, "shift": 0.0, "cutout": 0.0}


def sequence(batch: int = 64, steps: int = 16) -> torch.Tensor:
    """Every number says where it is: clip + step / 100, never 0."""
    return (1 + torch.arange(batch)[:, None, None] + (1 + torch.arange(steps)[:, None]) / 100).float()


def run(values: torch.Tensor, mask: torch.Tensor, seed: int = 0, **fields: float) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(values, mask, AugmentConfig(**{**OFF, **fields}), generator=torch.Generator().manual_seed(seed))


def lengths(*counts: int, steps: int = 16) -> torch.Tensor:
    return torch.arange(steps) < torch.tensor(counts)[:, None]


def test_switched_off_it_only_clears_what_is_masked():
    values, mask = sequence(2), lengths(16, 5)
    same, same_mask = run(values, mask)
    assert torch.equal(same_mask, mask)
    assert torch.equal(same, values * mask[..., None])


def test_noise_has_its_size_and_is_new_for_every_number():
    values, mask = torch.zeros(64, 16, 8), lengths(*[16] * 64)
    noisy, _ = run(values, mask, noise=0.3)
    assert noisy.std().item() == pytest.approx(0.3, rel=0.03)
    assert not torch.equal(noisy[0], noisy[1])


def test_a_shift_moves_frames_and_mask_together():
    values, mask = sequence(), lengths(*[10] * 64)
    moved, moved_mask = run(values, mask, shift=0.25)  # up to 4 steps
    shifts = set()
    for row in range(64):
        frames = moved[row, moved_mask[row], 0]
        kept = torch.arange(len(frames)) + round(100 * (frames[0].item() - 1 - row)) - 1
        assert_close(frames, values[row, kept, 0])  # consecutive frames of this clip
        first = moved_mask[row].nonzero()[0].item()
        shifts.add(first - kept[0].item())
        assert (moved[row, ~moved_mask[row]] == 0).all()
    assert shifts == set(range(-4, 5))


def test_what_a_shift_brings_in_was_valid_before():
    values = torch.where(lengths(*[6] * 64)[..., None], sequence(), torch.tensor(float("inf")))
    moved, mask = run(values, lengths(*[6] * 64), shift=0.9, cutout=1.0)
    assert mask.any(1).all()  # no clip is lost
    assert torch.where(mask[..., None], moved, torch.zeros(())).isfinite().all()


def test_cutout_blanks_an_eighth_of_some_windows():
    values, mask = sequence(2000), lengths(*[16] * 2000)
    cut, cut_mask = run(values, mask, cutout=0.2)
    gone = (~cut_mask).sum(1)
    assert set(gone.tolist()) == {0, 1, 2}  # two steps, one at the very end
    assert (gone > 0).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert (cut[~cut_mask] == 0).all()


def test_equal_seeds_shake_equally_and_gradients_flow():
    values, mask = sequence().requires_grad_(), lengths(*[16] * 64)
    fields = {"noise": 0.1, "shift": 0.2, "cutout": 0.5}
    (first, first_mask), (again, again_mask) = (run(values, mask, **fields) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first_mask, again_mask)
    (gradient,) = torch.autograd.grad(first.sum(), values)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}
    assert gradient.sum() == first_mask.sum()
