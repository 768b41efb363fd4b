"""Windows made of plain numbers, for figures whose value one can work out on paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from motiongan.evaluation.windows import PosedWindows


def _windows(
    joints: Tensor,
    soles: Tensor | None = None,
    *,
    lengths: list[int] | None = None,
    action_ids: list[int] | None = None,
    clip_ids: list[int] | None = None,
    rate: float = 30.0,
    **fields: Tensor,
) -> PosedWindows:
    count, frames = joints.shape[:2]
    base: dict[str, Tensor] = {
        "mass_centre": joints[:, :, 0],
        "clearance": torch.zeros(count, frames),
        "violation": torch.zeros(count, frames, 24),
        "limb_angles": torch.zeros(count, frames, 5, 2),
        "turning_speeds": torch.zeros(count, frames, 4, 2),
        "heading": torch.zeros(count, frames),
        "leg_length": torch.ones(count),
        "bone_lengths": torch.ones(count, 23),
        "starts": torch.zeros(count, dtype=torch.long),
    }
    return PosedWindows(
        joints=joints,
        soles=torch.zeros(count, frames, 4, 3) if soles is None else soles,
        mask=torch.arange(frames) < torch.tensor(lengths or [frames] * count)[:, None],
        action_ids=torch.tensor(action_ids or [0] * count),
        clip_ids=torch.tensor(clip_ids or list(range(count))),
        frame_rate=rate,
        **{**base, **fields},
    )


@pytest.fixture(scope="session")
def make_windows() -> Callable[..., PosedWindows]:
    """Makes windows of joints (windows, frames, 24, 3) at 30 Hz; all else rests at 0 unless given."""
    return _windows
