"""What pose lifters train on: Human3.6M's 17 joints of every clip, and four cameras that look at them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray

from motiongan.body.joint_sets import JOINT_SETS
from motiongan.errors import MotionganError
from motiongan.exports.cameras import FixedCamera, cameras_around
from motiongan.exports.selection import Export, NamedClip, plain

JOINTS = JOINT_SETS["h36m17"]


@dataclass(frozen=True, eq=False)
class Capture:
    """One clip in a room of its own, as a capture would have it.

    subject     the person, in letters that no trainer takes apart
    cameras     four, drawn for this clip and as near as sees it whole
    positions   (frames, 17, 3) world joints, metres, Z up; the clip's middle stands over the origin
    """

    named: NamedClip
    subject: str
    cameras: list[FixedCamera]
    positions: Float64[ndarray, "frames 17 3"]

    @property
    def action(self) -> str:
        """The action and, after a blank, the clip: "kick_left 00012", as in "Walking 1"; unlike any other clip's."""
        return f"{plain(self.named.clip.action or '') or 'unlabelled'} {self.named.tag.replace('_', '-')}"


def captures(export: Export, on_clip: Callable[[NamedClip], None]) -> Iterator[Capture]:
    """Every clip with its cameras, the body's joints as Human3.6M counts them.

    Raises MotionganError where the body file names no top of the head, which Human3.6M's head joint needs.
    """
    missing = [name for name, known in zip(JOINTS.names, JOINTS.known(export.body)) if not known]
    if missing:
        raise MotionganError(
            f"{export.options.body}: names no landmarks for {', '.join(missing)}; leave --body out, or give a file of"
            " SMPL, SMPL-H or SMPL-X"
        )
    for named in export.clips():
        positions = _positions(export, named)
        tag = named.tag.replace("_", "-")
        cameras = cameras_around(positions, seed=export.options.seed, name=tag)
        yield Capture(named, plain(named.clip.subject).replace("_", "-") or "unknown", cameras, positions)
        on_clip(named)


def _positions(export: Export, named: NamedClip) -> Float64[ndarray, "frames 17 3"]:
    clip = named.clip
    poses, trans = torch.from_numpy(clip.poses).double(), torch.from_numpy(clip.trans).double()
    placed = JOINTS.place(export.body, poses, trans, export.betas(clip)).numpy()
    middle = (placed[..., :2].min((0, 1)) + placed[..., :2].max((0, 1))) / 2
    placed[..., :2] -= middle
    return np.asarray(placed)
