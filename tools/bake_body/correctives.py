"""Pose-dependent blend shapes (posedirs) that keep limbs from collapsing where linear blend skinning bends them."""

import numpy as np
import roma
import torch
from numpy import ndarray

from motiongan.body.anatomy import JOINT_RANGES
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS, NUM_JOINTS, PARENTS

# The joints whose bending is corrected; the right ones mirror the left ones. The other joints of the 24 do not bend.
CORRECTED = (
    "left_hip", "left_knee", "left_ankle", "left_foot", "spine1", "spine2", "spine3", "neck", "head", "left_collar",
    "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
# Metres from the joint at which its correction ends: on the chest, the skin slides rather than turns with the shoulder.
REACH: dict[str, float] = {"left_shoulder": 0.14}
DEFAULT_REACH = 0.30
NUM_SAMPLES = 300
RIDGE = 1e-3  # keeps directions small that the sampled rotations say little about
SEED = 21
SMALLEST = 3e-4  # metres per unit of pose feature: weaker corrections are left out


def undistort_shoulders(
    points: ndarray, directions: ndarray, weights: ndarray, joints: ndarray, joint_directions: ndarray, lowered: ndarray
) -> tuple[ndarray, ndarray]:
    """Rest points (V, 3) and shape directions (V, 3, B) whose shoulders turn from the A-pose by the rule of `_target`.

    lowered   (3, 3) rotation of the left shoulder from the T-pose to the A-pose
    The T-pose was made by inverting linear blend skinning, which swells the shoulder by what skinning takes away.
    """
    points, directions = points.copy(), directions.copy()
    flip = np.diag([-1.0, 1.0, 1.0])
    for side, rotation in (("left", lowered), ("right", flip @ lowered @ flip)):
        joint = JOINT[f"{side}_shoulder"]
        share = _carried(weights, joint)
        used = np.flatnonzero((share > 0) & (share < 1))
        # Lowered by skinning and raised again by the rule; column after column, since both are linear.
        there_and_back = np.stack(
            [
                _target(_skin(np.tile(column, (len(used), 1)), share[used], rotation[None])[:, 0], share[used],
                        rotation.T[None])[:, 0]
                for column in np.eye(3)
            ],
            axis=-1,
        )  # fmt: skip
        amount = _fade(share[used], points[used] - joints[joint], REACH["left_shoulder"])
        there_and_back = np.eye(3) + amount[:, None, None] * (there_and_back - np.eye(3))
        points[used] = joints[joint] + np.einsum("vab,vb->va", there_and_back, points[used] - joints[joint])
        relative = directions[used] - joint_directions[joint]
        directions[used] = joint_directions[joint] + np.einsum("vab,vbk->vak", there_and_back, relative)
    return points, directions


def fit_posedirs(points: ndarray, weights: ndarray, joints: ndarray, mirror: ndarray, lowered: ndarray) -> ndarray:
    """(V, 3, 207) pose-corrective directions for the features R - I of joints 1 to 23, metres.

    For rotations drawn from a joint's range of motion, each vertex that the joint bends should go where it would
    be if it turned about the joint by its share of the angle, at its own distance (`_target`); the directions are the
    linear least squares of that displacement, seen through the skinning that follows.
    """
    posedirs = np.zeros((len(points), 3, NUM_JOINTS - 1, 9))
    flip = np.array([-1.0, 1.0, 1.0])
    flip_feature = np.outer(flip, flip).ravel()
    random = np.random.default_rng(SEED)
    for name in CORRECTED:
        joint = JOINT[name]
        share = _carried(weights, joint)
        used = np.flatnonzero((share > 0) & (share < 1))
        share, relative = share[used], points[used] - joints[joint]
        rotations = _sample_rotations(name, random)
        skinned = _skin(relative, share, rotations)
        if name == "left_shoulder":  # turns on from the A-pose, where the skin is as MakeHuman made it
            in_a_pose = _target(relative, share, lowered[None])[:, 0]
            target = _target(in_a_pose, share, rotations @ lowered.T)
        else:
            target = _target(relative, share, rotations)
        amount = _fade(share, relative, REACH.get(name, DEFAULT_REACH))
        target = skinned + amount[:, None, None] * (target - skinned)
        directions, error = _least_squares(share, rotations, target - skinned)
        directions[np.linalg.norm(directions, axis=(1, 2)) < SMALLEST] = 0
        distance = np.linalg.norm(target - skinned, axis=-1)
        print(f"  {name:14s} {len(used)} vertices, from the target: {1000 * np.sqrt((distance**2).mean()):.1f} mm rms"
              f" -> {1000 * np.sqrt((error**2).mean()):.1f} mm, furthest {1000 * error.max():.1f} mm")  # fmt: skip
        # On the other side the mirror image; a joint on the midline has the mean of both.
        mirrored = directions * flip[:, None] * flip_feature
        amount = 0.5 if MIRROR_JOINTS[joint] == joint else 1.0
        posedirs[used, :, joint - 1] += amount * directions
        posedirs[mirror[used], :, MIRROR_JOINTS[joint] - 1] += amount * mirrored
    return posedirs.reshape(len(points), 3, -1)


def _carried(weights: ndarray, joint: int) -> ndarray:
    """(V,) the share of each vertex that turns with the joint: the weights of it and of all below it."""
    below = {joint}
    for other in range(joint + 1, NUM_JOINTS):
        if PARENTS[other] in below:
            below.add(other)
    return weights[:, sorted(below)].sum(1)


def _fade(share: ndarray, relative: ndarray, reach: float) -> ndarray:
    """(V,) 1 where the joint bends the skin, 0 where it hardly moves it, moves all of it or is far: no seams there."""
    bent = np.minimum(share, 1 - share) / 0.15
    near = (reach - np.linalg.norm(relative, axis=1)) / (0.5 * reach)
    rising = np.clip(np.minimum(bent, near), 0, 1)
    return rising**2 * (3 - 2 * rising)


def _sample_rotations(name: str, random: np.random.Generator) -> ndarray:
    """(samples, 3, 3) rotations in the joint's range of motion: combined ones, and sweeps about single axes."""
    limits = JOINT_RANGES[name]
    twist_axis = "xyz".index(limits.axis)
    box = np.radians(np.array([limits.x, limits.y, limits.z], dtype=float))
    # The mean of two draws prefers the middle of the range, where joints spend their time.
    angles = random.uniform(box[:, 0], box[:, 1], (2, NUM_SAMPLES, 3)).mean(0)
    angles[random.uniform(size=angles.shape) < 0.3] = 0
    for axis in range(3):
        sweep = np.zeros((15, 3))
        sweep[:, axis] = np.linspace(*box[axis], 15)
        angles = np.concatenate([angles, sweep])
    twist = np.zeros_like(angles)
    twist[:, twist_axis] = angles[:, twist_axis]
    swing = angles - twist
    swing *= np.minimum(1, np.radians(150) / np.maximum(np.linalg.norm(swing, axis=1, keepdims=True), 1e-9))
    return (roma.rotvec_to_rotmat(torch.from_numpy(swing)) @ roma.rotvec_to_rotmat(torch.from_numpy(twist))).numpy()


def _skin(relative: ndarray, share: ndarray, rotations: ndarray) -> ndarray:
    """(V, samples, 3) linear blend skinning of points relative to the joint."""
    turned = np.einsum("sab,vb->vsa", rotations, relative)
    return relative[:, None] + share[:, None, None] * (turned - relative[:, None])


def _target(relative: ndarray, share: ndarray, rotations: ndarray) -> ndarray:
    """(V, samples, 3) the points turned about the joint by their share of the rotation.

    It is what dual quaternion skinning (Kavan et al. 2008) gives for two bones that meet in the joint: the blended
    quaternion has the axis of the rotation and the angle below, and no translation.
    """
    rotvec = roma.rotmat_to_rotvec(torch.from_numpy(np.ascontiguousarray(rotations))).numpy()
    angle = np.linalg.norm(rotvec, axis=1)
    axis = rotvec / np.maximum(angle, 1e-12)[:, None]
    rest, moved = 1 - share[:, None], share[:, None]
    blended = 2 * np.arctan2(moved * np.sin(angle / 2), rest + moved * np.cos(angle / 2))
    cosine, sine = np.cos(blended)[..., None], np.sin(blended)[..., None]
    along = (relative @ axis.T)[..., None] * axis
    return along + cosine * (relative[:, None] - along) + sine * np.cross(axis[None], relative[:, None])


def _least_squares(share: ndarray, rotations: ndarray, displacement: ndarray) -> tuple[ndarray, ndarray]:
    """Directions (V, 3, 9) and the distances (V, samples) left between the corrected skin and its target."""
    features = (rotations - np.eye(3)).reshape(-1, 9)
    directions = np.empty((len(share), 3, 9))
    error = np.empty(displacement.shape[:2])
    for vertex, weight in enumerate(share):
        blend = np.eye(3) + weight * (rotations - np.eye(3))
        rows = np.einsum("sac,sf->sacf", blend, features).reshape(-1, 27)
        normal = rows.T @ rows + RIDGE * len(features) * np.eye(27)
        solution = np.linalg.solve(normal, rows.T @ displacement[vertex].ravel())
        error[vertex] = np.linalg.norm(displacement[vertex] - (rows @ solution).reshape(-1, 3), axis=1)
        directions[vertex] = solution.reshape(3, 9)
    return directions, error
