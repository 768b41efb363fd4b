"""Retargeting: a motion on a foreign skeleton -> a Clip on the SMPL joints and a body of fitted shape.

Global orientations carry over. Each bone keeps a constant turn between the two rest poses, so that bones which are the
same anatomical bone point the same way in every frame. Lengths are settled per subject, by the body's betas; what
is then left of position goes into the root translation.

Frames: "rest frame" is SMPL's (Y up, facing +Z, left +X); "world" is the house's (Z up).
"""

from collections.abc import Sequence

import numpy as np
import roma
import torch
from jaxtyping import Float, Float64, Int64
from numpy import ndarray

from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, PARENTS, SOLE_JOINTS
from motiongan.body.smpl import Body
from motiongan.formats.skeleton_motion import SkeletonMotion
from motiongan.formats.source_skeleton import SourceSkeleton, pose_source
from motiongan.motion.clip import NUM_BETAS, Clip

# Zero lengths are faults of a conversion, except at the root, where several bones start.
_ZERO_LENGTH = 1e-6
_SHORTEST_BONE = 0.01  # metres
# Bones whose direction is the same anatomical line in every skeleton: (joint, the joint its bone leads to).
LIMB_BONES: tuple[tuple[int, int], ...] = tuple(
    (JOINT[f"{side}_{joint}"], JOINT[f"{side}_{child}"])
    for side in ("left", "right")
    for joint, child in (
        ("hip", "knee"),
        ("knee", "ankle"),
        ("ankle", "foot"),
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
    )
)
_TRUNK = tuple(JOINT[name] for name in ("spine1", "spine2", "spine3", "neck", "head"))
_STRAIGHT = (JOINT["left_hip"], JOINT["right_hip"], JOINT["head"])  # joints that do not share the trunk's turn
_ANCHORS = tuple(
    JOINT[f"{side}_{joint}"] for side in ("left", "right") for joint in ("hip", "knee", "ankle", "shoulder")
)
# The planes of the rest frame, as what they leave of a vector.
_SAGITTAL, _FRONTAL, _HORIZONTAL = np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0])
_MOST_TRUNK_BEND = 0.5  # rad in one round of bending the trunk onto the source's
# Of the lengths that `_lengths` gives. Hips, head and toes lie where a solver put them; long bones are measured.
_LENGTH_WEIGHTS = np.array([0.5, 1.0, 1.0, 0.3, 1.0, 1.0, 0.3, 1.0, 1.0])
_FEET = list(SOLE_JOINTS)
_ANKLES = (JOINT["left_ankle"], JOINT["right_ankle"])


def fit_betas(skeletons: Sequence[SourceSkeleton], body: Body, prior: float = 0.005) -> Float[ndarray, "10"]:
    """Shape of one person: the betas whose bone lengths are nearest those of their skeletons.

    prior   metres of bone length that one unit of a beta is worth: keeps shapes that no length decides near the mean
    Lengths: limb bones (both sides), hip and shoulder width, hips to shoulders, shoulders to head.
    """
    from scipy.optimize import least_squares

    measured = np.stack([_lengths(skeleton.rest_joints, skeleton.landmarks) for skeleton in skeletons])
    known = np.isfinite(measured).any(0)
    if not known.any():
        return np.zeros(NUM_BETAS, dtype=np.float32)
    target = np.nanmean(measured[:, known], axis=0)
    count = min(body.num_betas, NUM_BETAS)
    # Joints are linear in the betas: the mean body and one step per beta tell all.
    steps = torch.cat([torch.zeros(1, count), torch.eye(count)])
    joints = body.skeleton(steps).rest_joints.double().numpy()
    mean, directions = joints[0], joints[1:] - joints[0]
    everywhere = np.arange(NUM_JOINTS)

    def residuals(betas: ndarray) -> ndarray:
        rest = mean + np.tensordot(betas, directions, 1)
        errors = (_lengths(rest, everywhere)[known] - target) * _LENGTH_WEIGHTS[known]
        return np.concatenate([errors, prior * betas])

    solution = least_squares(residuals, np.zeros(count), loss="soft_l1", f_scale=0.03)
    betas = np.zeros(NUM_BETAS, dtype=np.float32)
    betas[:count] = solution.x
    return betas


def retarget(
    motion: SkeletonMotion,
    skeleton: SourceSkeleton,
    body: Body,
    betas: Float[ndarray, "10"],
    frame_rate: float,
    sole_turns: Float64[ndarray, "4 3 3"] | None = None,
) -> Clip:
    """The motion as a clip on the body's skeleton, at the source's frame rate; feet not yet put on the ground.

    sole_turns   what `level_soles` found for this person; None = none
    """
    pose = pose_source(motion, skeleton)
    target = body_skeleton(body, betas)
    rest = target.rest_joints.numpy()
    turns = align_rest_poses(skeleton, rest)
    world = np.empty((len(pose.joints), NUM_JOINTS, 3, 3))
    for joint in range(NUM_JOINTS):
        turn, parent = skeleton.turns[joint], PARENTS[joint]
        if turn < 0:
            world[:, joint] = world[:, parent]
            continue
        constant = skeleton.rest_rotations[turn].T @ skeleton.to_rest.T @ turns[joint].T
        world[:, joint] = pose.rotations[:, turn] @ constant
    # Of the chain pelvis - spine - neck a joint without a counterpart turns halfway between its neighbours.
    for joint in _TRUNK:
        mapped_child = next((child for child in _TRUNK if child > joint and skeleton.turns[child] >= 0), None)
        if skeleton.turns[joint] < 0 and mapped_child is not None:
            world[:, joint] = _halfway(world[:, PARENTS[joint]], world[:, mapped_child])
    if sole_turns is not None:
        world[:, _FEET] = world[:, _FEET] @ sole_turns
    _bend_trunk(world, rest, pose.joints, skeleton.landmarks)
    parents = np.array(PARENTS)
    local = world.copy()
    local[:, 1:] = np.swapaxes(world[:, parents[1:]], -1, -2) @ world[:, 1:]
    rotations = torch.from_numpy(local)
    poses = roma.rotmat_to_rotvec(rotations)
    poses[:, [JOINT["left_hand"], JOINT["right_hand"]]] = 0.0
    zero = torch.zeros(len(local), 3, dtype=torch.float64)
    joints = forward_kinematics(rotations, zero, target).joints.numpy()
    trans = _root_translation(joints, pose.joints, skeleton.landmarks)
    return Clip(
        poses=poses.numpy().astype(np.float32),
        trans=trans.astype(np.float32),
        frame_rate=frame_rate,
        betas=betas,
    )


def body_skeleton(body: Body, betas: Float[ndarray, "10"]) -> Skeleton:
    """The body's bones for these betas, float64."""
    skeleton = body.skeleton(torch.from_numpy(np.asarray(betas))[: body.num_betas])
    return Skeleton(skeleton.rest_joints.double(), skeleton.rest_soles.double())


def align_rest_poses(skeleton: SourceSkeleton, rest_joints: Float64[ndarray, "24 3"]) -> Float64[ndarray, "24 3 3"]:
    """Per SMPL joint the turn, in the rest frame, from the source's rest pose to the body's.

    Trunk, with collars and neck: the turn about the left-right axis that lets the lines from hips to shoulders agree.
    Head: none, both look ahead at rest.
    Arms and legs: the parent's turn, then one in the frontal plane, in which rest poses differ (spread legs, lowered
    arms), then the smallest turn that brings the source's bone onto the body's.
    Feet: both soles are level at rest once the leg is upright, so the leg's turn in the frontal plane, then one about
    the vertical that lets the feet point the same way. (The slope from ankle to toe joint differs between skeletons
    by what they call a toe joint; aligning it would tilt the sole.)
    Toes, wrists: the parent's.
    """
    turns = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    bones = dict(LIMB_BONES)

    def rest_bone(first: int, second: int) -> ndarray | None:
        start, end = skeleton.starts[first], skeleton.starts[second]
        bone = skeleton.rest_joints[end] - skeleton.rest_joints[start]
        return bone if start >= 0 and end >= 0 and np.linalg.norm(bone) > _ZERO_LENGTH else None

    trunk = _trunk_lines(skeleton.rest_joints, skeleton.landmarks)
    if trunk is not None:
        our_trunk = _trunk_lines(rest_joints, np.arange(NUM_JOINTS))
        turns[0] = _smallest_turn(trunk * _SAGITTAL, our_trunk * _SAGITTAL)
    for joint in range(1, NUM_JOINTS):
        turns[joint] = np.eye(3) if joint in _STRAIGHT else turns[PARENTS[joint]]
        if joint not in bones:
            continue
        child, is_foot = bones[joint], joint in _ANKLES
        if is_foot:
            hip = PARENTS[PARENTS[joint]]
            leg = rest_bone(hip, joint)
            assert leg is not None, "legs are required and checked"
            turns[joint] = _smallest_turn(leg * _FRONTAL, (rest_joints[joint] - rest_joints[hip]) * _FRONTAL)
        bone = rest_bone(joint, child)
        if bone is None:
            continue
        wanted = rest_joints[child] - rest_joints[joint]
        for plane in (_HORIZONTAL,) if is_foot else (_FRONTAL, np.ones(3)):
            turns[joint] = _smallest_turn(turns[joint] @ bone * plane, wanted * plane) @ turns[joint]
    return turns


def _bend_trunk(
    world: Float64[ndarray, "frames 24 3 3"],
    rest: Float64[ndarray, "24 3"],
    source: Float64[ndarray, "frames joints 3"],
    landmarks: Int64[ndarray, "24"],
) -> None:
    """Tilt pelvis and lower spine, in place, until the line from hips to shoulders points as the source's does.

    Skeletons put the joints of the back at different heights, so equal rotations bend to different shapes. Chest,
    head and limbs keep their orientation; the pelvis tilts about the line between the hips only, which stays.

    With l = hips to spine3 (turns), v = spine3 to shoulders (stays), u = the source's direction: l' = k u - v with
    |l'| = |l|.
    """
    target = _trunk_lines(source, landmarks)
    if target is None:
        return
    target /= np.linalg.norm(target, axis=-1, keepdims=True)
    chain = [JOINT["pelvis"], JOINT["spine1"], JOINT["spine2"], JOINT["spine3"]]
    hips = (rest[JOINT["left_hip"]] + rest[JOINT["right_hip"]]) / 2
    starts = [hips, *rest[chain[1:]]]
    upper = np.zeros_like(target)
    for side in ("left", "right"):
        collar, shoulder = JOINT[f"{side}_collar"], JOINT[f"{side}_shoulder"]
        upper += world[:, chain[3]] @ (rest[collar] - rest[chain[3]]) / 2
        upper += world[:, collar] @ (rest[shoulder] - rest[collar]) / 2
    for _ in range(2):  # the pelvis takes only part of the turn, so a second round takes up the rest
        lower = sum(world[:, joint] @ (starts[i + 1] - starts[i]) for i, joint in enumerate(chain[:3]))
        along = (target * upper).sum(-1, keepdims=True)
        reach = along**2 - (upper**2).sum(-1, keepdims=True) + (lower**2).sum(-1, keepdims=True)
        wanted = (along + np.sqrt(np.maximum(reach, 0.0))) * target - upper
        axis = np.cross(lower, wanted)
        sine = np.linalg.norm(axis, axis=-1, keepdims=True)
        angle = np.arctan2(sine, (lower * wanted).sum(-1, keepdims=True))
        turn = axis / np.maximum(sine, 1e-12) * np.minimum(angle, _MOST_TRUNK_BEND)
        hip_axis = world[:, 0, :, 0]
        tilt = (turn * hip_axis).sum(-1, keepdims=True) * hip_axis
        world[:, chain[0]] = _rotation(tilt) @ world[:, chain[0]]
        world[:, chain[1:3]] = _rotation(turn)[:, None] @ world[:, chain[1:3]]


def _root_translation(
    joints: Float64[ndarray, "frames 24 3"],
    source: Float64[ndarray, "frames joints 3"],
    landmarks: Int64[ndarray, "24"],
) -> Float64[ndarray, "frames 3"]:
    """Translation that brings hips, knees, ankles and shoulders (posed at zero translation) onto the source's.

    Least squares, so the mean of the differences. Arms, head and toes do not count: their lengths differ most, and
    what they do would shake the root.
    """
    known = [joint for joint in _ANCHORS if landmarks[joint] >= 0]
    return (source[:, landmarks[known]] - joints[:, known]).mean(1)


def _trunk_lines(
    joints: Float64[ndarray, "*frames joints 3"], index: Int64[ndarray, "24"]
) -> Float64[ndarray, "*frames 3"] | None:
    """From the middle of the hips to the middle of the shoulders; None where the shoulders' place is unknown."""
    rows = index[[JOINT[f"{side}_{joint}"] for joint in ("hip", "shoulder") for side in ("left", "right")]]
    if (rows < 0).any():
        return None
    return joints[..., rows[2:], :].mean(-2) - joints[..., rows[:2], :].mean(-2)


def _smallest_turn(start: Float64[ndarray, "3"], end: Float64[ndarray, "3"]) -> Float64[ndarray, "3 3"]:
    """The turn by the smallest angle that brings one direction onto another; none for vectors without length."""
    x, y, z = axis = np.cross(start, end)  # length: sine of the angle, times both lengths
    lengths = np.linalg.norm(start) * np.linalg.norm(end)
    if np.linalg.norm(axis) <= _ZERO_LENGTH * lengths:
        return np.eye(3)
    # Rodrigues' formula, with (1 - cos) / sin^2 = 1 / (1 + cos): R = 1 + K + K K / (1 + cos).
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]) / lengths
    return np.eye(3) + cross + cross @ cross / (1 + start @ end / lengths)


def _rotation(vectors: Float64[ndarray, "frames 3"]) -> Float64[ndarray, "frames 3 3"]:
    return roma.rotvec_to_rotmat(torch.from_numpy(vectors)).numpy()


def _halfway(first: Float64[ndarray, "frames 3 3"], second: Float64[ndarray, "frames 3 3"]) -> ndarray:
    halves = roma.rotvec_to_rotmat(roma.rotmat_to_rotvec(torch.from_numpy(first.swapaxes(-1, -2) @ second)) / 2)
    return first @ halves.numpy()


def _lengths(joints: Float64[ndarray, "joints 3"], index: Int64[ndarray, "24"]) -> Float64[ndarray, "lengths"]:
    """Body measures from rest joints, metres; both sides averaged; NaN where a joint is unknown or the bone faulty.

    index   (24,) which row of `joints` is each SMPL joint, -1 = unknown
    """

    def at(name: str) -> ndarray:
        row = index[JOINT[name]]
        return joints[row] if row >= 0 else np.full(3, np.nan)

    def distance(first: ndarray, second: ndarray) -> float:
        length = float(np.linalg.norm(first - second))
        return length if length > _SHORTEST_BONE else np.nan

    hips = (at("left_hip") + at("right_hip")) / 2
    shoulders = (at("left_shoulder") + at("right_shoulder")) / 2
    lengths = [distance(at("left_hip"), at("right_hip")), distance(at("left_shoulder"), at("right_shoulder"))]
    lengths += [distance(hips, shoulders), distance(shoulders, at("head"))]
    half = len(LIMB_BONES) // 2
    for left, right in zip(LIMB_BONES[:half], LIMB_BONES[half:]):
        both = [distance(at(JOINT_NAMES[a]), at(JOINT_NAMES[b])) for a, b in (left, right)]
        lengths.append(float(np.mean(both)))
    return np.array(lengths)
