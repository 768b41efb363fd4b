"""Foreign skeletons with a known answer: a body's motion, told on a skeleton of other names, axes and rest pose."""

from collections.abc import Sequence

import numpy as np
import roma
import torch

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, PARENTS
from motiongan.body.smpl import Body
from motiongan.formats.retarget import body_skeleton
from motiongan.formats.skeleton_motion import SkeletonMotion

SIDES = {"left": "Left", "right": "Right"}
MIXAMO = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    **{
        f"{side}_{joint}": prefix + name
        for side, prefix in SIDES.items()
        for joint, name in {
            "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase",
            "collar": "Shoulder", "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hand": "HandEnd",
        }.items()
    },
}  # fmt: skip


def rotation(axis: Sequence[float], degrees: float) -> np.ndarray:
    return roma.rotvec_to_rotmat(torch.tensor(axis, dtype=torch.float64) * np.radians(degrees)).numpy()


def spread_rest() -> np.ndarray:
    """(24, 3, 3) per joint the turn from a rest pose with spread legs (20 degrees) and lowered arms (45) to SMPL's."""
    turns = np.tile(np.eye(3), (24, 1, 1))
    for side, sign in (("left", 1), ("right", -1)):
        for joint in ("hip", "knee", "ankle", "foot"):
            turns[JOINT[f"{side}_{joint}"]] = rotation([0, 0, 1], -20 * sign)
        for joint in ("shoulder", "elbow", "wrist", "hand"):
            turns[JOINT[f"{side}_{joint}"]] = rotation([0, 0, 1], 45 * sign)
    return turns


def moving_poses(num_frames: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A made-up motion: (frames, 24, 3) axis-angle and (frames, 3) trans, upright, hands at rest."""
    generator = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, num_frames)[:, None, None]
    poses = 0.4 * generator.normal(size=(24, 3)) * np.sin(time + generator.uniform(0, 6, size=(24, 3)))
    poses[:, 22:] = 0.0
    root = rotation([1, 0, 0], 90) @ roma.rotvec_to_rotmat(torch.from_numpy(poses[:, 0])).numpy()
    poses[:, 0] = roma.rotmat_to_rotvec(torch.from_numpy(root)).numpy()
    trans = np.stack([0.3 * time[:, 0, 0], 0.1 * np.sin(time[:, 0, 0]), 1.2 + 0.05 * np.cos(time[:, 0, 0])], 1)
    return poses, trans


def foreign_motion(
    body: Body,
    betas: np.ndarray,
    poses: np.ndarray,
    trans: np.ndarray,
    *,
    rest_turns: np.ndarray,
    names: dict[str, str] = MIXAMO,
    prefix: str = "",
    facing: np.ndarray | None = None,
    up_axis: str = "y",
    unit: float = 0.01,
    frame_rate: float | None = 60.0,
) -> SkeletonMotion:
    """The body's motion on a skeleton whose world rotations are the body's times `rest_turns`.

    facing   (3, 3) turn of the whole zero pose within the file's axes
    unit     metres per unit of the file, which the file does not state
    """
    skeleton = body_skeleton(body, betas.astype(np.float32))
    posed = forward_kinematics(roma.rotvec_to_rotmat(torch.from_numpy(poses)), torch.from_numpy(trans), skeleton)
    to_file = np.eye(3) if up_axis == "z" else np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    facing = np.eye(3) if facing is None else facing
    rest = skeleton.rest_joints.numpy()
    turns = rest_turns @ facing.T
    world = to_file @ posed.rotations.numpy() @ turns
    local = world.copy()
    for joint in range(1, 24):
        local[:, joint] = world[:, PARENTS[joint]].swapaxes(-1, -2) @ world[:, joint]
    offsets = np.zeros((24, 3))
    for joint in range(1, 24):
        offsets[joint] = turns[PARENTS[joint]].T @ (rest[joint] - rest[PARENTS[joint]]) / unit
    return SkeletonMotion(
        names=tuple(prefix + names[name] for name in JOINT_NAMES),
        parents=np.array(PARENTS),
        offsets=offsets,
        rotations=local,
        root_positions=posed.joints.numpy()[:, 0] @ to_file.T / unit,
        frame_rate=frame_rate,
        up_axis=up_axis,
    )


def bvh_text(motion: SkeletonMotion) -> str:
    """The motion as a BVH file (channels Zrotation Xrotation Yrotation), end sites a unit long."""
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(motion.parents):
        children.setdefault(int(parent), []).append(joint)
    lines = ["HIERARCHY"]
    order: list[int] = []

    def write(joint: int, indent: str) -> None:
        order.append(joint)
        word, channels = ("ROOT", "6 Xposition Yposition Zposition") if joint == 0 else ("JOINT", "3")
        lines.extend([f"{indent}{word} {motion.names[joint]}", indent + "{"])
        lines.append(f"{indent}  OFFSET " + " ".join(f"{value:.9f}" for value in motion.offsets[joint]))
        lines.append(f"{indent}  CHANNELS {channels} Zrotation Xrotation Yrotation")
        for child in children.get(joint, []):
            write(child, indent + "  ")
        if joint not in children:
            lines.extend([f"{indent}  End Site", indent + "  {", f"{indent}    OFFSET 0 1 0", indent + "  }"])
        lines.append(indent + "}")

    write(0, "")
    angles = roma.rotmat_to_euler("ZXY", torch.from_numpy(motion.rotations[:, order]), degrees=True).numpy()
    table = np.concatenate([motion.root_positions, angles.reshape(len(angles), -1)], axis=1)
    assert motion.frame_rate is not None
    lines += ["MOTION", f"Frames: {len(table)}", f"Frame Time: {1 / motion.frame_rate:.9f}"]
    return "\n".join(lines + [" ".join(f"{value:.7f}" for value in row) for row in table]) + "\n"
