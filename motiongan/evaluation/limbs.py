"""Angles of the limbs as a coach would name them, and how fast the joints turn."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.skeleton import JOINT

SIDES = ("left", "right")
LIMB_ANGLES = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion", "shoulder_elevation", "elbow_flexion")
TURNING_JOINTS = ("hip", "knee", "shoulder", "elbow")


def limb_angles(
    rotations: Float[Tensor, "*batch 24 3 3"], joints: Float[Tensor, "*batch 24 3"]
) -> Float[Tensor, "*batch limbs 2"]:
    """Degrees, in the order of `LIMB_ANGLES`, left and right in the last axis; equal for mirrored movements.

    hip_flexion          the thigh forward (positive) or back, seen from the side of the pelvis; 0 = straight down
    knee_flexion, elbow_flexion   0 = stretched straight, from the three joints alone
    ankle_dorsiflexion   90 less the angle between the shank and the line from ankle to toe joint
    shoulder_elevation   upper arm against the downward axis of the chest, whichever way it is raised; 0 = hanging
    rotations   local joint rotations;  joints   positions in any frame
    """
    sides = []
    for side in SIDES:
        hip, knee, ankle, toe = (joints[..., JOINT[f"{side}_{name}"], :] for name in ("hip", "knee", "ankle", "foot"))
        shoulder, elbow, wrist = (joints[..., JOINT[f"{side}_{name}"], :] for name in ("shoulder", "elbow", "wrist"))
        down = -rotations[..., JOINT[f"{side}_hip"], :, 1]  # the thigh, at rest along -y, seen from the pelvis
        outwards = 1.0 if side == "left" else -1.0
        arm = rotations[..., JOINT[f"{side}_collar"], :, :] @ rotations[..., JOINT[f"{side}_shoulder"], :, :]
        raised = arm[..., 1, 0] * outwards  # height of the upper arm's direction, at rest along x, in the chest
        sides.append(
            torch.stack(
                [
                    torch.rad2deg(torch.atan2(down[..., 2], -down[..., 1])),
                    180 - _angle(hip - knee, ankle - knee),
                    90 - _angle(knee - ankle, toe - ankle),
                    torch.rad2deg(torch.acos((-raised).clamp(-1, 1))),
                    180 - _angle(shoulder - elbow, wrist - elbow),
                ],
                -1,
            )
        )
    return torch.stack(sides, -1)


def turning_speeds(
    rotations: Float[Tensor, "windows frames 24 3 3"], frame_rate: float
) -> Float[Tensor, "windows frames joints 2"]:
    """Degrees per second at which the `TURNING_JOINTS` turn about any axis, left and right in the last axis.

    From the frame before to the frame after (at the ends: to the frame itself), so that one frame's noise is halved.
    """
    index = [JOINT[f"{side}_{name}"] for name in TURNING_JOINTS for side in SIDES]
    local = rotations[:, :, index]
    frames = rotations.shape[1]
    before = (torch.arange(frames) - 1).clamp(min=0)
    after = (torch.arange(frames) + 1).clamp(max=frames - 1)
    # |R - S|_F = 2 sqrt(2) sin(angle / 2): exact for small turns too, where the trace loses its digits.
    apart = (local[:, after] - local[:, before]).flatten(-2).norm(dim=-1)
    angle = 2 * torch.asin((apart / math.sqrt(8)).clamp(max=1))
    steps = (after - before).clamp(min=1)
    speed = torch.rad2deg(angle) * frame_rate / steps[:, None]
    return speed.unflatten(-1, (len(TURNING_JOINTS), 2))


def _angle(one: Tensor, other: Tensor) -> Tensor:
    """Degrees between two vectors."""
    sine = torch.linalg.cross(one, other).norm(dim=-1)
    return torch.rad2deg(torch.atan2(sine, (one * other).sum(-1)))
