"""A clip as the page needs it: every frame's bones, marks and paths, worked out once when the clip is chosen."""

from dataclasses import dataclass, replace

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from motiongan.body.anatomy import centre_of_mass, foot_contacts, joint_range_violation
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import Body
from motiongan.losses.kinematic import ground_clearance
from motiongan.motion.clip import Clip
from motiongan.motion.features import heading_of
from motiongan.viewer.overlays import Flight, find_flights


@dataclass(frozen=True, eq=False)
class PosedClip:
    """A clip on its body. World axes of the clip: metres, Z up.

    rest_joints   (24, 3) of this shape;  betas   the shape that is drawn: zeros where the clip's are another body's
    joints        positions;  bone_wxyz   world rotations of the joints as unit quaternions, real part first
    soles         points a foot stands on, order of `SOLE_NAMES`;  contacts   whether they touch the ground
    mass_centre   of the whole body;  clearance   height of its lowest part
    violation     radians that each joint is outside its range of motion
    heading       direction the body faces in the first frame, radians from +X
    """

    clip: Clip
    betas: Float[Tensor, "betas"]
    rest_joints: Float[ndarray, "24 3"]
    joints: Float[ndarray, "frames 24 3"]
    bone_wxyz: Float[ndarray, "frames 24 4"]
    soles: Float[ndarray, "frames 4 3"]
    contacts: Bool[ndarray, "frames 4"]
    mass_centre: Float[ndarray, "frames 3"]
    clearance: Float[ndarray, "frames"]
    violation: Float[ndarray, "frames 24"]
    heading: float
    flights: list[Flight]

    @property
    def frame_rate(self) -> float:
        return self.clip.frame_rate

    @property
    def num_frames(self) -> int:
        return self.clip.num_frames


def pose_clip(clip: Clip, body: Body, *, with_shape: bool = True) -> PosedClip:
    """Everything about a clip of at least one frame on this body.

    with_shape   take the clip's betas; False where they belong to another body model: then the mean body moves
    """
    if not with_shape:
        clip = replace(clip, betas=np.zeros_like(clip.betas))
    betas = torch.from_numpy(clip.betas)
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))
    skeleton = body.bones.skeleton(betas)
    posed = forward_kinematics(rotations, torch.from_numpy(clip.trans), skeleton)
    mass_centre = centre_of_mass(posed.joints).numpy()
    clearance = ground_clearance(posed.joints, posed.soles).numpy()
    return PosedClip(
        clip=clip,
        betas=betas,
        rest_joints=skeleton.rest_joints.numpy(),
        joints=posed.joints.numpy(),
        bone_wxyz=roma.quat_xyzw_to_wxyz(roma.rotmat_to_unitquat(posed.rotations)).numpy(),
        soles=posed.soles.numpy(),
        contacts=foot_contacts(posed.soles, clip.frame_rate).numpy(),
        mass_centre=mass_centre,
        clearance=clearance,
        violation=joint_range_violation(rotations).numpy(),
        heading=float(heading_of(rotations[0, 0])),
        flights=find_flights(mass_centre, clearance, clip.frame_rate),
    )
