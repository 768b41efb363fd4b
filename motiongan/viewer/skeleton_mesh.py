"""The skeleton as rigid meshes, skinned like the body: a rod for every bone, a ball for every joint and the head."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, PARENTS

_WIDTH, _JOINT_RADIUS, _HEAD_RADIUS = 0.055, 0.026, 0.10  # metres
# The head's centre from its joint, rest axes (y up, z forward), metres.
HEAD_CENTRE = np.array([0.0, 0.07, 0.02])

SIDES = ("left", "right", "trunk")


@dataclass(frozen=True, eq=False)
class RigidMesh:
    """A mesh of parts that each move with one joint; rest axes, metres.

    joints    (bones,) numbers of the joints that move it
    weights   (vertices, bones) 1 for the joint that moves the vertex, else 0
    """

    vertices: Float[ndarray, "vertices 3"]
    faces: Int[ndarray, "faces 3"]
    joints: Int[ndarray, "bones"]
    weights: Float[ndarray, "vertices bones"]


def skeleton_mesh(rest_joints: Float[ndarray, "24 3"], side: str) -> RigidMesh:
    """Rods and balls of one of `SIDES`. A rod from a joint to its child moves with the joint."""
    parts: list[tuple[ndarray, ndarray, int]] = []
    for joint, name in enumerate(JOINT_NAMES):
        start = name.partition("_")[0]
        if (start if start in SIDES else "trunk") != side:
            continue
        parts.append((*ball(rest_joints[joint], _JOINT_RADIUS), joint))
        if PARENTS[joint] >= 0:
            parts.append((*rod(rest_joints[PARENTS[joint]], rest_joints[joint], _WIDTH), PARENTS[joint]))
    if side == "trunk":
        parts.append((*ball(rest_joints[JOINT["head"]] + HEAD_CENTRE, _HEAD_RADIUS), JOINT["head"]))
    owner = np.concatenate([np.full(len(vertices), joint) for vertices, _, joint in parts])
    offsets = np.cumsum([0, *(len(vertices) for vertices, *_ in parts)])
    joints = np.unique(owner)
    return RigidMesh(
        np.concatenate([vertices for vertices, *_ in parts]),
        np.concatenate([faces + offset for (_, faces, _), offset in zip(parts, offsets)]),
        joints,
        np.eye(NUM_JOINTS, dtype=np.float32)[owner][:, joints],
    )


def ball(
    centre: Float[ndarray, "3"], radius: float, rings: int = 8, segments: int = 12
) -> tuple[Float[ndarray, "vertices 3"], Int[ndarray, "faces 3"]]:
    """A sphere's vertices and faces, counter-clockwise from outside."""
    polar = np.linspace(0, np.pi, rings + 1)
    vertices, faces = _lathe(radius * np.sin(polar), -radius * np.cos(polar), segments)
    return vertices + centre, faces


def rod(
    start: Float[ndarray, "3"], end: Float[ndarray, "3"], width: float, segments: int = 10
) -> tuple[Float[ndarray, "vertices 3"], Int[ndarray, "faces 3"]]:
    """A tapered rod from one point to another, thickest near its start and no thicker than half its length."""
    axis = end - start
    length = float(np.linalg.norm(axis))
    thickest = min(width, 0.45 * length) / 2
    profile = thickest * np.array([0, 0.7, 1.0, 0.6, 0]), length * np.array([0, 0.03, 0.2, 0.97, 1.0])
    vertices, faces = _lathe(*profile, segments)
    forward = axis / max(length, 1e-9)
    helper = np.eye(3)[np.abs(forward).argmin()]  # the axis farthest from the rod's own
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    return vertices @ np.stack([right, np.cross(forward, right), forward]) + start, faces


def _lathe(radius: ndarray, height: ndarray, segments: int) -> tuple[ndarray, ndarray]:
    """The surface that a profile (radius and height, from below to above) sweeps around Z, faces outwards."""
    angle = np.arange(segments) * 2 * np.pi / segments
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    vertices = np.concatenate(
        [np.concatenate([r * ring, np.full((segments, 1), h)], axis=1) for r, h in zip(radius, height, strict=True)]
    )
    faces = []
    for level in range(len(radius) - 1):
        here = level * segments + np.arange(segments)
        after = level * segments + (np.arange(segments) + 1) % segments
        faces += [np.stack([here, after, after + segments], 1), np.stack([here, after + segments, here + segments], 1)]
    return vertices, np.concatenate(faces)
