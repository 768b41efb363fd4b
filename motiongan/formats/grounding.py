"""Feet on the ground: soles made level where they stand, and the height of the floor under a clip."""

from collections.abc import Sequence

import numpy as np
import roma
import torch
from jaxtyping import Float64
from numpy import ndarray

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import SOLE_JOINTS
from motiongan.body.smpl import Body
from motiongan.formats.retarget import body_skeleton
from motiongan.motion.clip import Clip

_STANDING_SPEED = 0.25  # m/s of a sole point that carries weight
_LEVEL_SPEED = 0.15  # m/s
_MOST_SOLE_TURN = np.radians(20.0)


def level_soles(clips: Sequence[Clip], body: Body) -> Float64[ndarray, "4 3 3"]:
    """Constant turns of ankles and toe joints (order of `SOLE_JOINTS`) that make one person's soles level in stance.

    Files rest with feet that are level only about, and solvers leave each person's feet tilted by some degrees.
    A foot stands where heel and ball move slower than 0.15 m/s for 0.25 s in all and lie within 6 cm of the lowest such
    place. Turns beyond 20 degrees are not believed and cut to that.
    """
    ups: list[list[ndarray]] = [[] for _ in SOLE_JOINTS]
    for clip in clips:
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
        trans = torch.from_numpy(clip.trans).double()
        posed = forward_kinematics(rotations, trans, body_skeleton(body, clip.betas))
        soles, world = posed.soles.numpy(), posed.rotations.numpy()
        if len(soles) < 3:
            continue
        speed = np.linalg.norm(np.gradient(soles, axis=0), axis=-1) * clip.frame_rate
        for heel, ball in ((0, 2), (1, 3)):
            height = soles[:, [heel, ball], 2].max(1)
            still = (speed[:, [heel, ball]] < _LEVEL_SPEED).all(1)
            if still.sum() < 0.25 * clip.frame_rate:
                continue
            stands = still & (height < np.quantile(height[still], 0.05) + 0.06)
            for sole in (heel, ball):
                ups[sole].append(world[stands, SOLE_JOINTS[sole], 2])  # the world's up, in the joint's own axes
    turns = np.tile(np.eye(3), (len(SOLE_JOINTS), 1, 1))
    for sole, found in enumerate(ups):
        if not found:
            continue
        up = np.median(np.concatenate(found), axis=0)
        angle = np.arctan2(np.hypot(up[0], up[2]), up[1])
        if angle > 1e-9:
            axis = np.array([up[2], 0.0, -up[0]]) / np.hypot(up[0], up[2])  # from the joint's Y to the world's up
            turns[sole] = roma.rotvec_to_rotmat(torch.from_numpy(axis * min(angle, _MOST_SOLE_TURN))).numpy()
    return turns


def find_floor(clip: Clip, body: Body) -> float | None:
    """Height of the ground under a clip, metres: the median height of the lowest sole point while it stands still.

    Counted are frames whose lowest sole point moves slower than 0.25 m/s and lies within 15 cm of the lowest such
    place (so that a step or a chair is not averaged in); None where nothing ever stands still.
    """
    if clip.num_frames < 3 or not np.isfinite(clip.trans).all() or not np.isfinite(clip.poses).all():
        return None
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
    posed = forward_kinematics(rotations, torch.from_numpy(clip.trans).double(), body_skeleton(body, clip.betas))
    soles = posed.soles.numpy()
    speed = np.linalg.norm(np.gradient(soles, axis=0), axis=-1) * clip.frame_rate
    lowest = soles[..., 2].argmin(1)
    frames = np.arange(len(soles))
    heights = soles[frames, lowest, 2][speed[frames, lowest] < _STANDING_SPEED]
    if len(heights) < 3:
        return None
    return float(np.median(heights[heights <= np.quantile(heights, 0.02) + 0.15]))
