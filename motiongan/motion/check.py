"""What is wrong with the clips of a motion file: the walk behind `motiongan info --check`."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT_NAMES
from motiongan.errors import MotionganError
from motiongan.motion.clip import Clip
from motiongan.motion.store import KINDS, MotionFile

# Limits beyond what people do; what passes them is a fault of the file, not a rare motion.
_MAX_ROOT_SPEED = 20.0  # m/s; the fastest sprinters reach 12.4
_MAX_TURN = 2.8  # radians from one frame to the next, at low frame rates; at 30 Hz a thrower's wrist reaches 2.7
_MAX_TURN_SPEED = 150.0  # rad/s, at high ones; a pitcher's shoulder reaches about 130
_MAX_ANGLE = 2 * np.pi + 1e-3  # radians of one axis-angle; a rotation longer than a full turn is no rotation we write
MAX_BETA = 10.0  # standard deviations
_LEG_LENGTHS = (0.3, 1.4)  # metres from sole to pelvis: small children to the tallest adults
_MAX_SINKING = 0.25  # metres of a sole below the ground
_BLOCK_FRAMES = 16384  # frames posed at once


def find_problems(file: MotionFile, skeleton: Callable[[Tensor], Skeleton]) -> Iterator[str]:
    """One line for each thing wrong in the file, clip by clip; nothing for a sound one. Reads every frame.

    skeleton   from betas (clips, 10) to bones, such as `body.skeleton`
    """
    if file.kind not in KINDS:
        yield f"attribute kind is {file.kind!r}, expected one of {', '.join(KINDS)}"
    block: list[tuple[str, Clip]] = []
    frames = 0
    for index in range(len(file)):
        try:
            clip = file[index]
        except MotionganError as error:
            yield str(error).removeprefix(f"{file.path}: ")
            continue
        name = f"clip {index} ({', '.join(text for text in (clip.action or 'no label', clip.source) if text)})"
        problems = list(_array_problems(clip))
        yield from (f"{name}: {problem}" for problem in problems)
        if not problems:  # what is not even numbers cannot be posed
            block.append((name, clip))
            frames += clip.num_frames
        if frames >= _BLOCK_FRAMES:
            yield from _pose_problems(block, skeleton)
            block, frames = [], 0
    if block:
        yield from _pose_problems(block, skeleton)


def _array_problems(clip: Clip) -> Iterator[str]:
    """What shows in the numbers alone; the first of each kind."""
    if clip.num_frames == 0:
        yield "has no frames"
        return
    broken = ~(np.isfinite(clip.poses).all(axis=(1, 2)) & np.isfinite(clip.trans).all(axis=1))
    if broken.any():
        yield f"NaN or infinite numbers in {int(broken.sum())} frames, first in frame {int(broken.argmax())}"
    if not np.isfinite(clip.betas).all() or np.abs(clip.betas).max() > MAX_BETA:
        yield f"betas reach {np.abs(clip.betas).max():.1f}, expected within {MAX_BETA:.0f} standard deviations"
    if broken.any():
        return
    angles = np.linalg.norm(clip.poses, axis=2)
    if (frame_joint := _first(angles > _MAX_ANGLE)) is not None:
        frame, joint = frame_joint
        yield (
            f"{JOINT_NAMES[joint]} is turned by {angles[frame, joint]:.2f} rad in frame {frame},"
            f" expected a rotation vector of at most 2 pi"
        )
    speeds = np.linalg.norm(np.diff(clip.trans, axis=0), axis=1) * clip.frame_rate
    if (at := _first(speeds > _MAX_ROOT_SPEED)) is not None:
        (frame,) = at
        yield f"the root jumps {speeds[frame] / clip.frame_rate:.2f} m between frames {frame} and {frame + 1}"
    turns = _turns(clip.poses)
    if (frame_joint := _first(turns > min(_MAX_TURN, _MAX_TURN_SPEED / clip.frame_rate))) is not None:
        frame, joint = frame_joint
        yield f"{JOINT_NAMES[joint]} jumps {turns[frame, joint]:.2f} rad between frames {frame} and {frame + 1}"


def _pose_problems(block: list[tuple[str, Clip]], skeleton: Callable[[Tensor], Skeleton]) -> Iterator[str]:
    """What shows on the body; all clips of the block are posed at once."""
    import roma

    clips = [clip for _, clip in block]
    lengths = [clip.num_frames for clip in clips]
    bones = skeleton(torch.from_numpy(np.stack([clip.betas for clip in clips])))
    clip_of_frame = torch.repeat_interleave(torch.arange(len(clips)), torch.tensor(lengths))
    posed = forward_kinematics(
        roma.rotvec_to_rotmat(torch.from_numpy(np.concatenate([clip.poses for clip in clips]))),
        torch.from_numpy(np.concatenate([clip.trans for clip in clips])),
        Skeleton(bones.rest_joints[clip_of_frame], bones.rest_soles[clip_of_frame]),
    )
    heights = posed.soles[..., 2].amin(-1).split(lengths)
    for (name, _), height, leg in zip(block, heights, bones.leg_length.tolist()):
        if not _LEG_LENGTHS[0] <= leg <= _LEG_LENGTHS[1]:
            yield f"{name}: betas make legs of {leg:.2f} m, expected {_LEG_LENGTHS[0]} to {_LEG_LENGTHS[1]} m"
        if (lowest := float(height.min())) < -_MAX_SINKING:
            yield f"{name}: feet {-lowest:.2f} m below the ground in frame {int(height.argmin())}"


def _turns(poses: ndarray) -> ndarray:
    """(frames - 1, 24) radians between each joint's rotations in successive frames."""
    import roma

    quaternions = roma.rotvec_to_unitquat(torch.from_numpy(poses))
    return roma.unitquat_geodesic_distance(quaternions[1:], quaternions[:-1]).numpy()


def _first(mask: ndarray) -> tuple[int, ...] | None:
    """Index of the first True, or None."""
    flat = int(mask.argmax()) if mask.size else 0
    if not mask.size or not mask.ravel()[flat]:
        return None
    return tuple(int(index) for index in np.unravel_index(flat, mask.shape))
