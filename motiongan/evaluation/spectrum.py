"""How the speed of a set's joints spreads over frequencies: trembling and smoothing show here by frequency."""

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.evaluation.windows import PosedWindows

PIECE = 0.8  # s: length of the pieces whose spectra are taken, hence 1.25 Hz between frequencies


def velocity_power(windows: PosedWindows) -> Float[Tensor, "windows joints frequencies"]:
    """Power of every joint's velocity at the frequencies 0, 1 / `PIECE`, ... up to half the frame rate.

    The mean over Hann-weighted pieces that begin every half piece (Welch 1967), the sum over x, y, z; velocities are
    from the point under the pelvis, in the heading frame, in leg lengths. 0 for a window shorter than a piece.
    """
    length = max(4, round(PIECE * windows.frame_rate))
    joints = windows.root_free_joints()
    velocity = joints.diff(dim=1) * windows.frame_rate
    steps = windows.mask.sum(1) - 1
    taper = torch.hann_window(length, periodic=False)[:, None, None]
    total = velocity.new_zeros(len(velocity), joints.shape[2], length // 2 + 1)
    pieces = torch.zeros(len(velocity))
    for begin in range(0, velocity.shape[1] - length + 1, length // 2):
        fits = steps >= begin + length
        spectrum = torch.fft.rfft(velocity[:, begin : begin + length] * taper, dim=1)
        power = spectrum.abs().square().sum(-1).transpose(1, 2)
        total += power * fits[:, None, None]
        pieces += fits
    return total / pieces.clamp(min=1)[:, None, None]


def spectrum_distance(
    power: Float[Tensor, "*draws joints frequencies"], real: Float[Tensor, "joints frequencies"]
) -> Float[Tensor, "*draws"]:
    """Hz by which power must be moved along the frequencies to make the real spectrum, joints weighted by real power.

    The earth mover's distance between the normalised spectra of each joint, as in NPSS (Gopalakrishnan et al. 2019,
    arXiv 1809.03036, section 4), which compares a prediction with its true continuation; here two sets of clips are
    compared by their mean spectra, of velocities instead of angles, and the distance is in Hz instead of bins.
    A joint that real motion does not move has no weight.
    """
    share = power / power.sum(-1, keepdim=True).clamp(min=1e-12)
    true_share = real / real.sum(-1, keepdim=True).clamp(min=1e-12)
    moved = (share - true_share).cumsum(-1).abs().sum(-1) / PIECE
    weight = real.sum(-1)
    return (moved * weight).sum(-1) / weight.sum()
