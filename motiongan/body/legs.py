"""The leg's geometry: two-bone inverse kinematics, and a foot's orientation in angles one can plan with."""

import math

import numpy as np
import roma
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

_STRAIGHT_KNEE = math.radians(2)  # no knee is straighter than this


def about_x(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a turn about X: the axis in which knees, ankles and toes bend."""
    return roma.euler_to_rotmat("X", [angle])


def turn(rotation: Float[Tensor, "*#batch 3 3"], vector: Float[Tensor, "*#batch 3"]) -> Float[Tensor, "*#batch 3"]:
    """The vectors turned by the rotations, which broadcast."""
    return (rotation * vector.unsqueeze(-2)).sum(-1)


def knee_angle(
    thigh: Float[Tensor, "*#batch 3"],
    shin: Float[Tensor, "*#batch 3"],
    distance: Float[Tensor, "*#batch"],
) -> Float[Tensor, "*#batch"]:
    """Flexion (radians about X) that puts the ankle at `distance` from the hip; stops short of a locked knee.

    thigh, shin   hip to knee and knee to ankle in the rest pose
    The ankle's distance: |thigh + Rx(a) shin|^2 = |thigh|^2 + |shin|^2 + 2 (x-part + length cos(a - straight)).
    """
    cosine, sine = _hinge(thigh, shin)
    wanted = (distance**2 - thigh.square().sum(-1) - shin.square().sum(-1)) / 2 - thigh[..., 0] * shin[..., 0]
    bent = torch.acos((wanted / torch.hypot(sine, cosine)).clamp(-1, 1))
    return straight_knee(thigh, shin) + bent.clamp(min=_STRAIGHT_KNEE)


def straight_knee(thigh: Float[Tensor, "*batch 3"], shin: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Flexion at which the ankle is farthest from the hip: the rest pose's leg is not quite straight."""
    cosine, sine = _hinge(thigh, shin)
    return torch.atan2(sine, cosine)


def shortest_turn(start: Float[Tensor, "*batch 3"], end: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of the shortest turn from one direction to another, not opposite one."""
    axis = torch.linalg.cross(start, end)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (start * end).sum(-1, keepdim=True))
    return roma.rotvec_to_rotmat(axis / sine.clamp(min=1e-12) * angle)


def foot_angles(
    rotation: Float[Tensor, "*batch 3 3"],
) -> tuple[Float[ndarray, "*batch"], Float[ndarray, "*batch"], Float[ndarray, "*batch"]]:
    """Yaw, roll and pitch of a foot's world rotation: turn about the vertical, stand up, roll, then toes up by pitch.

    Taken from the foot's lateral axis, so that only a foot lying on its side is singular; pitch is in (-pi, pi].
    """
    lateral = rotation[..., :, 0]
    yaw = torch.atan2(lateral[..., 1], lateral[..., 0])
    roll = torch.atan2(lateral[..., 2], lateral[..., :2].norm(dim=-1))
    level = _upright(yaw) @ roma.euler_to_rotmat("Z", [roll])
    turned = level.mT @ rotation
    pitch = -torch.atan2(turned[..., 2, 1], turned[..., 2, 2])
    return yaw.numpy(), roll.numpy(), pitch.numpy()


def foot_rotation(
    yaw: Float[ndarray, "*batch"], roll: Float[ndarray, "*batch"], pitch: Float[ndarray, "*batch"]
) -> Float[Tensor, "*batch 3 3"]:
    """World rotation of a foot with these angles: the inverse of `foot_angles`."""
    yaws, rolls, pitches = (torch.from_numpy(np.ascontiguousarray(angle)) for angle in (yaw, roll, pitch))
    return _upright(yaws) @ roma.euler_to_rotmat("Z", [rolls]) @ about_x(-pitches)


def _upright(yaw: Tensor) -> Tensor:
    """SMPL's rest axes stood up in the Z-up world and turned about the vertical."""
    return roma.euler_to_rotmat("Z", [yaw]) @ about_x(torch.full_like(yaw, math.pi / 2))


def _hinge(thigh: Tensor, shin: Tensor) -> tuple[Tensor, Tensor]:
    """thigh . Rx(a) shin = x-part + cosine cos(a) + sine sin(a)."""
    cosine = thigh[..., 1] * shin[..., 1] + thigh[..., 2] * shin[..., 2]
    return cosine, thigh[..., 2] * shin[..., 1] - thigh[..., 1] * shin[..., 2]
