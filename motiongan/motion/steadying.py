"""Generated motion, steadied: what hardly moves does not tremble.

A generator's error is about the same whether a joint moves or rests. In a fast movement nobody sees it; in a quiet
stance it is all the movement there is. So features are smoothed where the body is quiet and left alone where it is
fast: the speed-dependent cutoff of the 1 Euro filter (Casiez et al. 2012, doi 10.1145/2207676.2208639), here without
delay, since the whole clip is known.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.motion.features import HEADING_RATE, HEIGHT, ROTATIONS, VELOCITY, smoothed

_WIDTH = 0.05  # s, standard deviation of the Gaussian that smooths
_SPEED_WIDTH = 0.1  # s, of the one that takes the mean of the speed
_QUIET = 1.0  # rad/s: a joint as fast as this is half smoothed
_QUIET_ROOT = 0.5  # leg lengths a second: the root alike


def steady(features: Float[Tensor, "batch frames 140"], frame_rate: float) -> Float[Tensor, "batch frames 140"]:
    """The features with quiet joints, and the root of a body that stands, smoothed. Contacts stay."""
    steadied = features.clone()
    joints = features[..., ROTATIONS].unflatten(-1, (-1, 6))
    # The two columns of rot6d that a turn of angle a moves: by a sqrt(4 / 3) in the mean over its axes.
    smooth = _smoothed(joints, _WIDTH * frame_rate)
    speed = _speed(smooth, frame_rate) / (4 / 3) ** 0.5
    steadied[..., ROTATIONS] = (joints + _quiet(speed, _QUIET, frame_rate) * (smooth - joints)).flatten(-2)
    root = features[..., HEIGHT : HEADING_RATE + 1]
    smooth = _smoothed(root, _WIDTH * frame_rate)
    speed = smooth[..., VELOCITY.start - HEIGHT : VELOCITY.stop - HEIGHT].norm(dim=-1)
    steadied[..., HEIGHT : HEADING_RATE + 1] = root + _quiet(speed, _QUIET_ROOT, frame_rate) * (smooth - root)
    return steadied


def _quiet(speed: Float[Tensor, "batch frames *joints"], half: float, frame_rate: float) -> Tensor:
    """How much of the smoothed value to take, with an axis for its channels: 1 at rest, 1/2 at the speed `half`."""
    mean = _smoothed(speed, _SPEED_WIDTH * frame_rate)
    return (1 / (1 + (mean / half).square()))[..., None]


def _speed(values: Float[Tensor, "batch frames joints 6"], frame_rate: float) -> Float[Tensor, "batch frames joints"]:
    steps = values.diff(dim=1).norm(dim=-1) * frame_rate
    return torch.cat([steps[:, :1], steps], dim=1) if values.shape[1] > 1 else torch.zeros_like(values[..., 0])


def _smoothed(values: Float[Tensor, "batch frames *channels"], width: float) -> Tensor:
    """Gaussian mean along the frames, whose first and last repeat beyond the ends; width in frames."""
    rows = values.movedim(1, -1)
    return smoothed(rows.flatten(0, -2), width, "replicate").view_as(rows).movedim(-1, 1)
