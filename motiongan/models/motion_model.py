"""MotionModel: generator and decoder as one, noise + action -> motion features. What a model file holds."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from motiongan.errors import MotionganError
from motiongan.models.autoencoder import AutoencoderConfig, MotionAutoencoder
from motiongan.models.blocks import masked, smooth, smoothing_kernel, upsample
from motiongan.models.generator import FIXED_WINDOW, GENERATORS, GeneratorConfig, Noise
from motiongan.models.rivals import MixtureGenerator
from motiongan.motion.features import NUM_FEATURES, Normalisation

# Without an autoencoder the generator works at half the frame rate, and its output is low-passed: a free 30 Hz
# output jerks ten times as much as real motion (docs/log.md).
FEATURE_STRIDE = 2
_SMOOTHING_TAPS = 5


class MotionModel(nn.Module):
    """From noise and action to motion features.

    Two stages (default): the generator makes the latents of a motion autoencoder, whose decoder makes features.
    One stage (autoencoder.steps = 0): the generator makes features at half the frame rate, which are interpolated.

    window   frames of a training window
    """

    def __init__(
        self, generator: GeneratorConfig, autoencoder: AutoencoderConfig, num_actions: int, window: int
    ) -> None:
        super().__init__()
        self.config, self.window = generator, window
        self.autoencoder = MotionAutoencoder(autoencoder, NUM_FEATURES) if autoencoder.steps else None
        self.stride = autoencoder.patch if self.autoencoder else FEATURE_STRIDE
        assert window % self.stride == 0, f"data.window must be a multiple of {self.stride} frames"
        channels = autoencoder.latent if self.autoencoder else NUM_FEATURES
        kinds = {**GENERATORS, "mixture": MixtureGenerator}
        self.generator = kinds[generator.kind](generator, num_actions, channels, window // self.stride)
        self.register_buffer("feature_mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("feature_std", torch.ones(NUM_FEATURES))

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the training features."""
        assert isinstance(self.feature_mean, Tensor)
        assert isinstance(self.feature_std, Tensor)
        return Normalisation(self.feature_mean, self.feature_std)

    def num_steps(self, frames: int) -> int:
        """Generator steps that cover this many frames."""
        return -(-frames // self.stride)

    def forward(self, noise: Noise, actions: Int64[Tensor, "batch"]) -> Float[Tensor, "batch frames features"]:
        """Motion features (not normalised) of whole clips: stride frames for every step of the noise.

        Raises MotionganError where they are more frames than this kind of generator can make.
        """
        if self.config.kind in FIXED_WINDOW and noise.drive.shape[1] > self.num_steps(self.window):
            raise MotionganError(
                f"this model's generator ({self.config.kind}) makes at most the {self.window} frames that it was"
                f" trained on; ask for no more, or train with generator.kind=conv or gru for any length"
            )
        return self.features(self.generator(noise, actions))

    def features(
        self, sequence: Float[Tensor, "batch steps channels"], mask: Bool[Tensor, "batch steps"] | None = None
    ) -> Float[Tensor, "batch frames features"]:
        """Motion features of a generated sequence; steps outside the mask count as padding."""
        if self.autoencoder:
            return self.normalisation.invert(self.autoencoder.decode(sequence, mask))
        fine = smooth(upsample(sequence), smoothing_kernel(_SMOOTHING_TAPS).to(sequence.device))
        return self.normalisation.invert(fine if mask is None else masked(fine, mask.repeat_interleave(2, dim=1)))
