"""Exponential moving average of the generator's weights: what we sample from."""

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def ema_decay(step: int, share: float) -> float:
    """Decay after which the average spans about the last `share` of the steps so far: 0 at step 0, then towards 1.

    A window that grows with training, in the spirit of Karras et al. 2024 (arXiv 2312.02696, section 3), so that a
    short run is not held back by its first steps and a long one is smoothed more.
    """
    return 1 - 1 / (share * step + 1)


def averaged_copy(model: M) -> M:
    """A copy of the model, without gradients, to hold the average."""
    return copy.deepcopy(model).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move every parameter of the average towards the model's by 1 - decay."""
    for mean, value in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
