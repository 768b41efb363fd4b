"""The whole recipe: every option of `motiongan train`, composed from the parts' own dataclasses."""

import operator
from dataclasses import dataclass, field
from typing import Literal

from motiongan.losses.kinematic import KinematicWeights
from motiongan.models.augment import AugmentConfig
from motiongan.models.autoencoder import AutoencoderConfig
from motiongan.models.discriminator import DiscriminatorConfig
from motiongan.models.generator import GeneratorConfig
from motiongan.models.motion_model import FEATURE_STRIDE
from motiongan.motion.windows import DataConfig


@dataclass(frozen=True)
class LossConfig:
    """What the generator and the discriminator are trained for."""

    adversarial: Literal["relativistic"] = "relativistic"
    gamma: float = 1.0  # weight of the gradient penalties R1 and R2 (halved, as in the paper)
    kinematic: KinematicWeights = field(default_factory=KinematicWeights)
    kinematic_clips: int = 16  # clips of each batch whose motion is built for the kinematic losses
    kinematic_from: float = 0.1  # share of the steps after which the kinematic losses start to grow
    kinematic_full: float = 0.4  # share of the steps at which they have their full weight


@dataclass(frozen=True)
class TrainingConfig:
    """Steps, optimiser, and what is written when."""

    steps: int = 8000  # GAN steps
    batch_size: int = 64
    learning_rate: float = 2e-4  # of both networks, Adam with betas (0, 0.99), cosine decay to a tenth
    autoencoder_rate: float = 1e-3  # of the autoencoder, Adam with betas (0.9, 0.99), cosine decay to zero
    ema_share: float = 0.2  # the average that is sampled from covers this share of the steps so far
    seed: int = 0
    checkpoint_every: int = 500  # steps between checkpoints
    keep_checkpoints: int = 2  # the newest ones stay
    snapshot_every: int = 2000  # GAN steps between contact sheets
    log_every: int = 50  # steps between lines of log.jsonl
    bf16: bool = True  # on CUDA: generator and decoder in bfloat16; penalties and kinematics stay float32


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
        for name in _AT_LEAST_ONE:
            value = operator.attrgetter(name)(self)
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if not self.data.speeds or min(self.data.speeds) <= 0:
            raise ValueError(f"data.speeds is {list(self.data.speeds)}, expected one or more numbers above 0")
        stride = self.autoencoder.patch if self.autoencoder.steps else FEATURE_STRIDE
        if self.data.window % stride:
            raise ValueError(f"data.window is {self.data.window}, expected a multiple of {stride}")
        if self.discriminator.kind == "gru" and self.discriminator.width % 2:
            raise ValueError(f"discriminator.width is {self.discriminator.width}, expected an even number for gru")


_AT_LEAST_ONE = (
    "data.frame_rate",
    "data.window",
    "data.min_frames",
    "autoencoder.batch_size",
    "autoencoder.width",
    "autoencoder.latent",
    "autoencoder.patch",
    "autoencoder.view_clips",
    "generator.latent",
    "generator.drive",
    "generator.width",
    "generator.blocks",
    "generator.frequencies",
    "discriminator.width",
    "discriminator.scales",
    "training.steps",
    "training.batch_size",
    "training.checkpoint_every",
    "training.keep_checkpoints",
    "training.snapshot_every",
    "training.log_every",
)
