"""How near a retargeted clip comes to its source: bone directions and joint positions."""

from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Float64
from numpy import ndarray

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES
from motiongan.body.smpl import Body
from motiongan.formats.retarget import LIMB_BONES, body_skeleton
from motiongan.formats.source_skeleton import SourceSkeleton
from motiongan.motion.clip import Clip


@dataclass(frozen=True, eq=False)
class Fit:
    """How near a clip comes to its source, frame by frame.

    bone_errors   (frames, bones) radians between the directions of the same bone; `bones` names them
    joint_errors  (frames, joints) metres between the positions of the same joint; `joints` names them
    rise          metres by which the clip was lifted against the source, removed before
    """

    bones: tuple[str, ...]
    bone_errors: Float64[ndarray, "frames bones"]
    joints: tuple[str, ...]
    joint_errors: Float64[ndarray, "frames joints"]
    rise: float


def measure_fit(clip: Clip, source: Float64[ndarray, "frames joints 3"], skeleton: SourceSkeleton, body: Body) -> Fit:
    """Compare the clip's joints with the source's own, over the landmarks that both have.

    source   (frames, joints, 3) world positions of the source at the clip's frames, metres, Z up, from `pose_source`
    Bones: upper and lower arms and legs, feet, the lines between hips, between shoulders, from hips to shoulders and
    from shoulders to head. A constant lift of the clip (the floor was found) does not count as an error of position.
    """
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
    target = body_skeleton(body, clip.betas)
    joints = forward_kinematics(rotations, torch.from_numpy(clip.trans).double(), target).joints.numpy()
    known = np.flatnonzero(skeleton.landmarks >= 0)
    theirs = np.full(joints.shape, np.nan)
    theirs[:, known] = source[:, skeleton.landmarks[known]]
    offset = joints[:, known] - theirs[:, known]
    rise = float(offset[..., 2].mean())
    bones = {
        f"{JOINT_NAMES[a]} - {JOINT_NAMES[b]}": (_direction(joints, a, b), _direction(theirs, a, b))
        for a, b in LIMB_BONES
    }
    for a, b in (("hip", "hip"), ("shoulder", "shoulder"), ("hip", "shoulder"), ("shoulder", "head")):
        name = f"{a}s - {b if b == 'head' else b + 's'}"
        bones[name] = (_middle_line(joints, a, b), _middle_line(theirs, a, b))
    errors = np.stack(
        [np.arctan2(np.linalg.norm(np.cross(x, y), axis=-1), (x * y).sum(-1)) for x, y in bones.values()], axis=1
    )
    return Fit(
        tuple(bones),
        errors,
        tuple(JOINT_NAMES[joint] for joint in known),
        np.linalg.norm(offset - (0, 0, rise), axis=-1),
        rise,
    )


def _direction(joints: Float64[ndarray, "frames 24 3"], start: int, end: int) -> Float64[ndarray, "frames 3"]:
    return joints[:, end] - joints[:, start]


def _middle_line(joints: Float64[ndarray, "frames 24 3"], start: str, end: str) -> Float64[ndarray, "frames 3"]:
    """The line from right to left of one pair of joints, or from the middle of one pair to that of another."""
    if start == end:
        return joints[:, JOINT[f"left_{start}"]] - joints[:, JOINT[f"right_{start}"]]
    middles = [
        joints[:, JOINT[name]]
        if name in JOINT
        else (joints[:, JOINT[f"left_{name}"]] + joints[:, JOINT[f"right_{name}"]]) / 2
        for name in (start, end)
    ]
    return middles[1] - middles[0]
