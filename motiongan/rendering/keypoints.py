"""The points that are annotated: where they lie on a body, where a camera sees them, and whether it sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from numpy import ndarray

from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.skeleton import JOINT, NUM_JOINTS, PARENTS
from motiongan.body.smpl import Body
from motiongan.rendering.camera import Camera
from motiongan.rendering.rasterizer import Buffers

SETS = ("coco17", "h36m17", "smpl24")  # what is annotated, of `JOINT_SETS`
OUTSIDE, HIDDEN, SEEN = 0, 1, 2  # COCO's visibility

_NUM_PARTS = NUM_JOINTS + 1  # values of the part picture: 0 = no body, joint + 1

_TRUNK = tuple(JOINT[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "left_collar", "right_collar"))
_HEAD = (JOINT["head"], JOINT["neck"])
_ENDS = tuple(JOINT[name] for name in ("left_foot", "right_foot", "left_hand", "right_hand"))
_LIMB_ROOTS = tuple(JOINT[name] for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder"))

# How far before a point, along the camera's z axis, a surface may lie without hiding it, metres.
_TOUCHING = 0.01  # another part of the body, another person: the depth buffer's own roughness
_MARGIN = 0.02  # on top of twice the radius of the flesh round the point
_THINNEST = 0.03  # radius of the flesh round a joint at the least: feet and hands are flat, their joints near the skin
_CORE = 0.5  # a trunk's or head's own flesh before the points of its middle, whatever the direction
_MIDLINE = 0.01  # metres from the body's plane of symmetry to count as its middle
_INSIDE = 0.02  # metres from the nearest skin to count as inside the body
_NEAREST = 20  # vertices whose mean distance is the radius of the flesh


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The annotated points of a body, those of all sets in one row.

    sets                name of each set ("coco17") -> its columns
    names               of the points, as long as the row
    joint_weights       (points, 24) and
    landmark_weights    (points, landmarks): a point is a weighted sum of joints and landmarks; all weights of a point
                        that the body does not have are 0
    landmark_vertices   (landmarks,) the vertices that are landmarks
    allowance           (points, 25) metres by which a surface of each part (value of the part picture; 0 = no body)
                        may lie before the point without hiding it
    """

    sets: dict[str, slice]
    names: tuple[str, ...]
    joint_weights: Float32[ndarray, "points 24"]
    landmark_weights: Float32[ndarray, "points landmarks"]
    landmark_vertices: Int64[ndarray, "landmarks"]
    allowance: Float32[ndarray, "points 25"]

    @property
    def known(self) -> Bool[ndarray, "points"]:
        """False where the body does not have the point."""
        return (self.joint_weights != 0).any(1) | (self.landmark_weights != 0).any(1)

    def locate(
        self, joints: Float32[ndarray, "frames 24 3"], vertices: Float32[ndarray, "frames vertices 3"]
    ) -> Float32[ndarray, "frames points 3"]:
        """The points, in the axes and units of `joints` and `vertices`; 0 for those that the body does not have."""
        return self.joint_weights @ joints + self.landmark_weights @ vertices[:, self.landmark_vertices]


def body_keypoints(body: Body, names: Sequence[str] = SETS) -> Keypoints:
    """The annotated points of a body: those of the joint sets `names`, one set after another."""
    sets = [JOINT_SETS[name] for name in names]
    joints, vertices = (torch.cat(weights).numpy() for weights in zip(*(points.weights(body) for points in sets)))
    landmarks = np.flatnonzero((vertices != 0).any(0))
    ends = np.cumsum([len(points.names) for points in sets]).tolist()
    columns = {points.name: slice(end - len(points.names), end) for points, end in zip(sets, ends)}
    return Keypoints(
        sets=columns,
        names=tuple(name for points in sets for name in points.names),
        joint_weights=joints,
        landmark_weights=vertices[:, landmarks],
        landmark_vertices=landmarks,
        allowance=_allowance(body, joints, vertices),
    )


def visibility(
    keypoints: Keypoints,
    pixels: Float[ndarray, "frames points 2"],
    depth: Float[ndarray, "frames points"],
    buffers: Buffers,
    person: int,
) -> UInt8[ndarray, "frames points"]:
    """2 where a point of person `person` (from 0) is seen, 1 where something hides it, 0 where it is outside.

    pixels   from the outer corner of the top left pixel;  depth  along the camera's z axis, metres
    Outside is beyond the picture's edge, behind the camera, or a point that the body does not have. Hidden is a point
    before which the depth picture has a surface: of another person, of something else, of another part of the
    same body, or of its own part but on the far side of it. A joint lies inside the body: it is seen where its own
    flesh is seen.
    """
    height, width = buffers.depth.shape[1:]
    inside = (depth > 0) & (pixels >= 0).all(-1) & (pixels[..., 0] < width) & (pixels[..., 1] < height)
    inside &= keypoints.known
    column, row = (np.where(inside, pixels[..., axis], 0).astype(np.int64) for axis in (0, 1))
    frame = np.arange(len(buffers.depth))[:, None]
    surface = buffers.depth[frame, row, column]
    instance = buffers.instance[frame, row, column]
    allowance = keypoints.allowance[np.arange(len(keypoints.names)), buffers.part[frame, row, column]]
    allowance = np.where((instance != 0) & (instance != person + 1), np.float32(_TOUCHING), allowance)  # someone else
    seen = surface >= depth - allowance
    return np.where(inside, np.where(seen, SEEN, HIDDEN), OUTSIDE).astype(np.uint8)


def project(
    camera: Camera, points: Float32[ndarray, "frames points 3"]
) -> tuple[Float64[ndarray, "frames points 2"], Float64[ndarray, "frames points"]]:
    """Pixels and depth (m) of world points, in double precision: float32 would blur the hundredths of a pixel."""
    exact = Camera(
        camera.intrinsics.double(), camera.rotation.double(), camera.translation.double(), camera.width, camera.height
    )
    pixels, depth = exact.project(torch.from_numpy(np.asarray(points, np.float64)))
    return pixels.numpy(), depth.numpy()


def _allowance(
    body: Body, joint_weights: Float32[ndarray, "points 24"], vertex_weights: Float32[ndarray, "points vertices"]
) -> Float32[ndarray, "points 25"]:
    """What may lie before each point, by the mean body at rest.

    The point's own flesh (the parts that meet in it) by twice its radius there and 2 cm: rays that leave a knee or
    a hip slantwise pass through up to twice the radius, and through much more when they cross to the other leg.
    Points of the middle of trunk and head (spine, neck) are seen through any of the trunk's or head's own flesh.
    """
    vertices = body.v_template.double().numpy()
    rest = joint_weights @ body.bones.joint_template.double().numpy() + vertex_weights @ vertices
    part = body.part.numpy()
    allowance = np.full((len(rest), _NUM_PARTS), _TOUCHING, np.float32)
    for row, point in enumerate(rest):
        radius = np.sort(np.linalg.norm(vertices - point, axis=1))[:_NEAREST].mean()
        if joint_weights[row].any():
            own = {int(joint) for joint in np.flatnonzero(joint_weights[row] > 0)}
        else:
            own = {int(part[vertex]) for vertex in np.flatnonzero(vertex_weights[row])}
        flesh = {member for joint in own for member in _flesh(joint)}
        near = np.float32(2 * max(radius, _THINNEST if joint_weights[row].any() else 0) + _MARGIN)
        allowance[row, 0] = near  # the ground, where a foot sinks into it
        allowance[row, [joint + 1 for joint in flesh]] = near
        if abs(point[0]) < _MIDLINE and radius > _INSIDE:
            core = _HEAD if own & {JOINT["head"]} else _TRUNK
            allowance[row, [joint + 1 for joint in core]] = _CORE
    return allowance


def _flesh(joint: int) -> set[int]:
    """The parts that meet in a joint: its own, its parent's and its toes or fingers; round the trunk, all of it."""
    if joint == JOINT["head"]:
        return set(_HEAD)
    if joint in _TRUNK:
        return {*_TRUNK, *_LIMB_ROOTS, JOINT["head"]}
    ends = {child for child in _ENDS if PARENTS[child] == joint}
    return {joint, PARENTS[joint], *ends, *(_TRUNK if joint in _LIMB_ROOTS else ())}
