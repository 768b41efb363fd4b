"""Retargeting: a motion on a foreign skeleton -> a Clip on the SMPL joints and a body of fitted shape.

Global orientations carry over. Each bone keeps a constant turn between the two rest poses, so that bones which are the
same anatomical bone point the same way in every frame. Lengths are settled per subject, by the body's betas; what
is then left of position goes into the root translation.

Frames: "rest frame" is SMPL's (Y up, facing +Z, left +X); "world" is the house's (Z up).
"""

import itertools
import logging
from collections.abc import Sequence

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from motiongan.body.anatomy import joint_angles, joint_range_violation
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, PARENTS, SOLE_JOINTS
from motiongan.body.smpl import Body
from motiongan.formats.skeleton_motion import SkeletonMotion
from motiongan.formats.source_skeleton import SourceSkeleton, pose_source
from motiongan.motion.clip import NUM_BETAS, Clip

_log = logging.getLogger(__name__)

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
_ARMS = tuple(tuple(JOINT[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist")) for side in ("left", "right"))
# Bones that solvers turn over: (joint, the bone about which, what turns with it).
_FLIPPED_BONES = tuple(
    (
        JOINT[f"{side}_{joint}"],
        (JOINT[f"{side}_{start}"], JOINT[f"{side}_{end}"]),
        tuple(JOINT[f"{side}_{each}"] for each in rest),
    )
    for side in ("left", "right")
    for joint, start, end, rest in (
        ("ankle", "ankle", "foot", ("foot",)),
        ("elbow", "elbow", "wrist", ("wrist",)),
        ("wrist", "elbow", "wrist", ()),
    )
)
_ELBOWS = (JOINT["left_elbow"], JOINT["right_elbow"])
# The T-pose's palms look down and its elbows bend forward: halfway between pronation and supination, 80 to each side.
_MOST_FOREARM_TWIST = np.radians(110.0)
_TURNED_OVER = np.radians(30.0)  # out of the range of motion
_LARGE_STEP = np.radians(20.0)  # in one frame
_JUMP_COST = 2.0  # seconds: what a radian of a jump costs, in radians out of range times seconds
_LEAST_BEND = 0.3  # rad of an elbow's bending in the mean, below which its hinge is not looked for
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
    arm_turns: Float64[ndarray, "2 2 3 3"] | None = None,
) -> Clip:
    """The motion as a clip on the body's skeleton, at the source's frame rate; feet not yet put on the ground.

    sole_turns   what `level_soles` found for this person; None = none
    arm_turns    what `find_arm_turns` found for this person; None = none
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
    _share_turns(world, skeleton.turns)
    _turn_flips_back(world, skeleton, turns, frame_rate)
    if sole_turns is not None:
        world[:, _FEET] = world[:, _FEET] @ sole_turns
    if arm_turns is not None:
        for (shoulder, _, wrist), constants in zip(_ARMS, arm_turns):
            world[:, [shoulder, wrist]] = world[:, [shoulder, wrist]] @ constants
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


def find_arm_turns(clips: Sequence[Clip], body: Body) -> Float64[ndarray, "2 2 3 3"]:
    """Constant turns of one person's upper arm and hand, (side, joint), in the joints' own axes.

    How the upper arm is turned about its length is arbitrary in a foreign skeleton. It is rolled until its elbow's
    hinge is SMPL's, which bends the forearm straight forward in the T-pose (towards +Z): the forearm's mean direction
    across the upper arm, weighted by the bend, shows where it bends to.
    Solvers rest each person's hand at another angle sideways of the forearm (up to 45 degrees); the mean is set to 0.
    """
    turns = np.tile(np.eye(3), (2, 2, 1, 1))
    for side, (shoulder, elbow, wrist) in enumerate(_ARMS):
        bends, sideways = [np.zeros((0, 2))], [np.zeros(0)]
        for clip in clips:
            rest = body_skeleton(body, clip.betas).rest_joints.numpy()
            local = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
            upper_arm = _direction(rest, shoulder, elbow)
            forearm = local[:, elbow].numpy() @ _direction(rest, elbow, wrist)
            forward = np.array([0.0, 0.0, 1.0]) - upper_arm[2] * upper_arm
            forward /= np.linalg.norm(forward)
            # Components across the upper arm: forward, and a quarter turn about it further on.
            bends.append(np.stack([forearm @ forward, forearm @ np.cross(upper_arm, forward)], -1))
            sideways.append(joint_angles(local)[:, wrist, 1].numpy())
        across, angles = np.concatenate(bends), np.concatenate(sideways)
        if not len(angles):
            continue
        weights = np.linalg.norm(across, axis=-1, keepdims=True)
        x, y = (weights * across).sum(0) / max(float(weights.sum()), 1e-12)
        if np.hypot(x, y) > np.sin(_LEAST_BEND):
            turns[side, 0] = _rotation(np.arctan2(y, x) * upper_arm)
        angle = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())
        turns[side, 1] = _rotation(np.array([0.0, -angle, 0.0]))
    return turns


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


def _share_turns(world: Float64[ndarray, "frames 24 3 3"], turns: Int64[ndarray, "24"]) -> None:
    """Let joints of pelvis - spine - neck - head without a counterpart, in place, share the turn around them evenly."""
    chain = (JOINT["pelvis"], *_TRUNK)
    mapped = [place for place, joint in enumerate(chain) if place == 0 or turns[joint] >= 0]
    for start, stop in itertools.pairwise(mapped):
        for place in range(start + 1, stop):
            fraction = (place - start) / (stop - start)
            world[:, chain[place]] = _between(world[:, chain[start]], world[:, chain[stop]], fraction)


def _turn_flips_back(
    world: Float64[ndarray, "frames 24 3 3"],
    skeleton: SourceSkeleton,
    turns: Float64[ndarray, "24 3 3"],
    frame_rate: float,
) -> None:
    """Undo, in place, half turns of feet, forearms and hands about their own length; positions stay.

    Solvers that see few markers of a foot or a forearm at times take the upside-down solution, for some frames or for
    a whole file. Of the two readings of each frame (as it is, or half a turn on) the cheapest sequence is taken, by
    the Viterbi algorithm: radians out of the joint's range cost per second, radians of a jump cost at each step. So
    the reading changes where the source itself jumps.
    """
    for joint, (start, end), followers in _FLIPPED_BONES:
        first, last = skeleton.starts[start], skeleton.starts[end]
        if first < 0 or last < 0 or skeleton.turns[joint] < 0 or not len(world):
            continue
        bone = turns[joint] @ (skeleton.rest_joints[last] - skeleton.rest_joints[first])
        length = np.linalg.norm(bone)
        if length < _ZERO_LENGTH:
            continue
        flip = 2 * np.outer(bone, bone) / length**2 - np.eye(3)
        local = world[:, PARENTS[joint]].swapaxes(-1, -2) @ world[:, joint]
        readings = np.stack([local, local @ flip])
        cost = np.stack([_turned_over(reading, joint) for reading in readings], -1)
        if not (cost[:, 0] > 0).any():
            continue
        stay, change = (_steps(local[:-1], reading[1:]) for reading in readings)
        flipped = _cheapest_readings(cost / frame_rate, _JUMP_COST * stay, _JUMP_COST * change)
        if flipped.any():
            for follower in (joint, *followers):
                world[flipped, follower] = world[flipped, follower] @ flip
            seconds = flipped.sum() / frame_rate
            name = JOINT_NAMES[joint].replace("_", " ")
            _log.warning(f"half a turn of the {name} about its own length undone in {seconds:.1f} s")


def _turned_over(local: Float64[ndarray, "frames 3 3"], joint: int) -> Float64[ndarray, "frames"]:
    """Radians by which a joint is turned further than a bad recording of a sound joint would be."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(len(local), NUM_JOINTS, 1, 1)
    rotations[:, joint] = torch.from_numpy(local)
    if joint in _ELBOWS:
        twist = joint_angles(rotations)[:, joint, 0].abs()
        return np.asarray((twist - _MOST_FOREARM_TWIST).clamp(min=0).numpy())
    return np.asarray((joint_range_violation(rotations)[:, joint] - _TURNED_OVER).clamp(min=0).numpy())


def _steps(first: Float64[ndarray, "steps 3 3"], second: Float64[ndarray, "steps 3 3"]) -> Float64[ndarray, "steps"]:
    """Radians of a step between frames beyond what a fast limb turns."""
    angles = roma.rotmat_geodesic_distance(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    return np.asarray(np.maximum(angles - _LARGE_STEP, 0.0))


def _cheapest_readings(
    cost: Float64[ndarray, "frames 2"], stay: Float64[ndarray, "steps"], change: Float64[ndarray, "steps"]
) -> Bool[ndarray, "frames"]:
    """Which of two readings each frame takes on the cheapest path; `change` is the cost of a step between the two."""
    before, origins = cost[0], np.zeros((len(cost), 2), dtype=np.int64)
    for frame in range(1, len(cost)):
        # rows: reading before, columns: reading now
        total = before[:, None] + np.array([[stay[frame - 1], change[frame - 1]], [change[frame - 1], stay[frame - 1]]])
        origins[frame] = total.argmin(0)
        before = total.min(0) + cost[frame]
    path = np.zeros(len(cost), dtype=np.int64)
    path[-1] = before.argmin()
    for frame in range(len(cost) - 1, 0, -1):
        path[frame - 1] = origins[frame, path[frame]]
    return path == 1


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


def _direction(rest: Float64[ndarray, "24 3"], start: int, end: int) -> Float64[ndarray, "3"]:
    bone = rest[end] - rest[start]
    return np.asarray(bone / np.linalg.norm(bone))


def _rotation(vectors: Float64[ndarray, "*frames 3"]) -> Float64[ndarray, "*frames 3 3"]:
    return np.asarray(roma.rotvec_to_rotmat(torch.from_numpy(vectors)).numpy())


def _between(
    first: Float64[ndarray, "frames 3 3"], second: Float64[ndarray, "frames 3 3"], fraction: float
) -> Float64[ndarray, "frames 3 3"]:
    """The rotation at a fraction of the way from the first to the second."""
    turn = roma.rotmat_to_rotvec(torch.from_numpy(first.swapaxes(-1, -2) @ second)) * fraction
    return np.asarray(first @ roma.rotvec_to_rotmat(turn).numpy())


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
