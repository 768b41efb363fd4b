"""Several people in one scene: who joins, and where each stands so that no two bodies ever touch."""

from dataclasses import dataclass, replace

import numpy as np
import roma
import torch
from jaxtyping import Float32
from numpy import ndarray

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import NUM_JOINTS, PARENTS
from motiongan.body.smpl import Body
from motiongan.motion.clip import Clip

# Joints of two people, and the middles of their bones, keep this distance (metres): a trunk's half width and a hand
# beyond its joint, or two trunks side by side.
CLEARANCE = 0.42
_TRIES = 24  # places tried in a ring before the ring widens
_FIRST_RING, _WIDER = 0.9, 1.12  # metres, factor
_BLOCK = 256  # frames compared at once


@dataclass(frozen=True, eq=False)
class Performer:
    """One person's motion as placed in the scene, over all frames of the scene.

    joints   (frames, 24, 3) world positions, metres
    clip     number of the clip in the motion file;  start, mirrored_in_time: which of its frames are shown
    """

    motion: Clip
    joints: Float32[ndarray, "frames 24 3"]
    clip: int
    start: int = 0
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)


def place_joints(clip: Clip, body: Body) -> Float32[ndarray, "frames 24 3"]:
    """World positions of a clip's joints, metres."""
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))
    skeleton = body.skeleton(torch.from_numpy(clip.betas[: body.num_betas]))
    return forward_kinematics(rotations, torch.from_numpy(clip.trans), skeleton).joints.numpy()


def frames_of_partner(length: int, needed: int, *, random: np.random.Generator) -> tuple[ndarray, int]:
    """Which frames of a partner's clip fill `needed` frames, and the first of them.

    A longer clip starts anywhere; a shorter one runs to its end and back again.
    """
    if length >= needed:
        start = int(random.integers(length - needed + 1))
        return np.arange(start, start + needed), start
    there_and_back = np.concatenate([np.arange(length), np.arange(length - 2, 0, -1)])
    return np.resize(there_and_back, needed), 0


def turn_and_shift(clip: Clip, body: Body, turn: float, shift: tuple[float, float], pivot: ndarray) -> Clip:
    """The clip turned about a vertical axis through `pivot` (x, y) by `turn` radians, then moved along the ground."""
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    poses = clip.poses.copy()
    root = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses[:, 0]).double())
    poses[:, 0] = roma.rotmat_to_rotvec(matrix @ root).float().numpy()
    # The pelvis is the rest pelvis + trans, and it is the pelvis that turns about the pivot.
    rest = body.skeleton(torch.from_numpy(clip.betas[: body.num_betas])).rest_joints[0].double().numpy()
    centre = np.array([pivot[0], pivot[1], 0.0])
    pelvis = clip.trans.astype(np.float64) + rest - centre
    trans = pelvis @ matrix.numpy().T + centre - rest + np.array([shift[0], shift[1], 0.0])
    return replace(clip, poses=poses, trans=trans.astype(np.float32))


def place_people(
    first: tuple[int, Clip], partners: list[tuple[int, Clip]], body: Body, *, random: np.random.Generator
) -> list[Performer]:
    """The first person where the file has it, the others around it, turned at random, clear of each other.

    first, partners   (number in the motion file, clip); partners are cut or repeated to the first one's frames
    """
    number, clip = first
    placed = [Performer(clip, place_joints(clip, body), number)]
    for number, partner in partners:
        frames, start = frames_of_partner(partner.num_frames, clip.num_frames, random=random)
        cut = replace(partner, poses=partner.poses[frames], trans=partner.trans[frames])
        placed.append(_find_place(cut, number, start, placed, body, random))
    return placed


def clearance(
    one: Float32[ndarray, "frames 24 3"], other: Float32[ndarray, "frames 24 3"]
) -> Float32[ndarray, "frames"]:
    """Smallest distance of each frame between the joints and bone middles of two people, metres."""
    smallest = np.empty(len(one), np.float32)
    for start in range(0, len(one), _BLOCK):
        a, b = _points(one[start : start + _BLOCK]), _points(other[start : start + _BLOCK])
        smallest[start : start + _BLOCK] = torch.cdist(torch.from_numpy(a), torch.from_numpy(b)).amin((1, 2)).numpy()
    return smallest


def _points(joints: ndarray) -> ndarray:
    children = [joint for joint in range(NUM_JOINTS) if PARENTS[joint] >= 0]
    middles = (joints[:, children] + joints[:, [PARENTS[joint] for joint in children]]) / 2
    return np.ascontiguousarray(np.concatenate([joints, middles], 1), np.float32)


def _find_place(
    clip: Clip, number: int, start: int, placed: list[Performer], body: Body, random: np.random.Generator
) -> Performer:
    """Rings around the first person, wider and wider, until the newcomer is clear of all in every frame."""
    joints = place_joints(clip, body)
    middle = joints[:, 0, :2].mean(0)
    around = placed[0].joints[:, 0, :2].mean(0)
    ring = _FIRST_RING
    while True:
        for _ in range(_TRIES):
            turn, bearing = float(random.uniform(-np.pi, np.pi)), random.uniform(-np.pi, np.pi)
            reach = ring * random.uniform(0.7, 1.3)
            goal = around + reach * np.array([np.cos(bearing), np.sin(bearing)])
            shift = (float(goal[0] - middle[0]), float(goal[1] - middle[1]))
            moved = _moved(joints, turn, shift, middle)
            if all(clearance(moved, other.joints).min() >= CLEARANCE for other in placed):
                motion = turn_and_shift(clip, body, turn, shift, middle)
                return Performer(motion, moved, number, start, turn, shift)
        ring *= _WIDER


def _moved(joints: ndarray, turn: float, shift: tuple[float, float], pivot: ndarray) -> ndarray:
    """Joints turned about the vertical through `pivot`, then shifted."""
    cosine, sine = np.cos(turn), np.sin(turn)
    x, y = joints[..., 0] - pivot[0], joints[..., 1] - pivot[1]
    turned = [
        cosine * x - sine * y + pivot[0] + shift[0],
        sine * x + cosine * y + pivot[1] + shift[1],
        joints[..., 2],
    ]
    return np.stack(turned, -1).astype(np.float32)
