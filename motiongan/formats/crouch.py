"""Legs that a solver lost at the bottom of a crouch, laid anew between the hip and the standing foot.

With the heels under the seat markers hide, and solvers let thigh and foot turn in ways no one's do, for a quarter to
a whole second. The pelvis is still right, and a foot that stood before and stands there after has not moved.
"""

from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float, Float64
from numpy import ndarray
from torch import Tensor

from motiongan.body.anatomy import joint_range_violation
from motiongan.body.kinematics import PosedSkeleton, Skeleton, forward_kinematics
from motiongan.body.legs import about_x, knee_angle
from motiongan.body.skeleton import JOINT, NUM_SOLE_POINTS

# A leg is lost where hip and ankle are both out of their ranges of motion, and together by this much. High kicks pass
# the hip's range alone.
_LOST = np.radians(50.0)
_LOST_EACH = np.radians(10.0)
_FAR = np.radians(45.0)  # an ankle further than this from rest may be out of range by that much
_SOUND = np.radians(8.0)  # it is lost until hip and ankle together are no further out than this
_MARGIN = 0.03  # seconds before and after, whose frames already lean that way
_FOLDED = 0.65  # of the leg's length from hip to ankle, at most
_LONGEST = 1.3  # seconds that can be laid anew
_STANDING = 0.12  # metres that the ankle may have moved meanwhile


@dataclass(frozen=True)
class Crouches:
    """Rotations (unit quaternions, xyzw) with lost legs laid anew, and the frames whose legs stay lost."""

    rotations: Float64[Tensor, "frames 24 4"]
    lost: Bool[ndarray, "frames"]


def mend_crouches(
    rotations: Float64[Tensor, "frames 24 4"],
    trans: Float64[ndarray, "frames 3"],
    rest_joints: Float64[ndarray, "24 3"],
    frame_rate: float,
) -> Crouches | None:
    """The crouches of a clip in which legs were lost; None where no leg is lost.

    The ankle goes straight from where it was to where it is afterwards, the foot turns with it, the knee bends about an
    axis that turns evenly, and the hip follows (two-bone inverse kinematics). What this construction differs from the
    recording at the borders is spread over the stretch, so that nothing jumps. A leg stays lost where the foot was
    moved meanwhile, for longer than 1.3 s, and at the ends of a clip.
    """
    ankles = rotations[:, [JOINT["left_ankle"], JOINT["right_ankle"]], 3].abs()
    if (2 * torch.acos(ankles.clamp(max=1)) < _FAR).all():
        return None
    violation = joint_range_violation(roma.unitquat_to_rotmat(rotations)).numpy()
    posed = _posed(rotations, trans, rest_joints)
    legs = [tuple(JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle")) for side in ("left", "right")]
    stretches = [
        (leg, slice(start, stop))
        for leg in legs
        for start, stop in _lost_stretches(
            violation[:, leg[0]], violation[:, leg[2]], _folded(posed.joints, leg, rest_joints), frame_rate
        )
    ]
    if not stretches:
        return None
    mended, lost = rotations.clone(), np.zeros(len(rotations), dtype=bool)
    for leg, stretch in stretches:
        frames = slice(stretch.start - 1, stretch.stop + 1)
        if frames.start < 0 or frames.stop > len(rotations) or stretch.stop - stretch.start > _LONGEST * frame_rate:
            lost[max(0, stretch.start) : stretch.stop] = True
        elif (posed.joints[frames.stop - 1, leg[2]] - posed.joints[frames.start, leg[2]]).norm() > _STANDING:
            lost[stretch] = True
        else:
            mended[frames, leg] = _laid_anew(
                rotations[frames], posed.joints[frames], posed.rotations[frames], leg, rest_joints
            )
    return Crouches(mended, lost)


def _lost_stretches(
    hip: Float[ndarray, "frames"], ankle: Float[ndarray, "frames"], folded: Bool[ndarray, "frames"], frame_rate: float
) -> list[tuple[int, int]]:
    """(start, stop) of the stretches in which a leg is lost, with a margin that may reach beyond the clip.

    hip, ankle   radians out of the range of motion
    """
    lost = (hip + ankle > _LOST) & (np.minimum(hip, ankle) > _LOST_EACH) & folded
    if not lost.any():
        return []
    doubtful = hip + ankle > _SOUND
    edges = np.flatnonzero(np.diff(np.concatenate([[0], doubtful.astype(np.int8), [0]])))
    margin = max(1, round(_MARGIN * frame_rate))
    return [
        (int(start) - margin, int(stop) + margin)
        for start, stop in zip(edges[::2], edges[1::2])
        if lost[start:stop].any()
    ]


def _folded(joints: Tensor, leg: tuple[int, ...], rest_joints: ndarray) -> Bool[ndarray, "frames"]:
    """Where the ankle is near the hip, as in a crouch: dancers' legs leave the ranges of motion when stretched."""
    hip, knee, ankle = leg
    length = np.linalg.norm(rest_joints[knee] - rest_joints[hip]) + np.linalg.norm(
        rest_joints[ankle] - rest_joints[knee]
    )
    folded: ndarray = ((joints[:, ankle] - joints[:, hip]).norm(dim=-1) < _FOLDED * length).numpy()
    return folded


def _posed(rotations: Tensor, trans: ndarray, rest_joints: ndarray) -> PosedSkeleton:
    rest = torch.from_numpy(np.ascontiguousarray(rest_joints)).double()
    skeleton = Skeleton(rest, rest.new_zeros(NUM_SOLE_POINTS, 3))
    return forward_kinematics(roma.unitquat_to_rotmat(rotations), torch.from_numpy(trans), skeleton)


def _laid_anew(
    rotations: Float64[Tensor, "frames 24 4"],
    joints: Float64[Tensor, "frames 24 3"],
    world: Float64[Tensor, "frames 24 3 3"],
    leg: tuple[int, ...],
    rest_joints: Float64[ndarray, "24 3"],
) -> Float64[Tensor, "frames 3 4"]:
    """Rotations of hip, knee and ankle; the first and the last frame are sound and stay as they are."""
    hip, knee, ankle = leg
    rest = torch.from_numpy(np.ascontiguousarray(rest_joints)).double()
    thigh, shin = rest[knee] - rest[hip], rest[ankle] - rest[knee]
    share = torch.linspace(0, 1, len(rotations), dtype=torch.float64)
    foot = _between(roma.rotmat_to_unitquat(world[0, ankle]), roma.rotmat_to_unitquat(world[-1, ankle]), share)
    target = joints[0, ankle] + share[:, None] * (joints[-1, ankle] - joints[0, ankle])
    # The knee's axis turns with the pelvis as it did in the sound frames, evenly from one to the other.
    pelvis = world[:, 0]
    axes = (pelvis.mT @ world[:, hip, :, :1])[[0, -1], :, 0]
    axis = (pelvis @ torch.lerp(axes[0], axes[1], share[:, None])[..., None])[..., 0]

    reach = target - joints[:, hip]
    angle = knee_angle(thigh, shin, reach.norm(dim=-1))
    bent = thigh + (about_x(angle) @ shin)
    lateral = thigh.new_tensor([1.0, 0.0, 0.0]).expand_as(bent)
    thigh_world = _frame(reach, axis) @ _frame(bent, lateral).mT
    built = torch.stack(
        [
            roma.rotmat_to_unitquat(pelvis.mT @ thigh_world),
            roma.rotmat_to_unitquat(about_x(angle)),
            roma.quat_product(roma.quat_conjugation(roma.rotmat_to_unitquat(thigh_world @ about_x(angle))), foot),
        ],
        dim=1,
    )
    wanted = rotations[:, list(leg)]
    corrections = [roma.quat_product(roma.quat_conjugation(built[end]), wanted[end]) for end in (0, -1)]
    spread = torch.stack([_between(first, last, share) for first, last in zip(*corrections, strict=True)], dim=1)
    return roma.quat_product(built, spread)


def _frame(along: Float64[Tensor, "frames 3"], beside: Float64[Tensor, "frames 3"]) -> Float64[Tensor, "frames 3 3"]:
    """Rotation matrices whose first column points along, and whose second is as near to `beside` as it can be."""
    first = torch.nn.functional.normalize(along, dim=-1)
    second = torch.nn.functional.normalize(beside - (beside * first).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def _between(start: Float64[Tensor, "4"], end: Float64[Tensor, "4"], share: Float64[Tensor, "frames"]) -> Tensor:
    """The rotations at these shares of the shortest way."""
    turn = roma.unitquat_to_rotvec(roma.quat_product(roma.quat_conjugation(start), end))
    steps = roma.rotvec_to_unitquat(share[:, None] * turn)
    return roma.quat_product(start.expand_as(steps), steps)
