"""Discriminators: a sequence + action -> one logit. They are given clips of mixed length with a mask."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from motiongan.models.blocks import (
    ResidualBlock,
    TemporalConv,
    activate,
    downsample,
    downsample_mask,
    masked,
    masked_mean,
)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The network that tells generated motion from real."""

    kind: Literal["conv", "gru"] = "conv"
    width: int = 128  # channels
    scales: int = 3  # time scales, each half as fine (conv); halvings before the recurrence + 1 (gru)


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

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int) -> None:
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

    def __init__(self, config: DiscriminatorConfig, num_actions: int, channels: int) -> None:
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


DISCRIMINATORS: dict[str, type[ConvDiscriminator] | type[GRUDiscriminator]] = {
    "conv": ConvDiscriminator,
    "gru": GRUDiscriminator,
}
