"""Clips cut to windows of one length and posed on their own bodies: what every figure is taken from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import roma
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.anatomy import centre_of_mass, joint_range_violation
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import MIRROR_JOINTS, NUM_MOVING_JOINTS, PARENTS
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.evaluation.limbs import limb_angles, turning_speeds
from motiongan.evaluation.recognizer import recognizer_inputs
from motiongan.losses.kinematic import ground_clearance
from motiongan.motion.clip import Clip
from motiongan.motion.features import heading_of

FEWEST_FRAMES = 4  # of a clip; jerk needs them
SHORTEST = 0.6  # s: a rest of a clip shorter than this is no window of its own
MATCH_LENGTH = 0.8  # s: what is compared in the search for the nearest training motion
_MATCH_STEP = 2  # only every second frame of it is looked at, and it may start at every second frame


@dataclass(frozen=True)
class PosedWindows:
    """Clips cut to windows of one length and posed on their own bodies. Metres, radians; padded rows repeat a frame.

    joints, soles    world positions
    mass_centre      of the whole body;  clearance   height of its lowest part above the ground
    violation        radians outside the joints' ranges of motion
    limb_angles, turning_speeds   degrees and degrees/s, order of `motiongan.evaluation.limbs`
    heading, leg_length   to make it free of direction and size
    bone_lengths     of the body at rest, from each joint but the pelvis to its parent
    action_ids       index into the evaluation's actions
    clip_ids, starts the clip that a window is from, as counted in the list given, and its first frame there
    """

    joints: Float[Tensor, "windows frames 24 3"]
    soles: Float[Tensor, "windows frames 4 3"]
    mass_centre: Float[Tensor, "windows frames 3"]
    clearance: Float[Tensor, "windows frames"]
    violation: Float[Tensor, "windows frames 24"]
    limb_angles: Float[Tensor, "windows frames limbs 2"]
    turning_speeds: Float[Tensor, "windows frames joints 2"]
    heading: Float[Tensor, "windows frames"]
    leg_length: Float[Tensor, "windows"]
    bone_lengths: Float[Tensor, "windows 23"]
    mask: Bool[Tensor, "windows frames"]
    action_ids: Int64[Tensor, "windows"]
    clip_ids: Int64[Tensor, "windows"]
    starts: Int64[Tensor, "windows"]
    frame_rate: float

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, rows: Tensor) -> "PosedWindows":
        """Some of the windows."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "frame_rate"}
        return replace(self, **{name: value[rows] for name, value in tensors.items()})

    def inputs(self) -> Float[Tensor, "windows frames channels"]:
        """What the recognizer sees."""
        return self._inputs

    @cached_property
    def _inputs(self) -> Tensor:
        return recognizer_inputs(self.joints, self.heading, self.leg_length, self.frame_rate)

    def root_free_joints(self) -> Float[Tensor, "windows frames joints 3"]:
        """Joints from the point under the pelvis, in the heading frame, in leg lengths."""
        return self._inputs.unflatten(2, (2, NUM_MOVING_JOINTS, 3))[:, :, 0]


def pose_windows(
    clips: Sequence[Clip],
    body: Body,
    *,
    actions: Sequence[str],
    frames: int,
    overlap: bool = False,
) -> PosedWindows:
    """The clips of `actions`, cut to windows of at most `frames` frames; none of clips under `FEWEST_FRAMES`.

    A shorter clip stays whole; what is left at the end of a longer one counts from `SHORTEST` seconds on.
    overlap   let windows begin every half window: more to train on, none to count twice
    """
    known = {action: index for index, action in enumerate(actions)}
    usable = [number for number, clip in enumerate(clips) if clip.action in known and clip.num_frames >= FEWEST_FRAMES]
    rates = {clips[number].frame_rate for number in usable}
    if len(rates) > 1:
        raise MotionganError(f"clips of {sorted(rates)} Hz cannot be compared; import them at one --frame-rate")
    if not usable:
        raise MotionganError(f"no clip of {', '.join(actions)} to evaluate")
    frame_rate = rates.pop()
    cuts = [
        (number, start, stop)
        for number in usable
        for start, stop in _cuts(clips[number].num_frames, frames, frame_rate, overlap)
    ]
    pieces = [(clips[number], start, stop) for number, start, stop in cuts]
    rows = [torch.arange(start, start + frames).clamp(max=stop - 1) for _, start, stop in pieces]
    poses = torch.stack([torch.from_numpy(clip.poses)[row] for (clip, _, _), row in zip(pieces, rows)])
    trans = torch.stack([torch.from_numpy(clip.trans)[row] for (clip, _, _), row in zip(pieces, rows)])
    skeleton = body.skeleton(torch.stack([torch.from_numpy(clip.betas) for clip, _, _ in pieces])[:, : body.num_betas])
    parts = [
        _pose(part_poses, part_trans, Skeleton(part_joints, part_soles).unsqueeze(1), frame_rate)
        for part_poses, part_trans, part_joints, part_soles in zip(
            poses.split(256), trans.split(256), skeleton.rest_joints.split(256), skeleton.rest_soles.split(256)
        )
    ]
    lengths = torch.tensor([stop - start for _, start, stop in pieces])
    return PosedWindows(
        **{name: torch.cat([part[name] for part in parts]) for name in parts[0]},
        leg_length=skeleton.leg_length,
        bone_lengths=(skeleton.rest_joints[:, 1:] - skeleton.rest_joints[:, list(PARENTS[1:])]).norm(dim=-1),
        mask=torch.arange(frames) < lengths[:, None],
        action_ids=torch.tensor([known[clip.action] for clip, _, _ in pieces if clip.action is not None]),
        clip_ids=torch.tensor([number for number, _, _ in cuts]),
        starts=torch.tensor([start for _, start, _ in cuts]),
        frame_rate=frame_rate,
    )


def _pose(poses: Tensor, trans: Tensor, skeleton: Skeleton, frame_rate: float) -> dict[str, Tensor]:
    rotations = roma.rotvec_to_rotmat(poses)
    posed = forward_kinematics(rotations, trans, skeleton)
    return {
        "joints": posed.joints,
        "soles": posed.soles,
        "mass_centre": centre_of_mass(posed.joints),
        "clearance": ground_clearance(posed.joints, posed.soles),
        "violation": joint_range_violation(rotations),
        "limb_angles": limb_angles(rotations, posed.joints),
        "turning_speeds": turning_speeds(rotations, frame_rate),
        "heading": heading_of(rotations[:, :, 0]),
    }


def _cuts(num_frames: int, frames: int, frame_rate: float, overlap: bool) -> list[tuple[int, int]]:
    """(start, stop) of the windows of a clip."""
    if num_frames <= frames:
        return [(0, num_frames)]
    starts = range(0, num_frames, max(1, frames // 2) if overlap else frames)
    cuts = [(start, min(start + frames, num_frames)) for start in starts]
    return [(start, stop) for start, stop in cuts if stop - start >= min(frames, SHORTEST * frame_rate)]


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of `MATCH_LENGTH`, for the search of like motion.

    values        root-free joints of every second frame as one vector, in leg lengths
    rows, begins  the window that a piece is from, and its first frame there
    """

    values: Float[Tensor, "segments values"]
    rows: Int64[Tensor, "segments"]
    begins: Int64[Tensor, "segments"]

    def mirrored(self) -> Float[Tensor, "segments values"]:
        """The values of the pieces as a mirror shows them: left and right joints swapped, the left axis (y) negated."""
        points = self.values.unflatten(1, (-1, NUM_MOVING_JOINTS, 3))[:, :, list(MIRROR_JOINTS[:NUM_MOVING_JOINTS])]
        return (points * points.new_tensor([1.0, -1.0, 1.0])).flatten(1)


def segments(windows: PosedWindows, *, every_start: bool) -> Segments:
    """The middle of every window that is long enough, or pieces that begin at every second of its frames."""
    length = max(2, round(MATCH_LENGTH * windows.frame_rate))
    joints = windows.root_free_joints().flatten(2)
    lengths = windows.mask.sum(1)
    offsets = torch.arange(0, length, _MATCH_STEP)
    values, rows, begins = [], [], []
    last = lengths - length
    for start in range(0, int(last.max()) + 1, _MATCH_STEP) if every_start else [None]:
        fits = (last >= (0 if start is None else start)).nonzero()[:, 0]
        # A middle begins where a piece may begin that is searched, so that a copy is found at 0.
        middle = last[fits] // 2 // _MATCH_STEP * _MATCH_STEP
        begin = middle if start is None else torch.full_like(fits, start)
        values.append(joints[fits[:, None], begin[:, None] + offsets].flatten(1))
        rows.append(fits)
        begins.append(begin)
    if not values:
        none = torch.zeros(0, dtype=torch.long)
        return Segments(joints.new_zeros(0, len(offsets) * joints.shape[-1]), none, none)
    return Segments(torch.cat(values), torch.cat(rows), torch.cat(begins))
