"""BVH files on motiongan's own skeleton, as `motiongan export` writes them: read back without any retargeting."""

from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Float, Float64
from numpy import ndarray

from motiongan.body.joint_sets import RIG_NAMES
from motiongan.body.skeleton import NUM_JOINTS, PARENTS
from motiongan.body.smpl import Body
from motiongan.formats.skeleton_motion import SkeletonMotion
from motiongan.formats.source_skeleton import KNOWN_UNITS
from motiongan.motion.clip import NUM_BETAS, Clip

# A body's 69 bone numbers follow its 10 betas. A skeleton that fits them this well (metres, of the largest error) was
# made from that body: files keep a tenth of a micrometre, and other people's skeletons are centimetres off.
_SAME_BODY = 5e-6
_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z), Y up -> (x, -z, y)


@dataclass(frozen=True, eq=False)
class OwnSkeleton:
    """What a file's skeleton is made from: `betas` of the body, in units of `metres`; `joints` is SMPL's order."""

    betas: Float[ndarray, "10"]
    metres: float
    joints: tuple[int, ...]


def match_own_skeleton(motion: SkeletonMotion, body: Body) -> OwnSkeleton | None:
    """The betas with which the body has exactly the skeleton of a file; None where it is another skeleton."""
    if not set(RIG_NAMES) <= set(motion.names):
        return None
    joints = [motion.names.index(name) for name in RIG_NAMES]
    if joints[0] != 0 or any(motion.parents[joints[j]] != joints[PARENTS[j]] for j in range(1, NUM_JOINTS)):
        return None
    if any(not name.endswith("_end") for name in set(motion.names) - set(RIG_NAMES)):
        return None
    parents = list(PARENTS[1:])
    template, directions = body.bones.joint_template.double().numpy(), body.bones.joint_shapedirs.double().numpy()
    mean = (template[1:] - template[parents]).ravel()
    per_beta = (directions[1:] - directions[parents]).reshape(len(mean), -1)[:, :NUM_BETAS]
    # Betas and unit together are linear: mean + per_beta @ betas = offsets x metres per unit.
    offsets = motion.offsets[joints[1:]].ravel()
    for metres in KNOWN_UNITS:
        betas = np.linalg.lstsq(per_beta, offsets * metres - mean, rcond=None)[0]
        if np.abs(mean + per_beta @ betas - offsets * metres).max() < _SAME_BODY:
            found = np.zeros(NUM_BETAS, dtype=np.float32)
            found[: len(betas)] = betas
            return OwnSkeleton(found, metres, tuple(joints))
    return None


def read_own_motion(motion: SkeletonMotion, own: OwnSkeleton, body: Body, frame_rate: float) -> Clip:
    """The clip that a file on motiongan's own skeleton holds: its rotations and root, in the house's axes."""
    turn = _TO_Z_UP if motion.up_axis == "y" else np.eye(3)
    rotations = motion.rotations[:, own.joints].copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    bones = body.bones
    pelvis = _double(bones.joint_template)[0] + _double(bones.joint_shapedirs)[0] @ own.betas[: body.num_betas]
    trans = motion.root_positions * own.metres @ turn.T - pelvis
    poses = roma.rotmat_to_rotvec(torch.from_numpy(rotations)).numpy()
    return Clip(poses.astype(np.float32), trans.astype(np.float32), frame_rate, betas=own.betas)


def _double(tensor: torch.Tensor) -> Float64[ndarray, "*shape"]:
    return np.asarray(tensor.double().numpy())
