"""Export to BVH: one text file per clip, for Blender, MotionBuilder, Unity and their like.

Y up, facing +Z, as these tools have it; the skeleton is the clip's own, from its betas, and stands in the T-pose at
zero angles. Source of the format: M. Meredith and S. Maddock, Motion Capture File Formats Explained, 2001.
"""

from pathlib import Path

import numpy as np
import roma
import torch
from jaxtyping import Float64
from numpy import ndarray

from motiongan.body.joint_sets import RIG_NAMES
from motiongan.body.skeleton import JOINT, NUM_JOINTS, PARENTS
from motiongan.errors import MotionganError, did_you_mean
from motiongan.exports.euler import zxy_angles
from motiongan.exports.selection import Export, NamedClip
from motiongan.exports.y_up import TO_Y_UP
from motiongan.files import write_whole

UNITS = {"cm": 100.0, "m": 1.0}  # file units per metre

# Digits after the point: a tenth of a micrometre and a millionth of a degree.
_LENGTH_DIGITS = {"cm": 5, "m": 7}
_ANGLE_DIGITS = 6
_ROTATIONS = "Zrotation Xrotation Yrotation"


def write_bvh(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write one clip as NAME.bvh and return its path.

    Joints carry the names of `RIG_NAMES`; the head, hands and toes end at the body's outermost points. The root has
    position and rotation, all others rotation: Rz Rx Ry, degrees.
    """
    unit = export.options.unit
    if unit not in UNITS:
        hint = did_you_mean(unit, UNITS) or f"; one of {', '.join(UNITS)}"
        raise MotionganError(f"--unit {unit}: unknown unit{hint}")
    clip, body = named.clip, export.body
    betas = export.betas(clip)
    bones = export.bones.skeleton(betas)
    rest = bones.rest_joints.numpy()
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double()).numpy()
    rotations[:, 0] = TO_Y_UP @ rotations[:, 0]
    positions = (rest[0] + clip.trans.astype(np.float64)) @ TO_Y_UP.T
    angles = np.degrees(zxy_angles(rotations)).reshape(clip.num_frames, -1)
    ends = end_points(body.rest_vertices(betas.float()).double().numpy(), body.part.numpy())
    text = _hierarchy(rest, ends, unit) + _motion(positions * UNITS[unit], angles, clip.frame_rate, unit)
    path = folder / f"{named.name}.bvh"
    write_whole(path, text.encode())
    return path


def end_points(vertices: Float64[ndarray, "vertices 3"], part: ndarray) -> dict[int, Float64[ndarray, "3"]]:
    """Where the chains end, by their last joint: top of the head, tips of the hands and toes, of the rest mesh.

    part   (vertices,) the joint that moves each vertex
    """
    outward = {
        "head": (0.0, 1.0, 0.0),
        "left_hand": (1.0, 0.0, 0.0),
        "right_hand": (-1.0, 0.0, 0.0),
        "left_foot": (0.0, 0.0, 1.0),
        "right_foot": (0.0, 0.0, 1.0),
    }
    ends = {}
    for name, direction in outward.items():
        own = vertices[part == JOINT[name]]
        if len(own):
            ends[JOINT[name]] = own[(own @ np.array(direction)).argmax()]
    return ends


def _hierarchy(rest: Float64[ndarray, "24 3"], ends: dict[int, Float64[ndarray, "3"]], unit: str) -> str:
    scale, digits = UNITS[unit], _LENGTH_DIGITS[unit]
    lines = ["HIERARCHY"]

    def offset(vector: ndarray) -> str:
        return "OFFSET " + " ".join(f"{value:.{digits}f}" for value in vector * scale)

    def add(joint: int, depth: int) -> None:
        indent = "\t" * depth
        parent = PARENTS[joint]
        lines.append(f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {RIG_NAMES[joint]}")
        lines.append(f"{indent}{{")
        # The root's place is in its channels.
        lines.append(f"{indent}\t{offset(rest[joint] - rest[parent] if parent >= 0 else np.zeros(3))}")
        positions = "6 Xposition Yposition Zposition" if parent < 0 else "3"
        lines.append(f"{indent}\tCHANNELS {positions} {_ROTATIONS}")
        children = _children(joint)
        for child in children:
            add(child, depth + 1)
        if not children:
            end = ends.get(joint, rest[joint] + 0.5 * (rest[joint] - rest[parent]))
            lines.extend([f"{indent}\tEnd Site", f"{indent}\t{{", f"{indent}\t\t{offset(end - rest[joint])}"])
            lines.append(f"{indent}\t}}")
        lines.append(f"{indent}}}")

    add(0, 0)
    return "\n".join(lines) + "\n"


def _children(joint: int) -> list[int]:
    return [child for child in range(NUM_JOINTS) if PARENTS[child] == joint]


def _file_order() -> list[int]:
    """The joints as the hierarchy lists them, depth first: the order of the motion's columns."""
    order, waiting = [], [0]
    while waiting:
        joint = waiting.pop()
        order.append(joint)
        waiting += reversed(_children(joint))
    return order


def _motion(
    positions: Float64[ndarray, "frames 3"], angles: Float64[ndarray, "frames numbers"], frame_rate: float, unit: str
) -> str:
    in_order = angles.reshape(len(angles), NUM_JOINTS, 3)[:, _file_order()].reshape(len(angles), -1)
    line = " ".join([f"%.{_LENGTH_DIGITS[unit]}f"] * 3 + [f"%.{_ANGLE_DIGITS}f"] * in_order.shape[1])
    table = np.concatenate([positions, in_order], axis=1) + 0.0  # no -0
    rows = "\n".join(line % tuple(row) for row in table)
    return f"MOTION\nFrames: {len(table)}\nFrame Time: {1 / frame_rate:.9f}\n{rows}\n"
