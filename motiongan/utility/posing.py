"""Clips posed once as joint positions, and the windows of them that a lifter is trained and tested on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.motion.clip import Clip
from motiongan.utility.perturbation import JOINTS, Perturbation
from motiongan.utility.trainings import content_hash

FIELD = 27  # frames that a lifter sees round each frame that it places
BLOCK = 17  # frames of a test window that are placed, all under one camera


@dataclass(frozen=True, eq=False)
class PosedClips:
    """World positions of clips, one clip after another. Metres, Z up.

    joints          of all frames
    starts, lengths frames of each clip
    action_ids      of each clip, index into the experiment's actions
    """

    joints: Float[Tensor, "frames points 3"]
    starts: Int64[Tensor, "clips"]
    lengths: Int64[Tensor, "clips"]
    action_ids: Int64[Tensor, "clips"]

    def __len__(self) -> int:
        return len(self.lengths)

    def content_hash(self) -> str:
        """Of all that they hold."""
        return content_hash(self.joints, self.starts, self.lengths, self.action_ids)

    def draw(
        self, count: int, perturbation: Perturbation | None, *, generator: torch.Generator
    ) -> Float[Tensor, "count 27 points 3"]:
        """Random windows: an action (all alike), a clip of it by its length, any frame of it as the middle one.

        Beyond its ends a clip stands still, in training as in the test. Frames between frames are on straight lines.
        """
        frames_of = torch.zeros(int(self.action_ids.max()) + 1).index_add(0, self.action_ids, self.lengths.float())
        weights = self.lengths / frames_of[self.action_ids]
        clips = torch.multinomial(weights, count, replacement=True, generator=generator)
        middle = (torch.rand(count, generator=generator) * self.lengths[clips]).long()
        if perturbation is None:
            steps = torch.arange(FIELD) - FIELD // 2
            return self.joints[self._rows(clips, middle[:, None] + steps)]
        times = middle[:, None] + perturbation.times(count, FIELD, generator=generator)
        before = times.floor()
        share = (times - before)[:, :, None, None]
        low, high = (self.joints[self._rows(clips, (before + step).long())] for step in (0, 1))
        return perturbation.apply(low + share * (high - low), generator=generator)

    def _rows(self, clips: Tensor, frames: Tensor) -> Tensor:
        last = self.lengths[clips][:, None] - 1
        return self.starts[clips][:, None] + torch.minimum(frames.clamp(min=0), last)

    def blocks(self) -> "Blocks":
        """All frames of all clips in test windows of `BLOCK` frames, with half a `FIELD` more on both sides."""
        counts = (self.lengths + BLOCK - 1) // BLOCK
        clips = torch.repeat_interleave(torch.arange(len(self)), counts)
        firsts = torch.cat([torch.arange(int(count)) * BLOCK for count in counts])
        frames = firsts[:, None] + torch.arange(BLOCK + FIELD - 1) - FIELD // 2
        valid = firsts[:, None] + torch.arange(BLOCK) < self.lengths[clips][:, None]
        return Blocks(self.joints[self._rows(clips, frames)], valid, clips)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Test windows: what is seen of each, which of its middle `BLOCK` frames the clip has, and the clip's number."""

    joints: Float[Tensor, "blocks frames points 3"]
    valid: Bool[Tensor, "blocks placed"]
    clips: Int64[Tensor, "blocks"]


def pose_clips(clips: Sequence[Clip], body: Body, actions: Sequence[str]) -> PosedClips:
    """The clips on their own bodies. Raises MotionganError where the body lacks the landmarks of the joint set."""
    joint_set = JOINT_SETS[JOINTS]
    if not bool(joint_set.known(body).all()):
        lost = [name for name, known in zip(joint_set.names, joint_set.known(body)) if not known]
        raise MotionganError(f"the {body.name} body has no landmark for {', '.join(lost)}; give another --body")
    placed = [
        joint_set.place(
            body,
            torch.from_numpy(clip.poses),
            torch.from_numpy(clip.trans),
            torch.from_numpy(clip.betas)[: body.num_betas],
        )
        for clip in clips
    ]
    lengths = torch.tensor([clip.num_frames for clip in clips])
    index = {action: number for number, action in enumerate(actions)}
    return PosedClips(
        joints=torch.cat(placed),
        starts=torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]]),
        lengths=lengths,
        action_ids=torch.tensor([index[str(clip.action)] for clip in clips]),
    )
