"""Differentiable augmentation: what a discriminator sees, shaken the same way for real and generated motion."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class AugmentConfig:
    """Disturbances in front of the discriminator, so that few clips are not learned by heart."""

    noise: float = 0.1  # standard deviation of noise, in standard deviations of the data
    shift: float = 0.125  # largest time shift, as a share of the window
    cutout: float = 0.2  # chance that a stretch of an eighth of the window is blanked


def augment(
    values: Float[Tensor, "batch steps channels"],
    mask: Bool[Tensor, "batch steps"],
    config: AugmentConfig,
    *,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch steps channels"], Bool[Tensor, "batch steps"]]:
    """Noise, time shift and cutout, as DiffAugment does for images (Zhao et al. 2020, arXiv 2006.10738).

    What is shifted in or cut out leaves the mask. Draws come from the CPU generator.
    """
    batch, steps, _ = values.shape
    device = values.device
    if config.noise:
        values = values + config.noise * torch.randn(values.shape, generator=generator).to(device)
    if config.shift:
        most = int(config.shift * steps)
        shift = torch.randint(-most, most + 1, (batch, 1), generator=generator)
        source = (torch.arange(steps) - shift).to(device)
        inside = (source >= 0) & (source < steps)
        source = source.clamp(0, steps - 1)
        shifted = torch.gather(mask, 1, source) & inside
        stays = shifted.any(1, keepdim=True)  # a clip that the shift would push out of the window stays where it is
        moved = torch.gather(values, 1, source[..., None].expand_as(values))
        values = torch.where(stays[..., None], moved, values)
        mask = torch.where(stays, shifted, mask)
    if config.cutout:
        hit = torch.rand(batch, 1, generator=generator) < config.cutout
        first = torch.randint(0, steps, (batch, 1), generator=generator)
        time = torch.arange(steps)
        cut = (hit & (time >= first) & (time < first + max(1, steps // 8))).to(device)
        kept = mask & ~cut
        mask = torch.where(kept.any(1, keepdim=True), kept, mask)
    return values * mask[..., None], mask
