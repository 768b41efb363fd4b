"""The whole recipe: every option of `motiongan train`, composed from the parts' own dataclasses."""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motiongan.config import load_config
from motiongan.errors import did_you_mean
from motiongan.losses.adversarial import ADVERSARIAL_LOSSES
from motiongan.losses.kinematic import KinematicWeights
from motiongan.models.augment import AugmentConfig
from motiongan.models.autoencoder import AutoencoderConfig
from motiongan.models.discriminator import DiscriminatorConfig
from motiongan.models.generator import GENERATORS, GeneratorConfig
from motiongan.models.motion_model import FEATURE_STRIDE
from motiongan.motion.windows import DataConfig


@dataclass(frozen=True)
class LossConfig:
    """What the generator and the discriminator are trained for."""

    adversarial: str = "relativistic"  # one of losses/adversarial.py: minimax, wgan-gp, hinge, ...
    gamma: float = 1.0  # weight of the gradient penalties R1 and R2 (halved, as in the paper)
    unit_slope: float = 10.0  # wgan-gp: weight of the gradient penalty between real and fake
    clip: float = 0.01  # wgan: the largest weight of the critic
    diversity_ratio: float = 0.5  # began: the fakes' reconstruction error as a share of the real clips'
    balance_rate: float = 0.01  # began: how fast the balance k follows; 0.001 in the paper, which trains far longer
    discriminator_updates: int = 0  # for one of the generator; 0: the loss's own (losses/adversarial.py)
    kinematic: KinematicWeights = field(default_factory=KinematicWeights)
    kinematic_clips: int = 16  # clips of each batch whose motion is built for the kinematic losses
    kinematic_from: float = 0.1  # share of the steps after which the kinematic losses start to grow
    kinematic_full: float = 0.4  # share of the steps at which they have their full weight


@dataclass(frozen=True)
class TrainingConfig:
    """Steps, optimiser, and what is written when."""

    steps: int = 6000  # GAN steps
    batch_size: int = 64
    learning_rate: float = 2e-4  # of both networks, Adam with betas (0, 0.99), cosine decay to a tenth
    autoencoder_rate: float = 1e-3  # of the autoencoder, Adam with betas (0.9, 0.99), cosine decay to zero
    ema_share: float = 0.2  # the average that is sampled from covers this share of the steps so far
    seed: int = 0
    checkpoint_every: int = 500  # steps between checkpoints
    keep_checkpoints: int = 2  # the newest ones stay
    snapshot_every: int = 2000  # GAN steps between contact sheets
    assess_every: int = 500  # GAN steps between looks at what is generated: collapse, best checkpoint; 0 = never
    log_every: int = 50  # steps between lines of log.jsonl
    bf16: bool = True  # on CUDA: generator and autoencoder in bfloat16; discriminator and kinematics in float32


@dataclass(frozen=True)
class TrainConfig:
    """Everything that `motiongan train` can be told."""

    data: DataConfig = field(default_factory=DataConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Raise ValueError, beginning with the option's full name, for a number that cannot work."""
        for name, value in _reals(self, ""):
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}, expected a finite number")
        for expected, is_right, names in _RANGES:
            for name in names:
                value = operator.attrgetter(name)(self)
                if not all(map(is_right, value if isinstance(value, tuple) else (value,))):
                    shown = list(value) if isinstance(value, tuple) else value
                    raise ValueError(f"{name} is {shown}, expected {expected}")
        self._check_game()
        if not self.data.speeds:
            raise ValueError("data.speeds is empty, expected one or more numbers above 0")
        if self.losses.kinematic_from >= self.losses.kinematic_full:
            raise ValueError(
                f"losses.kinematic_from is {self.losses.kinematic_from}, expected less than losses.kinematic_full,"
                f" {self.losses.kinematic_full}"
            )
        stride = self.autoencoder.patch if self.autoencoder.steps else FEATURE_STRIDE
        if self.data.window % stride:
            raise ValueError(f"data.window is {self.data.window}, expected a multiple of {stride}")
        scales = int(math.log2(self.data.window // stride)) + 1
        if self.discriminator.scales > scales:
            raise ValueError(
                f"discriminator.scales is {self.discriminator.scales}, expected 1 to {scales}: a window of"
                f" {self.data.window} frames has {self.data.window // stride} steps to halve"
            )
        if self.discriminator.kind == "gru" and self.discriminator.width % 2:
            raise ValueError(f"discriminator.width is {self.discriminator.width}, expected an even number for gru")

    def _check_game(self) -> None:
        """The loss is known, and so are networks that it can be played with."""
        name, kind = self.losses.adversarial, self.discriminator.kind
        if self.generator.kind not in GENERATORS:
            raise ValueError(
                f"generator.kind is {self.generator.kind!r}, which is fitted, not trained; expected"
                f" {', '.join(GENERATORS)}"
            )
        if name not in ADVERSARIAL_LOSSES:
            hint = did_you_mean(name, ADVERSARIAL_LOSSES)
            raise ValueError(f"losses.adversarial is {name!r}, expected {', '.join(ADVERSARIAL_LOSSES)}{hint}")
        if ADVERSARIAL_LOSSES[name].balanced and kind != "reconstruction":
            raise ValueError(
                f"losses.adversarial is {name!r}, which compares reconstructions; set discriminator.kind=reconstruction"
            )
        if kind == "reconstruction" and not ADVERSARIAL_LOSSES[name].balanced:
            balanced = " or ".join(known for known, game in ADVERSARIAL_LOSSES.items() if game.balanced)
            raise ValueError(
                f"discriminator.kind is {kind!r}, which is for losses.adversarial={balanced}, expected another"
            )


def load_recipe(path: str | Path | None = None, overrides: Iterable[str] = ()) -> TrainConfig:
    """The recipe of a YAML file changed by "key.sub=value" overrides, as `load_config` reads them.

    `loss=wgan-gp` is short for `losses.adversarial=wgan-gp` and `losses.discriminator_updates=0`; `loss=began` also for
    `discriminator.kind=reconstruction`, the only one that it can be played with. Later overrides go before
    earlier ones.
    """
    spelt_out: list[str] = []
    for override in overrides:
        key, separator, value = override.partition("=")
        if not (key.strip() == "loss" and separator):
            spelt_out.append(override)
            continue
        name = value.strip()
        spelt_out += [f"losses.adversarial={name}", "losses.discriminator_updates=0"]  # the number of its own
        if name in ADVERSARIAL_LOSSES and ADVERSARIAL_LOSSES[name].balanced:
            spelt_out.append("discriminator.kind=reconstruction")
    return load_config(TrainConfig, path, spelt_out)


def _reals(config: Any, prefix: str) -> Iterator[tuple[str, float]]:
    """Every real number of the recipe with its option's full name."""
    for each in dataclasses.fields(config):
        value = getattr(config, each.name)
        if dataclasses.is_dataclass(value):
            yield from _reals(value, f"{prefix}{each.name}.")
        else:
            values = value if isinstance(value, tuple) else (value,)
            yield from ((prefix + each.name, number) for number in values if isinstance(number, float))


# What a number may be, in words and as a test, and the options that must be so.
_RANGES: tuple[tuple[str, Callable[[float], bool], tuple[str, ...]], ...] = (
    (
        "at least 1",
        lambda value: value >= 1,
        (
            "data.frame_rate",
            "data.window",
            "autoencoder.batch_size",
            "autoencoder.width",
            "autoencoder.latent",
            "autoencoder.patch",
            "autoencoder.blocks",
            "generator.latent",
            "generator.drive",
            "generator.width",
            "generator.blocks",
            "generator.frequencies",
            "discriminator.width",
            "discriminator.scales",
            "losses.kinematic_clips",
            "training.steps",
            "training.batch_size",
            "training.checkpoint_every",
            "training.keep_checkpoints",
            "training.snapshot_every",
            "training.log_every",
        ),
    ),
    ("at least 2", lambda value: value >= 2, ("data.min_frames",)),
    (
        "0 or more",
        lambda value: value >= 0,
        (
            "data.variants",
            "data.vigour",
            "data.balance",
            "autoencoder.steps",
            "autoencoder.kl",
            "augment.noise",
            "losses.gamma",
            "losses.unit_slope",
            "losses.balance_rate",
            "training.assess_every",
            "losses.discriminator_updates",
            *(f"losses.kinematic.{each.name}" for each in dataclasses.fields(KinematicWeights)),
        ),
    ),
    (
        "more than 0",
        lambda value: value > 0,
        ("data.speeds", "generator.cycles", "losses.clip", "training.learning_rate", "training.autoencoder_rate"),
    ),
    ("more than 0, at most 1", lambda value: 0 < value <= 1, ("losses.diversity_ratio", "training.ema_share")),
    ("0 to 1", lambda value: 0 <= value <= 1, ("data.posture", "losses.kinematic_from", "losses.kinematic_full")),
    ("0 or more, below 1", lambda value: 0 <= value < 1, ("data.held_out_share", "augment.shift", "augment.cutout")),
    ("0 to 2^63 - 1", lambda value: 0 <= value < 2**63, ("data.split_seed", "training.seed")),
)
