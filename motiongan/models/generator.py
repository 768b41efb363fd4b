"""Generators: noise + action -> a sequence (of latents of the motion autoencoder, or of motion features)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from motiongan.models.blocks import ModulatedBlock, TimeFeatures, activate, upsample

_SCALES = (4, 2, 1)  # conv: steps of the output per step of each level
_HARMONICS = 4  # of the cycle, at the finest time scale
_TIME_SCALES = {"conv": len(_SCALES), "gru": 1}  # of sines of time, by kind of generator; others know no time


@dataclass(frozen=True)
class GeneratorConfig:
    """The network that makes motion."""

    # mlp, dcgan: the tutorials' networks, no longer than a window; mixture: fitted, not trained (models/rivals.py)
    kind: Literal["conv", "gru", "mlp", "dcgan", "mixture"] = "conv"
    latent: int = 64  # normal numbers per clip
    drive: int = 8  # normal numbers per step, the small changes within a clip
    width: int = 128  # channels
    blocks: int = 2  # residual blocks per time scale (conv), recurrent layers (gru)
    frequencies: int = 12  # lone sines of each time scale
    # Strides of a typical gait in a training window: about one a second in the default one, 64 frames at 30 Hz. A clip
    # has half to twice as many. Twice the window wants twice the cycles, twice the frame rate half of them.
    cycles: float = 2.0


@dataclass(frozen=True)
class Noise:
    """What a generator turns into motion; each row depends on its own seed only.

    latent   (batch, latent) one draw for the clip, normal
    phases   (batch, sines) where the clip's cycle and its lone sines of every time scale begin, in turns: uniform, and
             hidden from what the latent makes. So a clip is as likely to be at any stage of them at any time, and one
             far longer than a training window is made of what training has seen
    drive    (batch, steps, drive) one draw for every step, normal
    """

    latent: Float[Tensor, "batch latent"]
    phases: Float[Tensor, "batch sines"]
    drive: Float[Tensor, "batch steps drive"]

    def to(self, device: torch.device) -> "Noise":
        return Noise(self.latent.to(device), self.phases.to(device), self.drive.to(device))


def draw_noise(seeds: Sequence[int], steps: int, config: GeneratorConfig, truncation: float = 1.0) -> Noise:
    """Noise of the clips with these seeds, drawn on the CPU so that every device agrees.

    A longer sequence of one seed begins with the shorter one. truncation scales the latent: below 1 nearer to the
    action's typical motion, 0 one style for all.
    """
    first = config.latent + _num_sines(config)
    count = first + steps * config.drive
    # torch draws in blocks of 16, and an incomplete last block differently: whole blocks keep the beginning the same.
    whole = -(-count // 16) * 16
    rows = [torch.randn(whole, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    noise = torch.stack(rows)[:, :count]
    phases = torch.special.ndtr(noise[:, config.latent : first])  # the normal numbers as uniform ones
    drive = noise[:, first:].unflatten(1, (steps, config.drive))
    return Noise(noise[:, : config.latent] * truncation, phases, drive)


def draw_noise_batch(batch: int, steps: int, config: GeneratorConfig, *, generator: torch.Generator) -> Noise:
    """Noise of a training batch from one random stream."""
    return Noise(
        torch.randn(batch, config.latent, generator=generator),
        torch.rand(batch, _num_sines(config), generator=generator),
        torch.randn(batch, steps, config.drive, generator=generator),
    )


def _num_sines(config: GeneratorConfig) -> int:
    """How many phases a clip has: of its cycle, and of the lone sines of every time scale."""
    scales = _TIME_SCALES.get(config.kind, 0)
    return 1 + scales * config.frequencies if scales else 0


class _Cycle(nn.Module):
    """Style -> turns per step of the clip's cycle: half to twice as many as of a typical gait's."""

    def __init__(self, style: int, typical: float) -> None:
        super().__init__()
        self.frequency = nn.Linear(style, 1)
        self.typical = typical

    def forward(self, style: Float[Tensor, "batch style"]) -> Float[Tensor, "batch 1"]:
        return self.typical * 2 ** torch.tanh(self.frequency(style))


class _Style(nn.Module):
    """Latent and action -> the style that modulates every block."""

    def __init__(self, config: GeneratorConfig, num_actions: int) -> None:
        super().__init__()
        self.action = nn.Embedding(num_actions, 32)
        self.mlp = nn.Sequential(
            nn.Linear(config.latent + 32, config.width),
            nn.LeakyReLU(0.2),
            nn.Linear(config.width, config.width),
            nn.LeakyReLU(0.2),
        )

    def forward(self, latent: Tensor, actions: Tensor) -> Tensor:
        return self.mlp(torch.cat([latent, self.action(actions)], dim=-1))


class ConvGenerator(nn.Module):
    """Temporal convolutions from a coarse to a fine time scale, each modulated by latent and action.

    Works for any number of steps: it knows time only through sines of it, which begin anywhere.
    window   steps of a training window, which set the slowest sine
    """

    def __init__(self, config: GeneratorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        self.style = _Style(config, num_actions)
        self.scales = _SCALES
        width = config.width
        self.cycle = _Cycle(width, config.cycles / window)
        # Lone sines no faster than half of a level's own step rate: what it can draw at all.
        self.time = nn.ModuleList(
            TimeFeatures(width, width, config.frequencies, 0.5 / window, 0.5 / scale, _HARMONICS // scale)
            for scale in self.scales
        )
        self.drive = nn.ModuleList(nn.Linear(config.drive, width) for _ in self.scales)
        self.blocks = nn.ModuleList(
            nn.ModuleList(ModulatedBlock(width, width) for _ in range(config.blocks)) for _ in self.scales
        )
        self.out = nn.Linear(width, channels)

    def forward(self, noise: Noise, actions: Int64[Tensor, "batch"]) -> Float[Tensor, "batch steps channels"]:
        style = self.style(noise.latent, actions)
        steps = noise.drive.shape[1]
        hidden: Tensor | None = None
        turns, phases = self.cycle(style), noise.phases[:, 1:].chunk(len(self.scales), dim=1)
        for scale, time, begin, drive, blocks in zip(
            self.scales, self.time, phases, self.drive, self.blocks, strict=True
        ):
            count = -(-steps // scale)
            clock = scale * (torch.arange(count, device=style.device) + 0.5)
            cycle = clock * turns + noise.phases[:, :1]
            level = time(clock, begin, cycle, style) + drive(noise.drive[:, ::scale])
            hidden = level if hidden is None else upsample(hidden)[:, :count] + level
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                hidden = block(hidden, style)
        assert hidden is not None
        return self.out(activate(hidden))


class GRUGenerator(nn.Module):
    """A GRU driven by noise over time, sines of time, latent and action; it never sees its own output.

    Feeding on its own output is what makes recurrent generators drift (FID 60 against 23 in ACTOR's table 2).
    """

    def __init__(self, config: GeneratorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        self.layers = config.blocks
        self.style = _Style(config, num_actions)
        width = config.width
        self.cycle = _Cycle(width, config.cycles / window)
        self.time = TimeFeatures(width, width, config.frequencies, 0.5 / window, 0.5, _HARMONICS)
        self.drive = nn.Linear(config.drive, width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.start = nn.Linear(width, config.blocks * 2 * width)
        self.gru = nn.GRU(2 * width, 2 * width, num_layers=config.blocks, batch_first=True)
        self.state_norm = nn.LayerNorm(2 * width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 4 * width)
        self.out = nn.Sequential(nn.Linear(4 * width, width), nn.LeakyReLU(0.2), nn.Linear(width, channels))

    def forward(self, noise: Noise, actions: Int64[Tensor, "batch"]) -> Float[Tensor, "batch steps channels"]:
        # Style and clock enter at unit variance and reach the output past the recurrence too: left small, they are
        # drowned by the GRU's own dynamics, and all clips of an action become one (docs/log.md).
        style = self.norm(self.style(noise.latent, actions))
        steps = noise.drive.shape[1]
        clock = torch.arange(steps, device=style.device) + 0.5
        cycle = clock * self.cycle(style) + noise.phases[:, :1]
        moving = self.norm(self.time(clock, noise.phases[:, 1:], cycle, style) + self.drive(noise.drive))
        inputs = torch.cat([moving, style[:, None].expand_as(moving)], dim=-1)
        first = torch.tanh(self.start(style)).unflatten(-1, (self.layers, -1)).transpose(0, 1).contiguous()
        hidden, _ = self.gru(inputs, first)
        scale, shift = self.modulation(style)[:, None].chunk(2, dim=-1)
        return self.out(torch.cat([self.state_norm(hidden) * (1 + scale) + shift, inputs], dim=-1))


class MLPGenerator(nn.Module):
    """The fully connected generator of the tutorials: latent and action -> all steps of a window at once.

    Three hidden layers that double in width. It has one output per step of a window and can make nothing longer;
    the noise per step is not heard.
    """

    def __init__(self, config: GeneratorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        self.window, width = window, config.width
        self.action = nn.Embedding(num_actions, 32)
        self.layers = nn.Sequential(
            nn.Linear(config.latent + 32, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Linear(2 * width, 4 * width),
            nn.LeakyReLU(0.2),
            nn.Linear(4 * width, window * channels),
        )

    def forward(self, noise: Noise, actions: Int64[Tensor, "batch"]) -> Float[Tensor, "batch steps channels"]:
        steps = noise.drive.shape[1]
        assert steps <= self.window, "MotionModel refuses more"
        whole = self.layers(torch.cat([noise.latent, self.action(actions)], dim=-1))
        return whole.unflatten(-1, (self.window, -1))[:, :steps]


class DCGANGenerator(nn.Module):
    """Latent and action -> a map of a quarter of the window's steps -> transposed convolutions, each twice as fine.

    Source: Radford et al. 2016 (DCGAN), arXiv 1511.06434, section 3, over time instead of an image's plane. We deviate:
    layer instead of batch normalisation (a clip depends on its own seed only), and no tanh at the end (motion features
    have no bounds). As in MLPGenerator: nothing longer than a window, and the noise per step is not heard.
    """

    def __init__(self, config: GeneratorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        self.window, self.coarse, width = window, -(-window // 4), config.width
        self.action = nn.Embedding(num_actions, 32)
        self.start = nn.Linear(config.latent + 32, self.coarse * 4 * width)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in (4 * width, 2 * width, width))
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(2 * size, size, kernel_size=4, stride=2, padding=1) for size in (2 * width, width)
        )
        self.out = nn.Conv1d(width, channels, kernel_size=3, padding=1)

    def forward(self, noise: Noise, actions: Int64[Tensor, "batch"]) -> Float[Tensor, "batch steps channels"]:
        steps = noise.drive.shape[1]
        assert steps <= self.window, "MotionModel refuses more"
        hidden = self.start(torch.cat([noise.latent, self.action(actions)], dim=-1)).unflatten(-1, (self.coarse, -1))
        hidden = torch.relu(self.norms[0](hidden))
        for up, norm in zip(self.ups, self.norms[1:], strict=True):
            hidden = torch.relu(norm(up(hidden.transpose(1, 2)).transpose(1, 2)))
        return self.out(hidden.transpose(1, 2)).transpose(1, 2)[:, :steps]


GENERATORS: dict[str, type[ConvGenerator | GRUGenerator | MLPGenerator | DCGANGenerator]] = {
    "conv": ConvGenerator,
    "gru": GRUGenerator,
    "mlp": MLPGenerator,
    "dcgan": DCGANGenerator,
}

# Kinds that make nothing longer than the window that they were trained on.
FIXED_WINDOW = ("mlp", "dcgan", "mixture")
