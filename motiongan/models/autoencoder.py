"""Motion autoencoder: features <-> a short sequence of latents, the space in which the GAN works by default.

Trained first and then frozen, it gives every generated clip the fine structure of real motion (how joints move
together, how a foot lands) and leaves the GAN the question of which motion. docs/log.md has the comparison.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motiongan.models.blocks import (
    ResidualBlock,
    TemporalConv,
    activate,
    downsample_mask,
    masked,
    smooth,
    smoothing_kernel,
)

# Channels per frame from which the features are written, and the low-pass over them: noise of a few millimetres from
# frame to frame jerks more than all real motion (docs/log.md), and tokens must not show their seams.
_FINE_WIDTH = 64
_SMOOTHING_TAPS = 7


@dataclass(frozen=True)
class AutoencoderConfig:
    """The space the GAN works in."""

    steps: int = 3000  # training steps before the GAN; 0 = none, the generator makes motion features itself
    batch_size: int = 32
    width: int = 192  # channels
    blocks: int = 3  # residual blocks of the encoder, and of the decoder
    latent: int = 48  # numbers per token
    patch: int = 4  # frames per token
    kl: float = 1e-3  # weight of the Kullback-Leibler term that keeps the latents near N(0, 1)


class MotionAutoencoder(nn.Module):
    """A convolutional variational autoencoder over time (Kingma & Welling 2014, arXiv 1312.6114)."""

    def __init__(self, config: AutoencoderConfig, num_features: int) -> None:
        super().__init__()
        width = config.width
        self.patch, self.latent = config.patch, config.latent
        self.read = nn.Linear(num_features * config.patch, width)
        self.encoder = nn.ModuleList(ResidualBlock(width, normalise=True) for _ in range(config.blocks))
        self.posterior = nn.Linear(width, 2 * config.latent)
        self.unpack = TemporalConv(config.latent, width)
        self.decoder = nn.ModuleList(ResidualBlock(width, normalise=True) for _ in range(config.blocks))
        self.spread = nn.Linear(width, config.patch * _FINE_WIDTH)
        self.write = nn.Linear(_FINE_WIDTH, num_features)
        # Mean and standard deviation of the latents of the training windows, measured after training.
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(config.latent))
        self.register_buffer("std", torch.ones(config.latent))

    def posterior_of(
        self, features: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> tuple[
        Float[Tensor, "batch tokens latent"], Float[Tensor, "batch tokens latent"], Bool[Tensor, "batch tokens"]
    ]:
        """Mean and log-variance of the latents of normalised features, and which tokens are valid."""
        tokens = downsample_mask(mask, self.patch)
        hidden = self.read(masked(features, mask).unflatten(1, (-1, self.patch)).flatten(2))
        for block in self.encoder:
            hidden = block(hidden, tokens)
        mean, log_variance = self.posterior(activate(hidden)).chunk(2, dim=-1)
        return mean, log_variance.clamp(-10, 4), tokens

    def encode(
        self, features: Float[Tensor, "batch frames features"], mask: Bool[Tensor, "batch frames"]
    ) -> tuple[Float[Tensor, "batch tokens latent"], Bool[Tensor, "batch tokens"]]:
        """Standardised latents (the posterior's mean) and their mask."""
        mean, _, tokens = self.posterior_of(features, mask)
        return (mean - self.mean) / self.std, tokens

    def decode(
        self, latents: Float[Tensor, "batch tokens latent"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch frames features"]:
        """Normalised features of standardised latents; tokens outside the mask count as padding."""
        return self.decode_raw(latents * self.std + self.mean, mask)

    def decode_raw(
        self, latents: Float[Tensor, "batch tokens latent"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch frames features"]:
        """Normalised features of latents as the posterior gives them."""
        hidden = self.unpack(masked(latents, mask))
        for block in self.decoder:
            hidden = block(hidden, mask)
        fine = masked(activate(self.spread(activate(hidden))), mask)
        fine = fine.unflatten(-1, (self.patch, _FINE_WIDTH)).flatten(1, 2)
        # Smoothed with zeros beyond the ends, as a mask leaves them: a clip ends the same way inside a longer window.
        margin = _SMOOTHING_TAPS // 2
        padded = nn.functional.pad(fine, (0, 0, margin, margin))
        return self.write(smooth(padded, smoothing_kernel(_SMOOTHING_TAPS).to(fine.device))[:, margin:-margin])
