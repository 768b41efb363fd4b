"""Errors of placed joints against true ones, as pose estimation reports them, clip by clip."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motiongan.utility.lifter import Lifter, Views
from motiongan.utility.posing import BLOCK, FIELD, Blocks

# Name -> unit and what it is.
ERRORS = {
    "mpjpe": ("mm", "mean distance of a joint from where it is, both relative to the root"),
    "pa_mpjpe": ("mm", "the same after the best rotation, scale and shift of each frame (Procrustes)"),
    "n_mpjpe": ("mm", "the same after the best scale of each frame"),
    "velocity_error": ("mm/s", "mean error of a joint's velocity, relative to the root's"),
}
_CHUNK = 256  # blocks at once


def mpjpe(placed: Float[Tensor, "*batch points 3"], true: Float[Tensor, "*batch points 3"]) -> Float[Tensor, "*batch"]:
    """Mean distance between joints, in the unit given."""
    return (placed - true).norm(dim=-1).mean(-1)


def n_mpjpe(
    placed: Float[Tensor, "*batch points 3"], true: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch"]:
    """MPJPE after each frame's best scale, by least squares.

    Source: H. Rhodin et al. 2018, arXiv 1803.04775, section 4 (N-MPJPE).
    """
    scale = (placed * true).sum((-2, -1)) / placed.square().sum((-2, -1)).clamp(min=1e-12)
    return mpjpe(scale[..., None, None] * placed, true)


def pa_mpjpe(
    placed: Float[Tensor, "*batch points 3"], true: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch"]:
    """MPJPE after each frame's best similarity transform (no reflection), by least squares.

    Source: S. Umeyama 1991, doi 10.1109/34.88573, Eqs. 40 to 42.
    """
    placed_mean, true_mean = placed.mean(-2, keepdim=True), true.mean(-2, keepdim=True)
    from_mean, true_from_mean = placed - placed_mean, true - true_mean
    left, values, right = torch.linalg.svd(true_from_mean.transpose(-1, -2) @ from_mean)
    sign = torch.ones_like(values)
    sign[..., -1] = torch.linalg.det(left @ right).sign()
    rotation = (left * sign[..., None, :]) @ right
    scale = (values * sign).sum(-1) / from_mean.square().sum((-2, -1)).clamp(min=1e-12)
    moved = scale[..., None, None] * (from_mean @ rotation.transpose(-1, -2))
    return mpjpe(moved, true_from_mean)


def velocity_error(
    placed: Float[Tensor, "*batch frames points 3"], true: Float[Tensor, "*batch frames points 3"], frame_rate: float
) -> Float[Tensor, "*batch steps"]:
    """Mean error of the joints' velocities from each frame to the next, per second.

    Source: D. Pavllo et al. 2019, arXiv 1811.11742, section 4.2 (MPJVE), there per frame.
    """
    return mpjpe(placed.diff(dim=-3), true.diff(dim=-3)) * frame_rate


@torch.no_grad()
def clip_errors(
    lifter: Lifter, views: Views, blocks: Blocks, num_clips: int, frame_rate: float
) -> Float[Tensor, "clips errors"]:
    """`ERRORS` of each clip (mm, mm/s): the mean over its frames, and over the cameras it is seen by.

    views   of the blocks, several times over for several cameras
    """
    parts = [lifter(part) for part in views.seen.split(_CHUNK)]
    placed = 1000 * torch.cat(parts).double()
    true = 1000 * views.target[:, FIELD // 2 : FIELD // 2 + BLOCK].double()
    times = len(placed) // len(blocks.clips)
    valid, clips = blocks.valid.repeat(times, 1), blocks.clips.repeat(times)
    columns = [_mean_of_clips(error(placed, true), valid, clips, num_clips) for error in (mpjpe, pa_mpjpe, n_mpjpe)]
    both = valid[:, 1:] & valid[:, :-1]
    columns.append(_mean_of_clips(velocity_error(placed, true, frame_rate), both, clips, num_clips))
    return torch.stack(columns, -1)


def _mean_of_clips(
    values: Float[Tensor, "blocks frames"], valid: Bool[Tensor, "blocks frames"], clips: Tensor, num_clips: int
) -> Float[Tensor, "clips"]:
    total = torch.zeros(num_clips, dtype=torch.float64).index_add(0, clips, (values * valid).sum(1))
    count = torch.zeros(num_clips, dtype=torch.float64).index_add(0, clips, valid.sum(1).double())
    return total / count
