"""A foreign skeleton made ready for retargeting: its joints found, metres, axes, rest pose, and its own positions.

Frames: "source world" as in the file; "rest frame" is SMPL's (Y up, facing +Z, left +X); "world" is the house's (Z up).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from motiongan.body.skeleton import JOINT, NUM_JOINTS
from motiongan.errors import MotionganError
from motiongan.formats.joint_maps import LIMB_LANDMARKS, JointMap, find_joint, match_joints
from motiongan.formats.skeleton_motion import SkeletonMotion

# Lengths of 1 unit that files without a stated unit may mean: m, cm, mm, inch, foot, decimetre, and the unit of the
# CMU conversions (1 unit = 1 inch / 0.45).
KNOWN_UNITS = (1.0, 0.01, 0.001, 0.0254, 0.3048, 0.1, 0.0254 / 0.45)
# Length of thigh and shin over stature: hip at 0.530 of it, ankle at 0.039 (Drillis and Contini 1966, as drawn in
# D. Winter, Biomechanics and Motor Control of Human Movement).
_LEG_TO_STATURE = 0.530 - 0.039
_STATURE = 1.70
_STATURE_RANGE = (1.25, 2.20)
# Zero lengths are faults of a conversion, except at the root, where several bones start.
_ZERO_LENGTH = 1e-6


@dataclass(frozen=True, eq=False)
class SourceSkeleton:
    """A foreign skeleton made ready: metres, joints found, its rest pose turned into the rest frame.

    table          the joint map that fits
    names          the file's joint names
    starts, turns  (24,) per SMPL joint the source joint that stands there and the one that turns it; -1 = none
    landmarks      (24,) the source joint at the same anatomical point; -1 = none, or its position is not to be trusted
    parents, offsets   as in SkeletonMotion, offsets in metres, known faults repaired
    rest_rotations (joints, 3, 3) world rotations of the source's rest pose, in the source world
    rest_joints    (joints, 3) its positions, metres, rest frame, from the root
    to_rest        (3, 3) source world -> rest frame, for the rest pose
    to_world       (3, 3) source world -> house world (Z up)
    metres         metres per unit of the file
    notices        what was repaired or assumed
    """

    table: str
    names: tuple[str, ...]
    starts: Int64[ndarray, "24"]
    turns: Int64[ndarray, "24"]
    landmarks: Int64[ndarray, "24"]
    parents: Int64[ndarray, "joints"]
    offsets: Float64[ndarray, "joints 3"]
    rest_rotations: Float64[ndarray, "joints 3 3"]
    rest_joints: Float64[ndarray, "joints 3"]
    to_rest: Float64[ndarray, "3 3"]
    to_world: Float64[ndarray, "3 3"]
    metres: float
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SourcePose:
    """World positions (frames, joints, 3) in metres and rotations (frames, joints, 3, 3) of a source, Z up."""

    joints: Float64[ndarray, "frames joints 3"]
    rotations: Float64[ndarray, "frames joints 3 3"]


def prepare_skeleton(
    motion: SkeletonMotion, source: str, table: JointMap | None = None, metres_per_unit: float | None = None
) -> SourceSkeleton:
    """Find joints, unit, axes and rest pose of a source skeleton.

    table             the user's own joint map
    metres_per_unit   the user's own scale; else the file's, else the known unit that gives a human stature
    The rest pose is the zero pose; where that is not a T- or A-pose, frame 0 if it is one.
    Raises MotionganError where joints are missing, no rest pose is found or the skeleton cannot be a person.
    """
    chosen, joints = match_joints(motion.names, source, table)
    offsets, notices = _repaired(motion, chosen)
    starts = np.full(NUM_JOINTS, -1, dtype=np.int64)
    turns = starts.copy()
    for joint, indices in joints.items():
        starts[JOINT[joint]], turns[JOINT[joint]] = indices[0], indices[-1]
    landmarks = _landmarks(motion, chosen, starts, offsets)

    metres = metres_per_unit or motion.metres_per_unit
    if metres is None:
        metres, notice = _find_unit(motion, starts, offsets)
        notices += (notice,)
    offsets = offsets * metres
    _check_stature(offsets, motion.parents, starts, metres, source)

    identity = np.broadcast_to(np.eye(3), (len(motion.names), 3, 3))
    candidates = [identity, *(motion.rotations[:1] if len(motion.rotations) else [])]
    faults = []
    for number, rotations in enumerate(candidates):
        rest = _forward(rotations[None], np.zeros((1, 3)), motion.parents, offsets)
        to_rest = _axes_of(rest.joints[0], starts)
        fault = _rest_fault(rest.joints[0] @ to_rest.T, starts, strict=number > 0)
        if fault is None:
            break
        faults.append(fault)
    else:
        raise MotionganError(
            f"{source}: {faults[0]} in its zero pose, and frame 0 is no T-pose: cannot tell how its bones rest;"
            " export it with a T-pose as zero pose or as first frame"
        )
    if faults:
        notices += ("the zero pose is not a T-pose; frame 0 is, and was taken for it",)
    return SourceSkeleton(
        table=chosen.name,
        names=motion.names,
        starts=starts,
        turns=turns,
        landmarks=landmarks,
        parents=motion.parents,
        offsets=offsets,
        rest_rotations=rest.rotations[0],
        rest_joints=rest.joints[0] @ to_rest.T,
        to_rest=to_rest,
        to_world=np.eye(3) if motion.up_axis == "z" else np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
        metres=metres,
        notices=notices,
    )


def pose_source(motion: SkeletonMotion, skeleton: SourceSkeleton) -> SourcePose:
    """The source's own joints and rotations in house units and axes (Z up)."""
    pose = _forward(motion.rotations, motion.root_positions * skeleton.metres, motion.parents, skeleton.offsets)
    return SourcePose(pose.joints @ skeleton.to_world.T, skeleton.to_world @ pose.rotations)


def _repaired(motion: SkeletonMotion, table: JointMap) -> tuple[Float64[ndarray, "joints 3"], tuple[str, ...]]:
    """Offsets with the table's known faults mended, and a notice of them."""
    offsets, mended = motion.offsets.astype(np.float64).copy(), []
    for name, (other, factor) in table.repairs.items():
        joint, model = find_joint(motion.names, name), find_joint(motion.names, other)
        if joint is None or model is None or np.linalg.norm(offsets[joint]) > _ZERO_LENGTH:
            continue
        offsets[joint] = motion.offsets[model] * factor
        mended.append(name)
    notices = (f"bones of zero length filled in from their neighbours: {', '.join(mended)}",) if mended else ()
    return offsets, notices


def _landmarks(
    motion: SkeletonMotion, table: JointMap, starts: Int64[ndarray, "24"], offsets: Float64[ndarray, "joints 3"]
) -> Int64[ndarray, "24"]:
    """Per SMPL joint the source joint at the same point, -1 where there is none or a bone on its way is missing."""
    landmarks = np.full(NUM_JOINTS, -1, dtype=np.int64)
    for name in LIMB_LANDMARKS:
        landmarks[JOINT[name]] = starts[JOINT[name]]
    for name, source_name in table.landmarks.items():
        found = find_joint(motion.names, source_name)
        if found is not None:
            landmarks[JOINT[name]] = found
    for joint, landmark in enumerate(landmarks):
        while landmark > 0:
            parent = motion.parents[landmark]
            if parent > 0 and np.linalg.norm(offsets[landmark]) <= _ZERO_LENGTH:
                landmarks[joint] = -1
            landmark = parent
    return landmarks


def _find_unit(
    motion: SkeletonMotion, starts: Int64[ndarray, "24"], offsets: Float64[ndarray, "joints 3"]
) -> tuple[float, str]:
    stature = _stature(offsets, motion.parents, starts)
    unit = min(KNOWN_UNITS, key=lambda each: abs(np.log(max(stature, 1e-12) * each / _STATURE)))
    return unit, f"no unit in the file: 1 unit taken as {unit:.4g} m, which makes a human stature"


def _stature(offsets: ndarray, parents: ndarray, starts: ndarray) -> float:
    """Stature estimated from the legs, in the unit of `offsets`."""
    return (
        float(np.mean([_chain_length(offsets, parents, starts, side) for side in ("left", "right")])) / _LEG_TO_STATURE
    )


def _chain_length(offsets: ndarray, parents: ndarray, starts: ndarray, side: str) -> float:
    joint, hip, length = starts[JOINT[f"{side}_ankle"]], starts[JOINT[f"{side}_hip"]], 0.0
    while joint > 0 and joint != hip:
        length += float(np.linalg.norm(offsets[joint]))
        joint = parents[joint]
    return length


def _check_stature(offsets: ndarray, parents: ndarray, starts: ndarray, metres: float, source: str) -> None:
    stature = _stature(offsets, parents, starts)
    if not _STATURE_RANGE[0] <= stature <= _STATURE_RANGE[1]:
        raise MotionganError(
            f"{source}: with 1 unit = {metres:.4g} m the legs make a person of {stature:.3g} m; give the metres per"
            " unit with --scale"
        )


def _axes_of(joints: Float64[ndarray, "joints 3"], starts: Int64[ndarray, "24"]) -> Float64[ndarray, "3 3"]:
    """Turn of a standing pose into the rest frame: left to +X, up to +Y.

    Snapped to the nearest quarter turns where it is within 20 degrees of them: files rest along their axes, and a
    skeleton need not be symmetric.
    """

    def at(name: str) -> ndarray:
        return joints[starts[JOINT[name]]]

    left = at("left_hip") - at("right_hip")
    up = at("head") - (at("left_hip") + at("right_hip")) / 2
    left /= np.linalg.norm(left) or 1.0
    up = up - (up @ left) * left
    up /= np.linalg.norm(up) or 1.0
    turn = np.stack([left, up, np.cross(left, up)])
    snapped = np.where(np.abs(turn) > np.cos(np.radians(20.0)), np.sign(turn), 0.0)
    return snapped if np.allclose(np.abs(snapped).sum(0), 1) and np.allclose(np.abs(snapped).sum(1), 1) else turn


def _rest_fault(joints: Float64[ndarray, "joints 3"], starts: Int64[ndarray, "24"], strict: bool) -> str | None:
    """What speaks against a pose (rest frame) as T- or A-pose, None if nothing; `strict` asks for a T-pose."""
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for joint, child, ideal, limit in (
            ("hip", "knee", (0.0, -1.0, 0.0), 35.0 if strict else 50.0),
            ("knee", "ankle", (0.0, -1.0, 0.0), 35.0 if strict else 50.0),
            ("shoulder", "elbow", (sign, 0.0, 0.0), 40.0 if strict else 100.0),
            ("elbow", "wrist", (sign, 0.0, 0.0), 50.0 if strict else 110.0),
        ):
            first, second = starts[JOINT[f"{side}_{joint}"]], starts[JOINT[f"{side}_{child}"]]
            bone = joints[second] - joints[first]
            length = np.linalg.norm(bone)
            if length < _ZERO_LENGTH:
                return f"the bone from {side} {joint} to {child} has no length"
            angle = np.degrees(np.arccos(np.clip(bone @ np.array(ideal) / length, -1, 1)))
            if angle > limit:
                return f"the bone from {side} {joint} to {child} is {angle:.0f} degrees off a T-pose's"
    return None


def _forward(
    rotations: Float64[ndarray, "frames joints 3 3"],
    root_positions: Float64[ndarray, "frames 3"],
    parents: Int64[ndarray, "joints"],
    offsets: Float64[ndarray, "joints 3"],
) -> SourcePose:
    """Forward kinematics of a source skeleton, in its own axes."""
    world = np.empty_like(rotations, dtype=np.float64)
    joints = np.empty((*rotations.shape[:2], 3))
    world[:, 0], joints[:, 0] = rotations[:, 0], root_positions
    for joint in range(1, len(parents)):
        parent = parents[joint]
        np.matmul(world[:, parent], rotations[:, joint], out=world[:, joint])
        joints[:, joint] = joints[:, parent] + world[:, parent] @ offsets[joint]
    return SourcePose(joints, world)
