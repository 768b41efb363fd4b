"""Variations of captured clips, without a model: other speeds, sides, posture, reach; if wanted, other arms, bodies.

For those who have too few clips to train on, or want to stay near the ones that they have.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from roma import rotvec_to_rotmat
from torch import Tensor

from motiongan.body.kinematics import BoneShape, Skeleton
from motiongan.generation.generate import clip_seed
from motiongan.motion.actions import mirrored_action
from motiongan.motion.check import MAX_BETA
from motiongan.motion.clip import Clip
from motiongan.motion.features import axis_angle_of, decode, encode, heading_of, mirror, rotation_about_z
from motiongan.motion.resample import at_speed
from motiongan.motion.variants import CALMER, LEAST_SHARE, MOST_SHARE, Blend, Source, Variant, make_variants

log = logging.getLogger(__name__)

FASTEST = 1.1  # a variation plays at a speed between 1 / FASTEST and FASTEST
_BATCH_FRAMES = 1 << 13  # of the clips that are varied at once
_ATTEMPTS = 6  # draws of a variation that is not sound; the last one takes nothing from other clips
_CALMEST = 2  # times that shares shrink from draw to draw: farther, a variation would hardly be one
_BORROWING = 3  # trunk, left arm, right arm


def vary(
    clips: Sequence[Clip],
    skeletons: Sequence[Skeleton],
    n: int,
    *,
    seed: int,
    recombine: bool = False,
    bones: BoneShape | None = None,
) -> Iterator[Clip]:
    """`n` variations of every clip, clip after clip, labelled as it is.

    Half of them are mirrored, unless the action's name has a side ("kick_left") and no clip is of the other one.
    What is not sound is drawn again, with a smaller share of the other clip's posture.
    Variation k of clip i depends on (seed, i, k), the clips and the options. A warning tells how many were given up:
    they vary in speed and side alone, since nothing that was drawn for them came out sound.

    clips       labelled, of one frame rate, each of two frames or more; skeletons   theirs
    recombine   legs as captured; trunk and each arm move as in any clip of the action, from any time on: out of step
                with the legs. Without it, the whole body takes on another clip's posture and reach
                (`motiongan.motion.variants`)
    bones       of the clips' body model: each variation is of a body of its own, whose betas lie around the clip's by
                one standard deviation; its steps grow with its legs. None: on the clip's own body
    """
    troupe = _Troupe(clips, skeletons, recombine, bones)
    batch: list[_Part] = []
    frames = 0
    for clip, take in product(range(len(clips)), range(n)):
        if batch and frames + clips[clip].num_frames > _BATCH_FRAMES:
            yield from troupe.perform(batch)
            batch, frames = [], 0
        batch.append(troupe.cast(clip, clip_seed(seed, clip, take)))
        frames += clips[clip].num_frames
    yield from troupe.perform(batch)
    if troupe.given_up:
        log.warning(
            "%d of %d variations change speed and side alone: no sound one was found", troupe.given_up, n * len(clips)
        )


class _Part:
    """A variation to make: of which clip, on which body, and the random numbers that the rest of it comes from."""

    def __init__(self, clip: int, seed: int, betas: Float[np.ndarray, "10"], skeleton: Skeleton) -> None:
        self.clip, self.seed, self.betas, self.skeleton = clip, seed, betas, skeleton
        self.random = np.random.default_rng(seed)
        self.speed = math.exp(self.random.uniform(-1, 1) * math.log(FASTEST))
        self.is_mirrored = bool(self.random.random() < 0.5)


class _Troupe:
    """The clips, and what is made of them."""

    def __init__(
        self, clips: Sequence[Clip], skeletons: Sequence[Skeleton], recombine: bool, bones: BoneShape | None
    ) -> None:
        self.clips, self.skeletons, self.recombine, self.bones = clips, skeletons, recombine, bones
        self.given_up = 0
        self.of_action: dict[str, list[int]] = defaultdict(list)
        for number, clip in enumerate(clips):
            self.of_action[str(clip.action)].append(number)

    def cast(self, clip: int, seed: int) -> _Part:
        """A variation of a clip, on its own body or on another around it."""
        betas, skeleton = self.clips[clip].betas, self.skeletons[clip]
        if self.bones is not None:
            # Draws of their own: the movement of a seed is the same on every body.
            normal = np.random.default_rng(seed ^ 1).standard_normal(len(betas))
            betas = np.clip(betas + normal, -MAX_BETA, MAX_BETA).astype(np.float32)
            skeleton = self.bones.skeleton(torch.from_numpy(betas))
        return _Part(clip, seed, betas, skeleton)

    def perform(self, parts: Sequence[_Part]) -> list[Clip]:
        """The variations, in the order of their parts."""
        made: dict[int, Clip] = {}
        for attempt in range(_ATTEMPTS):
            is_last = attempt == _ATTEMPTS - 1
            pending = [number for number in range(len(parts)) if number not in made]
            if not pending:
                break
            drawn = [Blend(parts[number].clip, parts[number].clip, 0.0) for number in pending]
            if is_last:
                self.given_up += len(pending)
            else:
                drawn = [self._draw(parts[number], CALMER ** min(attempt, _CALMEST)) for number in pending]
            played = [self._played(parts[number]) for number in pending]
            lenders = sorted({number for one in drawn for number in (one.other, *(clip for clip, _ in one.borrowed))})
            place = {number: len(played) + index for index, number in enumerate(lenders)}
            blends = [
                Blend(index, place[one.other], one.share, tuple((place[clip], start) for clip, start in one.borrowed))
                for index, one in enumerate(drawn)
            ]
            sources = [*played, *(self._source(number) for number in lenders)]
            for variant in make_variants(sources, blends, self.clips[0].frame_rate):
                if variant.is_sound or is_last:
                    made[pending[variant.number]] = self._clip(parts[pending[variant.number]], variant)
        return [made[number] for number in range(len(parts))]

    def _draw(self, part: _Part, calmness: float) -> Blend:
        """From which clips the part takes what, by their numbers here; an action's only clip has but itself.

        calmness   factor of the share of another clip's posture
        """
        same = self.of_action[str(self.clips[part.clip].action)]
        if self.recombine:
            lenders = part.random.choice(same, _BORROWING).tolist()
            starts = [self._start(part, lender) for lender in lenders]
            return Blend(part.clip, part.clip, 0.0, tuple(zip(lenders, starts)))
        other = part.random.choice([number for number in same if number != part.clip] or same)
        return Blend(part.clip, int(other), calmness * part.random.uniform(LEAST_SHARE, MOST_SHARE))

    def _start(self, part: _Part, lender: int) -> int:
        """A frame of the lender; one from which on it lasts as long as the part, if it is long enough."""
        room = self.clips[lender].num_frames - math.ceil(FASTEST * self.clips[part.clip].num_frames)
        return int(part.random.integers(room if room > 0 else self.clips[lender].num_frames))

    def _source(self, number: int, speed: float = 1.0) -> Source:
        """A clip as it is, or played at another speed."""
        clip, skeleton = at_speed(self.clips[number], speed), self.skeletons[number]
        features = encode(torch.from_numpy(clip.poses), torch.from_numpy(clip.trans), skeleton, clip.frame_rate)
        return Source(features, skeleton, str(clip.action), number)

    def _played(self, part: _Part) -> Source:
        """The part's clip at its speed, on its body; features, being in leg lengths, do for any."""
        return replace(self._source(part.clip, part.speed), skeleton=part.skeleton)

    def _clip(self, part: _Part, variant: Variant) -> Clip:
        """The variation, from where its clip starts and facing as it does there."""
        clip, skeleton = self.clips[part.clip], part.skeleton
        poses, trans, action = variant.poses, variant.trans, str(clip.action)
        if part.is_mirrored and mirrored_action(action) in self.of_action:
            action = mirrored_action(action)
            features = mirror(encode(poses, trans, skeleton, clip.frame_rate))
            motion = decode(features[None], skeleton, clip.frame_rate, plant_feet=False)
            poses, trans = motion.poses[0], motion.trans[0]
        poses, trans = _placed(poses, trans, clip, skeleton)
        return replace(
            clip,
            poses=poses.numpy(),
            trans=trans.numpy(),
            betas=part.betas,
            action=action,
            source=f"variation of {clip.source}" if clip.source else "variation",
            seed=part.seed,
            quality={},
        )


def _placed(
    poses: Float[Tensor, "frames 24 3"], trans: Float[Tensor, "frames 3"], clip: Clip, skeleton: Skeleton
) -> tuple[Float[Tensor, "frames 24 3"], Float[Tensor, "frames 3"]]:
    """The motion turned and moved on the ground so that it begins where the clip does, facing the same way."""
    root, start = rotvec_to_rotmat(poses[:, 0]), rotvec_to_rotmat(torch.from_numpy(clip.poses[:1, 0]))
    turn = rotation_about_z(heading_of(start)[0] - heading_of(root[:1])[0])
    rest = skeleton.rest_joints[0]
    pelvis = trans + rest
    placed = (pelvis - pelvis[0]) @ turn.mT
    placed[:, :2] += torch.from_numpy(clip.trans[0, :2]) + rest[:2]
    placed[:, 2] += pelvis[0, 2]
    poses = poses.clone()
    poses[:, 0] = axis_angle_of(turn @ root)
    return poses, placed - rest
