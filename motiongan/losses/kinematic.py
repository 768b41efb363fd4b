"""Kinematic-constraint losses: what a body on the ground can and cannot do.

All take `(batch, frames, ...)` tensors of a canonical adult body (metres, Z up, ground at z = 0) and a `mask` of the
valid frames, which come first in every row; a difference counts only where all its frames are valid. Each returns one
number for the batch, in the house's units, 0 where nothing is wrong. They are hinges, of degree one, with a tolerance
about as wide as what real recordings show: constrain lightly (docs/log.md), or the motion goes stiff.
"Where" a loss applies (near the ground, without support) is read from the geometry and detached: weighted by predicted
contacts, or with a gradient into the weight, the generator would learn to leave the loss's domain instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motiongan.body.anatomy import (
    CONTACT_HEIGHT,
    CONTACT_SPEED,
    GRAVITY,
    balance_gap,
    centre_of_mass,
    foot_contacts,
    joint_range_violation,
)
from motiongan.body.flesh import self_penetration
from motiongan.body.skeleton import JOINT

# A body is supported where its lowest point is below the first height, and surely not above the second; linear in
# between. Over hops and jumps of real recordings, free fall shows from 3 cm on.
SUPPORT_HEIGHT = (0.03, 0.06)  # metres
# The same for a foot that stands and may not slide. Feet swing close to the ground, so this is lower: on real clips
# 1-3 cm tells a slide from a swing best, together with SLIDE_SCALE.
STANDING_HEIGHT = (0.01, 0.03)  # metres
STANDING_SPEED = 0.3  # m/s: real feet roll and creep up to this while they stand (docs/log.md)
SLIDE_SCALE = 0.7  # m/s: a low point much faster than this swings
PENETRATION_TOLERANCE = 0.005  # metres, as in PhysDiff (Yuan et al. 2023, arXiv 2212.02500)

# What a body can rest on besides its soles, and how far the joint lies inside the flesh, metres.
SUPPORT_JOINTS: dict[str, float] = {
    "left_hand": 0.03,
    "right_hand": 0.03,
    "left_wrist": 0.04,
    "right_wrist": 0.04,
    "left_elbow": 0.05,
    "right_elbow": 0.05,
    "left_knee": 0.06,
    "right_knee": 0.06,
    "pelvis": 0.12,
    "spine3": 0.14,
    "head": 0.12,
}
_SUPPORT_INDEX = [JOINT[name] for name in SUPPORT_JOINTS]
_SUPPORT_DEPTH = list(SUPPORT_JOINTS.values())


@dataclass(frozen=True)
class KinematicWeights:
    """Weights of the kinematic losses; 0 switches a term off (it is then not even computed)."""

    joint_range: float = 0.2  # per radian outside the ranges of motion, summed over the joints
    foot_skate: float = 0.1  # per m/s that a standing foot slides
    penetration: float = 20.0  # per metre of the sole points below the ground (0.2 per cm)
    floating: float = 2.0  # per metre above the ground without support and without falling
    flight: float = 0.01  # per m/s^2 away from free fall while nothing touches the ground (0.1 per g)
    off_balance: float = 0.2  # per metre that the body is carried from beside its feet, or a foot hovers that should
    self_penetration: float = 10.0  # per metre that parts of the body lie within each other (0.1 per cm)
    smoothness: float = 0.1  # per multiple of the real joints' jerk limit
    contact_consistency: float = 0.1  # per flag in error, 10 cm or 1 m/s of a flagged foot

    def total(self, losses: Mapping[str, Tensor]) -> Tensor | float:
        """The weighted sum of `kinematic_losses`; 0.0 where every term is off."""
        return sum((getattr(self, name) * loss for name, loss in losses.items()), start=0.0)


def kinematic_losses(
    rotations: Float[Tensor, "batch frames 24 3 3"],
    joints: Float[Tensor, "batch frames 24 3"],
    soles: Float[Tensor, "batch frames 4 3"],
    contacts: Float[Tensor, "batch frames 4"],
    mask: Bool[Tensor, "batch frames"],
    *,
    frame_rate: float,
    jerk_limit: Float[Tensor, "24"],
    weights: KinematicWeights,
    grounded: Float[Tensor, "batch"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """The unweighted losses whose weight is not 0, by the names of `KinematicWeights`.

    rotations   local joint rotations; joints, soles: world positions in metres
    contacts    the motion's own contact flags in [0, 1]
    jerk_limit  m/s^3 per joint: a high quantile of `jerk` over real motion
    grounded    1 for clips that only the ground supports, 0 where a wall or a chair may (climbing, sitting): these
                are left out of `floating`, `flight` and `off_balance`; None = all of them stand on the ground
    """
    on = {field.name for field in fields(weights) if getattr(weights, field.name) != 0}
    losses: dict[str, Tensor] = {}
    if "joint_range" in on:
        losses["joint_range"] = joint_range_loss(rotations, mask)
    if "foot_skate" in on:
        losses["foot_skate"] = foot_skate_loss(soles, mask, frame_rate)
    if "penetration" in on:
        losses["penetration"] = penetration_loss(soles, mask)
    if on & {"floating", "flight", "off_balance"}:
        clearance = ground_clearance(joints, soles)
        mass_centre = centre_of_mass(joints)
        if "floating" in on:
            losses["floating"] = floating_loss(mass_centre, clearance, mask, frame_rate, grounded)
        if "flight" in on:
            losses["flight"] = flight_loss(mass_centre, clearance, mask, frame_rate, grounded)
        if "off_balance" in on:
            losses["off_balance"] = off_balance_loss(mass_centre, soles, mask, frame_rate, grounded)
    if "self_penetration" in on:
        losses["self_penetration"] = self_penetration_loss(joints, mask)
    if "smoothness" in on:
        losses["smoothness"] = smoothness_loss(joints, mask, frame_rate, jerk_limit)
    if "contact_consistency" in on:
        losses["contact_consistency"] = contact_consistency_loss(contacts, soles, mask, frame_rate)
    return losses


def joint_range_loss(
    rotations: Float[Tensor, "batch frames 24 3 3"],
    mask: Bool[Tensor, "batch frames"],
) -> Float[Tensor, ""]:
    """Radians outside the joints' ranges of motion, summed over the joints, mean over every second frame.

    Source of the ranges: `motiongan.body.anatomy`. A hinge of degree one, so that a joint slightly outside is pulled
    as surely as a far one. Neighbouring frames violate together; half of them at half the cost say the same.
    """
    return _masked_mean(joint_range_violation(rotations[:, ::2]).sum(-1), mask[:, ::2])


def foot_skate_loss(
    soles: Float[Tensor, "batch frames 4 3"],
    mask: Bool[Tensor, "batch frames"],
    frame_rate: float,
) -> Float[Tensor, ""]:
    """Horizontal speed (m/s) of standing sole points beyond `STANDING_SPEED`, saturating, mean over standing steps.

    sum w s (1 - exp(-e / s)) / sum w with e = max(|v_xy| - 0.3, 0) and s = 0.7 m/s; the weight w of a step is how
    surely the point stands before and after it, from its height alone. Weighted by geometry and not by predicted
    contacts, which the generator would learn to lower instead (measured: docs/log.md). It saturates because a foot
    also swings centimetres above the ground: real runs, and the same with 30 % of the way taken out so that the feet
    slide, score 0.21 and 0.35 without saturation, 0.05 and 0.18 with it. 0 where no foot stands.
    The penalty on a standing foot's velocity is that of MDM (Tevet et al. 2023, arXiv 2209.14916, section 3, the foot
    contact loss); weight, tolerance and saturation are ours.
    """
    height = torch.maximum(soles[:, 1:, :, 2], soles[:, :-1, :, 2])
    standing = _falling_ramp(height, *STANDING_HEIGHT) * _steps(mask, 1).unsqueeze(-1)
    speed = soles[..., :2].diff(dim=1).norm(dim=-1) * frame_rate
    excess = (speed - STANDING_SPEED).clamp(min=0)
    slide = SLIDE_SCALE * (1 - torch.exp(-excess / SLIDE_SCALE))
    return (standing * slide).sum() / standing.sum().clamp(min=1)


def penetration_loss(
    points: Float[Tensor, "batch frames points 3"],
    mask: Bool[Tensor, "batch frames"],
) -> Float[Tensor, ""]:
    """Metres below the ground beyond the tolerance, mean over points and frames: max(-z - 5 mm, 0).

    Source: the penetration term of PhysDiff's measure (Yuan et al. 2023, arXiv 2212.02500), on points of the sole.
    """
    return _masked_mean((-points[..., 2] - PENETRATION_TOLERANCE).clamp(min=0).mean(-1), mask)


def floating_loss(
    centre_of_mass: Float[Tensor, "batch frames 3"],
    clearance: Float[Tensor, "batch frames"],
    mask: Bool[Tensor, "batch frames"],
    frame_rate: float,
    grounded: Float[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Metres of air under a body that is neither supported nor falling, mean over all frames with two neighbours.

    mean of u max(clearance - 3 cm, 0), with u = min(|a_z + g| / g, 1): how far the vertical acceleration of the centre
    of mass is from free fall, detached. A body hanging still in the air has u = 1, a jump has u = 0. The gradient
    pulls the lowest point down, so unsupported time costs in proportion to its amount (docs/log.md). Ours.

    clearance  see `ground_clearance`;  grounded  see `kinematic_losses`
    """
    fall = _second_difference(centre_of_mass[..., 2].detach()) * frame_rate**2
    unexplained = ((fall + GRAVITY).abs() / GRAVITY).clamp(max=1)
    air = (clearance[:, 1:-1] - SUPPORT_HEIGHT[0]).clamp(min=0)
    return _masked_mean(_gated(unexplained * air, grounded), _steps(mask, 2))


def flight_loss(
    centre_of_mass: Float[Tensor, "batch frames 3"],
    clearance: Float[Tensor, "batch frames"],
    mask: Bool[Tensor, "batch frames"],
    frame_rate: float,
    grounded: Float[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Deviation (m/s^2) of the centre of mass from free fall in the air, mean over all frames with two neighbours.

    mean of w |a - (0, 0, -9.81)|, with a the second difference of the centre of mass and w, detached, growing from 0
    to 1 as the lowest clearance over the three frames passes `SUPPORT_HEIGHT`. Newton's second law without contact;
    the mean is over all frames, not those in the air, so that more unsupported time costs more. Ours.

    clearance  see `ground_clearance`;  grounded  see `kinematic_losses`
    """
    lowest = torch.minimum(torch.minimum(clearance[:, :-2], clearance[:, 1:-1]), clearance[:, 2:])
    airborne = 1 - _falling_ramp(lowest, *SUPPORT_HEIGHT)
    acceleration = _second_difference(centre_of_mass) * frame_rate**2
    horizontal, vertical = acceleration[..., :2], acceleration[..., 2:] + GRAVITY
    residual = torch.cat([horizontal, vertical], -1).norm(dim=-1)
    return _masked_mean(_gated(airborne * residual, grounded), _steps(mask, 2))


def off_balance_loss(
    centre_of_mass: Float[Tensor, "batch frames 3"],
    soles: Float[Tensor, "batch frames 4 3"],
    mask: Bool[Tensor, "batch frames"],
    frame_rate: float,
    grounded: Float[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Metres by which a body is out of balance, mean over all frames: `motiongan.body.anatomy.balance_gap`.

    Which frames count has no gradient. The distance of `off_balance` alone would pull the whole body over the one foot
    that touches the ground while the other hovers a few centimetres above it.
    """
    return _masked_mean(_gated(balance_gap(centre_of_mass, soles, frame_rate, mask), grounded), mask)


def self_penetration_loss(
    joints: Float[Tensor, "batch frames 24 3"], mask: Bool[Tensor, "batch frames"]
) -> Float[Tensor, ""]:
    """Metres that parts of the body lie within each other, summed over the pairs, mean over every second frame.

    See `motiongan.body.flesh`; every second frame as in `joint_range_loss`.
    """
    return _masked_mean(self_penetration(joints[:, ::2]).sum(-1), mask[:, ::2])


def smoothness_loss(
    joints: Float[Tensor, "batch frames joints 3"],
    mask: Bool[Tensor, "batch frames"],
    frame_rate: float,
    limit: Float[Tensor, "joints"],
) -> Float[Tensor, ""]:
    """Jerk beyond each joint's limit, in multiples of the limit: mean over joints and frames of max(j / limit - 1, 0).

    limit  m/s^3 per joint, what real motion shows (a high quantile of `jerk`), so that fast motion is not punished
    Jerk as the measure of smoothness: Flash and Hogan 1985 (J. Neurosci. 5:1688); the hinge at the real limit is ours.
    """
    excess = (jerk(joints, frame_rate) / limit - 1).clamp(min=0)
    return _masked_mean(excess.mean(-1), _steps(mask, 3))


def contact_consistency_loss(
    contacts: Float[Tensor, "batch frames 4"],
    soles: Float[Tensor, "batch frames 4 3"],
    mask: Bool[Tensor, "batch frames"],
    frame_rate: float,
) -> Float[Tensor, ""]:
    """Disagreement of the contact flags with the motion of the feet, mean over sole points and frames.

    (c - c*)^2 moves the flags towards what the feet do, c* being `foot_contacts` of the motion (detached); and
    c (max(z - 4 cm, 0) / 10 cm + max(|v| - 0.3 m/s, 0) / 1 m/s), with c detached, moves a flagged foot down and stops
    it. Neither can be lowered by leaving its domain. Source of the second: EDGE (Tseng et al. 2023, arXiv 2211.10658),
    contact consistency loss, which weights the foot's velocity by the predicted contact; the rest is ours.
    """
    target = foot_contacts(soles.detach(), frame_rate).to(contacts.dtype)
    flags = (contacts - target).square().mean(-1)
    planted = contacts.detach()
    height = (soles[..., 2] - CONTACT_HEIGHT).clamp(min=0) / 0.1
    speed = (soles.diff(dim=1).norm(dim=-1) * frame_rate - CONTACT_SPEED).clamp(min=0)
    moving = torch.minimum(planted[:, 1:], planted[:, :-1]) * speed
    return _masked_mean(flags + (planted * height).mean(-1), mask) + _masked_mean(moving.mean(-1), _steps(mask, 1))


def jerk(joints: Float[Tensor, "*batch frames joints 3"], frame_rate: float) -> Float[Tensor, "*batch steps joints"]:
    """Magnitude (m/s^3) of the third time derivative of every joint's position, by differences; frames - 3 steps."""
    third = joints[..., 3:, :, :] - joints[..., :-3, :, :] + 3 * (joints[..., 1:-2, :, :] - joints[..., 2:-1, :, :])
    return third.norm(dim=-1) * frame_rate**3


def ground_clearance(
    joints: Float[Tensor, "*batch 24 3"],
    soles: Float[Tensor, "*batch 4 3"],
) -> Float[Tensor, "*batch"]:
    """Height (m) of the lowest part of the body that could bear weight: soles, hands, knees, seat, back, head.

    The joints count from the skin under them (`SUPPORT_JOINTS`), so that a cartwheel or a fall is not called flight.
    """
    depth = torch.tensor(_SUPPORT_DEPTH, dtype=joints.dtype, device=joints.device)
    body = (joints[..., _SUPPORT_INDEX, 2] - depth).amin(-1)
    return torch.minimum(soles[..., 2].amin(-1), body)


def _second_difference(values: Tensor) -> Tensor:
    return values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]


def _falling_ramp(height: Tensor, full: float, none: float) -> Tensor:
    """1 up to `full`, 0 from `none` on, linear in between; without a gradient."""
    return ((none - height.detach()) / (none - full)).clamp(0, 1)


def _gated(loss: Tensor, grounded: Tensor | None) -> Tensor:
    return loss if grounded is None else loss * grounded.unsqueeze(-1)


def _steps(mask: Tensor, order: int) -> Tensor:
    """Where a difference of this order, over order + 1 frames, has only valid frames."""
    steps = mask
    for _ in range(order):
        steps = steps[:, 1:] & steps[:, :-1]
    return steps


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` is True; 0 where it never is."""
    return (values * mask).sum() / mask.sum().clamp(min=1)
