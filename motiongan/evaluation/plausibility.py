"""What else tells a body from a drawing of one: skating as others count it, hovering, bones, gravity, the two sides.

Each is a `Tally` over windows, so that it can be drawn anew; definitions and thresholds stand in docs/evaluation.md.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from motiongan.body.anatomy import off_balance
from motiongan.body.flesh import self_penetration
from motiongan.body.skeleton import JOINT, PARENTS
from motiongan.evaluation.metrics import (
    GRAVITY,
    SKATE_SPEED,
    Tally,
    in_air,
    tally,
    vertical_acceleration,
    with_neighbours,
)

TOE_HEIGHT = 0.05  # m, of Guided Motion Diffusion
SKATE_FRAMES = 5  # steps whose mean speed must be as high, of the same
FLOAT_TOLERANCE = 0.005  # m, as in PhysDiff (Yuan et al. 2023, arXiv 2212.02500)
_WINDOWS_AT_ONCE = 256  # whose parts are compared pair by pair: 0.1 GB
_TOES = [JOINT["left_foot"], JOINT["right_foot"]]


def skating_ratio(
    joints: Float[Tensor, "windows frames 24 3"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> Tally:
    """Share of steps in time in which a toe joint skates, as in Guided Motion Diffusion.

    A toe joint skates where it is lower than `TOE_HEIGHT` before and after the step and moves horizontally faster than
    `SKATE_SPEED`, in the step and in the mean of the `SKATE_FRAMES` steps around it (0 beyond the ends); one foot
    is enough.
    The ground is where the sole stands, so that a standing toe joint is some 3 cm high; the data of that protocol
    (HumanML3D) have the lowest joint at height 0. Heights count from our ground all the same: 3 cm more would take
    swinging toes for skating ones, and give walking people 26 % instead of 6 %.
    Source: Karunratanakul et al. 2023, arXiv 2305.12577, and its published `calculate_skating_ratio`, which runs at
    20 Hz; here at the clips' own rate.
    """
    toes = joints[:, :, _TOES]
    steps = mask[:, 1:] & mask[:, :-1]
    low = toes[..., 2] < TOE_HEIGHT
    contact = low[:, 1:] & low[:, :-1] & steps[..., None]
    speed = toes[..., :2].diff(dim=1).norm(dim=-1) * frame_rate * steps[..., None]
    around = functional.pad(speed.transpose(1, 2), (SKATE_FRAMES // 2, SKATE_FRAMES // 2))
    mean = functional.avg_pool1d(around, SKATE_FRAMES, stride=1).transpose(1, 2)
    skating = (contact & (speed > SKATE_SPEED) & (mean > SKATE_SPEED)).any(-1)
    return tally(skating, steps)


def floating(
    mass_centre: Float[Tensor, "windows frames 3"],
    clearance: Float[Tensor, "windows frames"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> Tally:
    """Millimetres of the lowest part above the ground while the body does not fall, mean over all frames.

    Heights up to `FLOAT_TOLERANCE` count as 0. So do frames in free fall (vertical acceleration within g / 2 of -g):
    a jump does not float. PhysDiff's figure is the same but counts jumps.
    """
    falls = (vertical_acceleration(mass_centre, frame_rate) + GRAVITY).abs() < GRAVITY / 2
    height = clearance[:, 1:-1]
    floats = torch.where((height > FLOAT_TOLERANCE) & ~falls, height, torch.zeros_like(height))
    return tally(1000 * floats, with_neighbours(mask))


def fall(
    mass_centre: Float[Tensor, "windows frames 3"],
    clearance: Float[Tensor, "windows frames"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> Tally:
    """Mean downward acceleration (m/s^2) of the centre of mass where nothing carries the body: 9.81 on earth.

    The same frames as `metrics.flight`: `metrics.in_air`. Signed, so that noise averages out and a bias stays.
    """
    return tally(-vertical_acceleration(mass_centre, frame_rate), in_air(clearance, mask))


def off_balance_mm(
    mass_centre: Float[Tensor, "windows frames 3"],
    soles: Float[Tensor, "windows frames 4 3"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> Tally:
    """Millimetres beside the feet from where the ground would have to carry the body; see `anatomy.off_balance`."""
    distance, carried = off_balance(mass_centre, soles, frame_rate, mask)
    return tally(1000 * distance, carried)


def self_penetration_mm(joints: Float[Tensor, "windows frames 24 3"], mask: Bool[Tensor, "windows frames"]) -> Tally:
    """Millimetres that the two parts that do so most lie within each other; see `motiongan.body.flesh`."""
    deepest = torch.cat([self_penetration(some).amax(-1) for some in joints.split(_WINDOWS_AT_ONCE)])
    return tally(1000 * deepest, mask)


def bone_drift(
    joints: Float[Tensor, "windows frames 24 3"],
    bone_lengths: Float[Tensor, "windows 23"],
    mask: Bool[Tensor, "windows frames"],
) -> Tally:
    """Millimetres by which a joint's distance from its parent differs from the body's bone, mean over the bones."""
    lengths = (joints[:, :, 1:] - joints[:, :, list(PARENTS[1:])]).norm(dim=-1)
    return tally(1000 * (lengths - bone_lengths[:, None]).abs().mean(-1), mask)


def asymmetry(limb_angles: Float[Tensor, "windows frames limbs 2"], mask: Bool[Tensor, "windows frames"]) -> Tally:
    """Degrees between what the left and the right limbs do within a window, mean over the `LIMB_ANGLES`.

    The Wasserstein distance between the angles that the left limb takes over the window's frames and those of the
    right: 0 where both do the same at any time, as in a whole stride; large for a kick. It says nothing about which
    side. Compare it with the real clips of the same action.
    """
    angles = limb_angles.masked_fill(~mask[..., None, None], torch.inf).sort(dim=1).values
    apart = (angles[..., 0] - angles[..., 1]).abs().mean(-1)
    return tally(torch.where(mask, apart, torch.zeros_like(apart)), mask)
