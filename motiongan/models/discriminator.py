"""Discriminators: a sequence + action -> one logit. They are given clips of mixed length with a mask.

All are made for a window (steps of a sequence): mlp and dcgan take no other, the rest take any length.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from motiongan.models.blocks import (
    ResidualBlock,
    TemporalConv,
    activate,
    downsample,
    downsample_mask,
    masked,
    masked_mean,
    upsample,
)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The network that tells generated motion from real."""

    kind: Literal["conv", "gru", "mlp", "dcgan", "reconstruction"] = "conv"  # reconstruction: of BEGAN
    width: int = 128  # channels
    scales: int = 3  # time scales, each half as fine (conv); halvings before the recurrence or the code + 1
    # (gru, reconstruction); halvings (dcgan)


class _ProjectionHead(nn.Module):
    """Features and action -> logit: a linear score plus their inner product with the action's vector.

    Source: Miyato & Koyama 2018, arXiv 1802.05637, Eq. 3.
    """

    def __init__(self, channels: int, num_actions: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)
        self.action = nn.Embedding(num_actions, channels)
        nn.init.normal_(self.action.weight, std=channels**-0.5)

    def forward(self, features: Tensor, actions: Tensor) -> Tensor:
        return self.score(features)[:, 0] + (features * self.action(actions)).sum(-1)


class ConvDiscriminator(nn.Module):
    """Temporal convolutions at several time scales; each scale votes, the logit is the sum of the votes."""

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        width = config.width
        self.read = TemporalConv(channels, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, normalise=False) for _ in range(config.scales))
        self.heads = nn.ModuleList(_ProjectionHead(width, num_actions) for _ in range(config.scales))

    def forward(
        self,
        values: Float[Tensor, "batch steps channels"],
        mask: Bool[Tensor, "batch steps"],
        actions: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch"]:
        hidden = self.read(masked(values, mask))
        logits = torch.zeros(len(values), device=values.device)
        for scale, (block, head) in enumerate(zip(self.blocks, self.heads, strict=True)):
            if scale:
                hidden, mask = downsample(masked(hidden, mask)), downsample_mask(mask)
            hidden = block(hidden, mask)
            logits = logits + head(masked_mean(activate(hidden), mask), actions)
        return logits


class GRUDiscriminator(nn.Module):
    """A bidirectional GRU over the (coarsened) sequence; every step is judged by what it is and what surrounds it.

    The step itself goes past the recurrence to a layer of its own before the mean over the steps: judged by the mean
    of bounded states alone, a generator that makes one clip per action passed (docs/log.md).
    """

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        width = config.width
        self.read = TemporalConv(channels, width)
        self.halvings = config.scales - 1
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.judge = nn.Linear(2 * width, width)
        self.head = _ProjectionHead(width, num_actions)

    def forward(
        self,
        values: Float[Tensor, "batch steps channels"],
        mask: Bool[Tensor, "batch steps"],
        actions: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch"]:
        hidden = activate(self.read(masked(values, mask)))
        for _ in range(self.halvings):
            # Full resolution only matters for short steps: two halvings of a 64-frame window leave 16.
            if hidden.shape[1] <= 16:
                break
            hidden, mask = downsample(masked(hidden, mask)), downsample_mask(mask)
        # cuDNN's recurrence cannot be differentiated twice, which the gradient penalties need.
        with torch.backends.cudnn.flags(enabled=False):
            states, _ = self.gru(masked(hidden, mask))
        judged = activate(self.judge(torch.cat([hidden, states], dim=-1)))
        return self.head(masked_mean(judged, mask), actions)


class MLPDiscriminator(nn.Module):
    """The fully connected discriminator of the tutorials: all steps of a window side by side, two hidden layers.

    window   steps of a sequence, which is fixed; steps outside the mask are zeros to it
    """

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        width = config.width
        self.read = nn.Linear(window * channels, 4 * width)
        self.hidden = nn.Linear(4 * width, 2 * width)
        self.head = _ProjectionHead(2 * width, num_actions)

    def forward(
        self,
        values: Float[Tensor, "batch steps channels"],
        mask: Bool[Tensor, "batch steps"],
        actions: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch"]:
        hidden = activate(self.read(masked(values, mask).flatten(1)))
        return self.head(activate(self.hidden(hidden)), actions)


class DCGANDiscriminator(nn.Module):
    """Strided convolutions over time, each with twice the channels for half the steps, then one layer on what is left.

    Source: Radford et al. 2016 (DCGAN), arXiv 1511.06434, section 3, over time instead of an image's plane; without
    batch normalisation, since a clip is judged alone. window, and steps outside the mask: as in MLPDiscriminator.
    """

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        sizes = [channels, *(config.width * 2**scale for scale in range(min(config.scales, window.bit_length() - 1)))]
        self.convs = nn.ModuleList(
            nn.Conv1d(size_in, size_out, kernel_size=4, stride=2, padding=1)
            for size_in, size_out in itertools.pairwise(sizes)
        )
        self.head = _ProjectionHead(sizes[-1] * (window >> len(self.convs)), num_actions)

    def forward(
        self,
        values: Float[Tensor, "batch steps channels"],
        mask: Bool[Tensor, "batch steps"],
        actions: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch"]:
        hidden = masked(values, mask).transpose(1, 2)
        for conv in self.convs:
            hidden = activate(conv(hidden))
        return self.head(hidden.flatten(1), actions)


class ReconstructionDiscriminator(nn.Module):
    """A convolutional autoencoder whose logit is minus the mean absolute error of the clip that it gives back.

    Its code, a quarter of the width at the coarsest of the time scales, is what it can keep of a clip; the action is
    told to the decoder, so that a clip of another action is given back badly.

    Source: Berthelot et al. 2017 (BEGAN), arXiv 1703.10717: L(v) = |v - D(v)|^eta, with eta = 1. Theirs is for images;
    the mean over valid steps and channels, the action and the code per coarse step (any length) are ours.
    """

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        width, code = config.width, max(1, config.width // 4)
        self.read = TemporalConv(channels, width)
        self.encoder = nn.ModuleList(ResidualBlock(width, normalise=False) for _ in range(config.scales))
        self.code = nn.Linear(width, code)
        self.told = nn.Embedding(num_actions, code)
        self.decode = nn.Linear(2 * code, width)
        self.decoder = nn.ModuleList(ResidualBlock(width, normalise=False) for _ in range(config.scales))
        self.write = nn.Linear(width, channels)

    def forward(
        self,
        values: Float[Tensor, "batch steps channels"],
        mask: Bool[Tensor, "batch steps"],
        actions: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch"]:
        given_back = self.reconstruct(values, mask, actions)
        return -masked_mean((given_back - values).abs(), mask).mean(-1)

    def reconstruct(
        self,
        values: Float[Tensor, "batch steps channels"],
        mask: Bool[Tensor, "batch steps"],
        actions: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch steps channels"]:
        """The sequence as the autoencoder gives it back; steps outside the mask are zero."""
        masks = [mask]
        hidden = self.read(masked(values, mask))
        for scale, block in enumerate(self.encoder):
            if scale:
                hidden = downsample(masked(hidden, masks[-1]))
                masks.append(downsample_mask(masks[-1]))
            hidden = block(hidden, masks[-1])
        code = self.code(activate(hidden))
        told = self.told(actions)[:, None].expand_as(code)
        hidden = self.decode(torch.cat([code, told], dim=-1))
        for scale, (block, valid) in enumerate(zip(self.decoder, reversed(masks), strict=True)):
            if scale:
                hidden = upsample(hidden)[:, : valid.shape[1]]
            hidden = masked(block(masked(hidden, valid), valid), valid)
        return masked(self.write(activate(hidden)), mask)


def spectrally_normalised(network: nn.Module) -> nn.Module:
    """The network, every layer and embedding of which now has its weight divided by its largest singular value.

    One power iteration per forward pass in training follows the singular value; its vectors belong to the state.
    A recurrence's own weights stay as they are: gates and tanh bound its states.

    Source: Miyato et al. 2018, arXiv 1802.05957, section 2.1, W / sigma(W).
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Embedding):
            spectral_norm(module)
    return network


DISCRIMINATORS: dict[
    str,
    type[ConvDiscriminator | GRUDiscriminator | MLPDiscriminator | DCGANDiscriminator | ReconstructionDiscriminator],
] = {
    "conv": ConvDiscriminator,
    "gru": GRUDiscriminator,
    "mlp": MLPDiscriminator,
    "dcgan": DCGANDiscriminator,
    "reconstruction": ReconstructionDiscriminator,
}
