"""Anatomical joint angles -> SMPL's local rotations."""

import math

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.athletes.spec import ANGLE, SIDES
from motiongan.body.skeleton import JOINT, NUM_JOINTS

# The shoulder blade's share of raising the arm: nothing for a hanging arm, about a third overhead.
# Source: Inman et al. 1944 (scapulohumeral rhythm of 2 : 1 on average); rest values by eye.
_SCAPULA_REST = math.radians(-6)
_SCAPULA_RANGE = math.radians(38)
_SCAPULA_REACH = math.radians(9)  # forward with the arm pointing forward

# The head keeps most of its direction while the trunk leans and turns under it.
_HEAD_FOLLOWS = 0.25

# Where trunk and neck bend: shares of spine1, spine2, spine3, by eye after the lumbar spine's larger flexion.
_SPINE_SHARES = (("spine1", 0.4), ("spine2", 0.35), ("spine3", 0.25))


def local_rotations(
    angles: Float[Tensor, "*batch angles"],
    heading: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch 24 3 3"]:
    """Local rotation matrices of the SMPL joints for anatomical angles (radians, order of `ANGLES`).

    heading   direction of travel: radians about the vertical, 0 faces -Y (SMPL's +Z after standing up about X)
    Rest axes: X to the left, Y up, Z forward; so flexing a hip turns about -X, a knee about +X.
    """
    rotations = torch.eye(3, dtype=angles.dtype, device=angles.device).repeat(*angles.shape[:-1], NUM_JOINTS, 1, 1)

    def angle(name: str) -> Tensor:
        return angles[..., ANGLE[name]]

    pelvis = _euler("YXZ", angle("pelvis_rotation"), angle("pelvis_tilt"), angle("pelvis_list"))
    upright = _euler("ZX", heading, torch.full_like(heading, math.pi / 2))
    rotations[..., JOINT["pelvis"], :, :] = upright @ pelvis

    thorax = pelvis
    for joint, share in _SPINE_SHARES:
        bend = _euler(
            "YXZ", angle("trunk_rotation") * share, angle("trunk_flexion") * share, angle("trunk_bend") * share
        )
        rotations[..., JOINT[joint], :, :] = bend
        thorax = thorax @ bend

    gaze = roma.rotvec_to_rotmat(_HEAD_FOLLOWS * roma.rotmat_to_rotvec(thorax))
    gaze = gaze @ _euler("X", angle("head_flexion"))
    half = roma.rotvec_to_rotmat(0.5 * roma.rotmat_to_rotvec(thorax.mT @ gaze))
    rotations[..., JOINT["neck"], :, :] = half
    rotations[..., JOINT["head"], :, :] = half

    for side, sign in zip(SIDES, (1.0, -1.0)):
        rotations[..., JOINT[f"{side}_hip"], :, :] = _euler(
            "XZY",
            -angle(f"{side}_hip_flexion"),
            sign * angle(f"{side}_hip_abduction"),
            sign * angle(f"{side}_hip_rotation"),
        )
        rotations[..., JOINT[f"{side}_knee"], :, :] = _euler("X", angle(f"{side}_knee_flexion"))
        rotations[..., JOINT[f"{side}_ankle"], :, :] = _euler("X", -angle(f"{side}_ankle_dorsiflexion"))

        # The rest pose holds the arm out sideways: the last turn lowers it, the others act on the hanging arm.
        down = torch.full_like(heading, -sign * math.pi / 2)
        arm = _euler(
            "YXZYZ",
            -sign * angle(f"{side}_shoulder_horizontal"),
            -angle(f"{side}_shoulder_flexion"),
            sign * angle(f"{side}_shoulder_abduction"),
            sign * angle(f"{side}_shoulder_rotation"),
            down,
        )
        direction = sign * arm[..., :, 0]
        raised = _SCAPULA_REST + _SCAPULA_RANGE * (1 + direction[..., 1]) / 2
        collar = _euler("YZ", -sign * _SCAPULA_REACH * direction[..., 2], sign * raised)
        rotations[..., JOINT[f"{side}_collar"], :, :] = collar
        rotations[..., JOINT[f"{side}_shoulder"], :, :] = collar.mT @ arm
        rotations[..., JOINT[f"{side}_elbow"], :, :] = _euler("Y", -sign * angle(f"{side}_elbow_flexion"))
        rotations[..., JOINT[f"{side}_wrist"], :, :] = _euler(
            "XZ", -angle(f"{side}_forearm_rotation"), -sign * angle(f"{side}_wrist_flexion")
        )
    return rotations


def _euler(axes: str, *angles: Tensor) -> Tensor:
    """Rotation matrix of intrinsic turns about the named axes, in reading order."""
    turns = [roma.euler_to_rotmat(axis, [angle]) for axis, angle in zip(axes, angles)]
    result = turns[0]
    for turn in turns[1:]:
        result = result @ turn
    return result
