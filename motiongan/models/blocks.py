"""Building blocks of the temporal networks. Sequences are (batch, steps, channels)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class TemporalConv(nn.Module):
    """Convolution over time with zero padding: as many steps out as in.

    Shifted copies and one matrix product: on a CPU half the time of nn.Conv1d at our sizes, and it
    differentiates twice, which the gradient penalties need.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3) -> None:
        super().__init__()
        assert kernel % 2 == 1, "an even kernel would shift the sequence"
        self.radius = kernel // 2
        self.linear = nn.Linear(kernel * channels_in, channels_out)

    def forward(self, values: Float[Tensor, "batch steps channels"]) -> Float[Tensor, "batch steps channels_out"]:
        steps = values.shape[1]
        padded = nn.functional.pad(values, (0, 0, self.radius, self.radius))
        return self.linear(
            torch.cat([padded[:, shift : shift + steps] for shift in range(2 * self.radius + 1)], dim=-1)
        )


class ResidualBlock(nn.Module):
    """Two temporal convolutions beside the identity. With a mask, steps beyond a clip's end count as padding."""

    def __init__(self, channels: int, *, normalise: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels) if normalise else nn.Identity()
        self.first = TemporalConv(channels, channels)
        self.second = TemporalConv(channels, channels)

    def forward(
        self, values: Float[Tensor, "batch steps channels"], mask: Bool[Tensor, "batch steps"] | None = None
    ) -> Float[Tensor, "batch steps channels"]:
        hidden = masked(activate(self.norm(values)), mask)
        hidden = masked(activate(self.first(hidden)), mask)
        return values + self.second(hidden)


class ModulatedBlock(nn.Module):
    """A residual block whose normalised activations are scaled and shifted by a style (AdaLN).

    The normalisation is per step, so a long sequence looks like many short ones to it.
    Source: adaptive layer normalisation as in Peebles & Xie 2023, arXiv 2212.09748, section 3.2.
    """

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = nn.Linear(style, 4 * channels)
        self.first = TemporalConv(channels, channels)
        self.second = TemporalConv(channels, channels)

    def forward(
        self, values: Float[Tensor, "batch steps channels"], style: Float[Tensor, "batch style"]
    ) -> Float[Tensor, "batch steps channels"]:
        scale, shift, inner_scale, inner_shift = self.modulation(style)[:, None].chunk(4, dim=-1)
        hidden = activate(self.norm(values) * (1 + scale) + shift)
        hidden = self.first(hidden)
        hidden = activate(self.norm(hidden) * (1 + inner_scale) + inner_shift)
        return values + self.second(hidden)


class TimeFeatures(nn.Module):
    """Sines and cosines of time: some alone, and the first harmonics of the clip's cycle, which stay in step.

    Without them two clips of one action start and move alike: the latent could only pick among a few phases. The style
    bends the lone sines' frequencies by up to a third; a gait, which repeats itself, is made of the harmonics.
    count, harmonics   lone sines, and waves of the cycle: once, twice, ... as fast as it
    slowest, fastest   cycles per step of the lone sines' initial frequencies, geometrically spaced
    """

    def __init__(self, style: int, channels: int, count: int, slowest: float, fastest: float, harmonics: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(math.log10(slowest), math.log10(fastest), count))
        self.register_buffer("harmonics", torch.arange(1.0, harmonics + 1))
        self.tempo = nn.Linear(style, count)
        self.project = nn.Linear(2 * (count + harmonics), channels)
        self.gain = nn.Linear(style, channels)

    def forward(
        self,
        time: Float[Tensor, "steps"],
        phases: Float[Tensor, "batch sines"],
        cycle: Float[Tensor, "batch steps"],
        style: Float[Tensor, "batch style"],
    ) -> Float[Tensor, "batch steps channels"]:
        """time: in steps; phases of the lone sines, and where in its cycle the clip is at these times: in turns."""
        assert isinstance(self.frequencies, Tensor)
        assert isinstance(self.harmonics, Tensor)
        frequencies = self.frequencies * torch.exp(0.3 * torch.tanh(self.tempo(style)))
        alone = time[:, None] * frequencies[:, None] + phases[:, None]
        angle = 2 * math.pi * torch.cat([alone, cycle[..., None] * self.harmonics], dim=-1)
        return self.project(torch.cat([angle.sin(), angle.cos()], dim=-1)) * (1 + self.gain(style))[:, None]


def activate(values: Tensor) -> Tensor:
    """Leaky ReLU 0.2: piecewise linear, so its second derivative in the gradient penalties is free."""
    return nn.functional.leaky_relu(values, 0.2)


def masked(values: Float[Tensor, "batch steps channels"], mask: Bool[Tensor, "batch steps"] | None) -> Tensor:
    """The values with steps outside the mask set to zero."""
    return values if mask is None else values * mask[..., None]


def masked_mean(
    values: Float[Tensor, "batch steps channels"], mask: Bool[Tensor, "batch steps"]
) -> Float[Tensor, "batch channels"]:
    """Mean over the steps inside the mask; zero where there are none."""
    return (values * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def upsample(values: Float[Tensor, "batch steps channels"]) -> Float[Tensor, "batch twice channels"]:
    """Twice the steps by linear interpolation."""
    return nn.functional.interpolate(
        values.transpose(1, 2), scale_factor=2, mode="linear", align_corners=False
    ).transpose(1, 2)


def downsample(values: Float[Tensor, "batch steps channels"]) -> Float[Tensor, "batch half channels"]:
    """Half the steps, each the mean of two; an odd last step is kept."""
    if values.shape[1] % 2:
        values = torch.cat([values, values[:, -1:]], dim=1)
    return 0.5 * (values[:, ::2] + values[:, 1::2])


def downsample_mask(mask: Bool[Tensor, "batch steps"], factor: int = 2) -> Bool[Tensor, "batch fewer"]:
    """A coarse step is valid where any of its fine steps is."""
    padded = nn.functional.pad(mask, (0, -mask.shape[1] % factor))
    return padded.unflatten(1, (-1, factor)).any(-1)


def smoothing_kernel(taps: int) -> Float[Tensor, "taps"]:
    """Binomial low-pass weights: [1, 4, 6, 4, 1] / 16 for five taps."""
    return torch.tensor([math.comb(taps - 1, k) for k in range(taps)], dtype=torch.float32) / 2 ** (taps - 1)


def smooth(
    values: Float[Tensor, "batch steps channels"], kernel: Float[Tensor, "taps"]
) -> Float[Tensor, "batch steps channels"]:
    """Low-pass over time; the ends are repeated outwards."""
    half, steps = len(kernel) // 2, values.shape[1]
    padded = torch.cat([values[:, :1].expand(-1, half, -1), values, values[:, -1:].expand(-1, half, -1)], dim=1)
    return sum((kernel[k] * padded[:, k : k + steps] for k in range(len(kernel))), torch.zeros_like(values))
