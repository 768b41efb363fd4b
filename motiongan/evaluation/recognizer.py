"""A small action recognizer: the eye through which FID, accuracy and diversity see motion.

It is trained here and now on the real training clips, in the same way for the same clips and seed, so figures of
models trained on one file compare, and figures of different files do not.
"""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from motiongan.body.skeleton import MIRROR_JOINTS, NUM_MOVING_JOINTS
from motiongan.files import write_whole
from motiongan.motion.actions import mirrored_action
from motiongan.motion.features import rotation_about_z

NAME = "motiongan-conv-2"  # a report names the recognizer; raise the number with any change that moves its features
NUM_FEATURES = 32
_WIDTH = 64
_BATCH = 64
_LEARNING_RATE = 2e-3
# Of pooled channels, and of whole input channels: over three people left out and three seeds, the latter raised the
# accuracy on them from 70 to 78 % and lowered their FID from 10.5 to 8.4; without either: 73 % and 11.3.
_DROPOUT = 0.5
_INPUT_DROPOUT = 0.3
_NOISE = 0.1  # of the inputs' standard deviation
_SHORTEST = 0.5  # of a window, when a random part of it is shown
_CHANNELS = 2 * NUM_MOVING_JOINTS * 3


def recognizer_inputs(
    joints: Float[Tensor, "windows frames 24 3"],
    heading: Float[Tensor, "windows frames"],
    leg_length: Float[Tensor, "windows"],
    frame_rate: float,
) -> Float[Tensor, "windows frames channels"]:
    """Joint positions from the point under the pelvis and joint velocities, in the heading frame, in leg lengths.

    The last frame repeats the velocity of the one before; the hands, which do not move by themselves, are left out.
    """
    level = rotation_about_z(-heading).transpose(-1, -2)
    joints = joints[:, :, :NUM_MOVING_JOINTS] / leg_length[:, None, None, None]
    below = joints[:, :, :1] * joints.new_tensor([1.0, 1.0, 0.0])
    velocity = joints.diff(dim=1) * frame_rate
    velocity = torch.cat([velocity, velocity[:, -1:]], dim=1)
    return torch.cat([(joints - below) @ level, velocity @ level], dim=2).flatten(2)


class Recognizer(nn.Module):
    """Temporal convolutions on masked frames -> mean and maximum over time -> features -> action logits."""

    mean: Tensor
    std: Tensor
    feature_std: Tensor

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_CHANNELS))
        self.register_buffer("std", torch.ones(_CHANNELS))
        self.register_buffer("feature_std", torch.ones(NUM_FEATURES))
        self.first = nn.Conv1d(_CHANNELS, _WIDTH, kernel_size=3, stride=2, padding=1)
        self.second = nn.Conv1d(_WIDTH, _WIDTH, kernel_size=3, padding=1)
        self.third = nn.Conv1d(_WIDTH, _WIDTH, kernel_size=3, stride=2, padding=1)
        self.to_features = nn.Linear(2 * _WIDTH, NUM_FEATURES)
        self.to_logits = nn.Linear(NUM_FEATURES, num_actions)

    def features(
        self,
        inputs: Float[Tensor, "windows frames channels"],
        mask: Bool[Tensor, "windows frames"],
    ) -> Float[Tensor, "windows features"]:
        """The penultimate layer, each channel with unit variance over the training windows."""
        return self._features(inputs, mask) / self.feature_std

    def _features(self, inputs: Tensor, mask: Tensor) -> Tensor:
        values = ((inputs - self.mean) / self.std).clamp(-8, 8) * mask[..., None]
        values = functional.dropout1d(values.transpose(1, 2), _INPUT_DROPOUT, self.training)
        values = functional.gelu(self.first(values))
        valid = mask[:, None, ::2]
        values = values * valid
        values = values + functional.gelu(self.second(values)) * valid
        valid = valid[:, :, ::2]
        values = functional.gelu(self.third(values)) * valid
        average = values.sum(-1) / valid.sum(-1)
        highest = values.masked_fill(~valid, -math.inf).amax(-1)
        pooled = functional.dropout(torch.cat([average, highest], dim=1), _DROPOUT, self.training)
        return torch.tanh(self.to_features(pooled))

    def forward(
        self,
        inputs: Float[Tensor, "windows frames channels"],
        mask: Bool[Tensor, "windows frames"],
    ) -> Float[Tensor, "windows actions"]:
        """Logits of the actions."""
        return self.to_logits(self._features(inputs, mask))

    def content_hash(self) -> str:
        """SHA-256 of all weights: figures compare where it is the same."""
        digest = hashlib.sha256()
        for name, values in self.state_dict().items():
            digest.update(name.encode() + values.contiguous().numpy().tobytes())
        return digest.hexdigest()


def train_recognizer(
    inputs: Float[Tensor, "windows frames channels"],
    mask: Bool[Tensor, "windows frames"],
    action_ids: Int64[Tensor, "windows"],
    actions: Sequence[str],
    *,
    seed: int,
    steps: int = 500,
) -> Recognizer:
    """A recognizer of `actions`, trained on these windows in steps of 64, rarer actions drawn a little more often.

    Every step shows random parts of the windows, half of them mirrored (with the mirrored label), with noise.
    The result depends on the data and the seed alone, not on the order of windows or actions; the global random state
    is left as it was.
    """
    names = sorted(actions)
    place = torch.tensor([names.index(action) for action in actions])
    # By a number that a window's last bits, which differ with its place in a batch, hardly move.
    order = inputs.mean((1, 2), dtype=torch.float64).argsort()
    with torch.random.fork_rng(devices=[]):  # initialisation and dropout can only draw from the global state
        torch.manual_seed(seed)
        recognizer = _train(inputs[order], mask[order], place[action_ids[order]], names, seed, steps)
    recognizer.to_logits.weight.copy_(recognizer.to_logits.weight[place].clone())
    recognizer.to_logits.bias.copy_(recognizer.to_logits.bias[place].clone())
    return recognizer


def cached_recognizer(
    inputs: Float[Tensor, "windows frames channels"],
    mask: Bool[Tensor, "windows frames"],
    action_ids: Int64[Tensor, "windows"],
    actions: Sequence[str],
    *,
    seed: int,
    steps: int = 500,
    folder: Path | None = None,
) -> Recognizer:
    """As `train_recognizer`, but found again in `folder` if it was trained before on just this; None keeps nothing.

    A file is named by the hash of all that the result depends on: data, labels, seed, steps, our and torch's version.
    One that cannot be read is trained anew and replaced.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save

    if folder is None:
        return train_recognizer(inputs, mask, action_ids, actions, seed=seed, steps=steps)
    digest = hashlib.sha256(repr((NAME, torch.__version__, tuple(actions), seed, steps)).encode())
    for tensor in (inputs, mask, action_ids):
        digest.update(repr(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes())
    path = folder / f"{digest.hexdigest()}.safetensors"
    recognizer = Recognizer(len(actions))
    try:
        recognizer.load_state_dict(load_file(path))
        return recognizer.eval().requires_grad_(False)
    except (OSError, SafetensorError, RuntimeError):
        recognizer = train_recognizer(inputs, mask, action_ids, actions, seed=seed, steps=steps)
    write_whole(path, save({name: value.contiguous() for name, value in recognizer.state_dict().items()}))
    return recognizer


def _train(
    inputs: Tensor, mask: Tensor, action_ids: Tensor, actions: Sequence[str], seed: int, steps: int
) -> Recognizer:
    recognizer = Recognizer(len(actions))
    generator = torch.Generator().manual_seed(seed)
    frames = inputs[mask]
    recognizer.mean.copy_(frames.mean(0))
    recognizer.std.copy_(frames.std(0).clamp(min=0.02))
    mirrored = torch.tensor([_mirrored_id(action, actions) for action in actions])
    # Half-way between drawing windows alike and drawing actions alike: rare ones must not claim whatever is unusual.
    weights = torch.bincount(action_ids)[action_ids].double() ** -0.5
    lengths = mask.sum(1)
    optimiser = torch.optim.AdamW(recognizer.parameters(), lr=_LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    recognizer.train()
    for _ in range(steps):
        rows = torch.multinomial(weights, _BATCH, replacement=True, generator=generator)
        part, part_mask = _random_part(inputs[rows], lengths[rows], generator)
        labels = action_ids[rows]
        flip = torch.rand(_BATCH, generator=generator) < 0.5
        part = torch.where(flip[:, None, None], _mirrored_inputs(part), part)
        labels = torch.where(flip, mirrored[labels], labels)
        noise = torch.randn(part.shape, generator=generator) * recognizer.std * _NOISE
        logits = recognizer(part + noise, part_mask)
        loss = functional.cross_entropy(logits, labels, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    recognizer.eval()
    with torch.no_grad():
        recognizer.feature_std.copy_(recognizer._features(inputs, mask).std(0).clamp(min=1e-3))
    return recognizer.requires_grad_(False)


def _mirrored_id(action: str, actions: Sequence[str]) -> int:
    other = mirrored_action(action)
    return actions.index(other if other in actions else action)


def _mirrored_inputs(inputs: Tensor) -> Tensor:
    """Left and right joints swapped and the left axis (y) negated, of positions and velocities alike."""
    points = inputs.unflatten(2, (2, NUM_MOVING_JOINTS, 3))[:, :, :, list(MIRROR_JOINTS[:NUM_MOVING_JOINTS])]
    return (points * points.new_tensor([1.0, -1.0, 1.0])).flatten(2)


def _random_part(inputs: Tensor, lengths: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random part of every window, between half of it and all, moved to the front; and its mask."""
    share = _SHORTEST + (1 - _SHORTEST) * torch.rand(len(lengths), generator=generator)
    kept = (lengths * share).ceil().long()
    start = (torch.rand(len(lengths), generator=generator) * (lengths - kept + 1)).long()
    offsets = torch.arange(inputs.shape[1])
    frames = (start[:, None] + offsets).clamp(max=inputs.shape[1] - 1)
    part = torch.take_along_dim(inputs, frames[..., None], dim=1)
    return part, offsets < kept[:, None]


def recognizer_cache() -> Path:
    """The folder in which the commands keep trained recognizers."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "motiongan" / "recognizers"
