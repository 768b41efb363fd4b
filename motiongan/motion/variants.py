"""Clips that nobody performed: a clip with a share of another's posture and reach, legs too, walking on its own feet.

Legs that bend deeper or reach wider take other steps. The feet that stood still stand, and carry the root (`decode`
with planted feet); what they still creep is taken up by the legs (`settle`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.anatomy import joint_range_violation
from motiongan.body.kinematics import Skeleton
from motiongan.motion.features import decode, encode
from motiongan.motion.footing import settle
from motiongan.motion.posture import WHOLE_BODY, Postures

_BATCH_FRAMES = 1 << 14  # decoded at once at most: some 0.3 GB
_LEAST_SHARE, _MOST_SHARE = 0.5, 1.25  # of the other's posture and reach
_MOST_EXCESS = 0.01  # rad, mean over joints and frames: further out of the joints' ranges than its source a clip is not


@dataclass(frozen=True)
class Source:
    """A captured clip at one speed.

    features   (frames, 140), not normalised
    clip       number of the captured clip: the same at every speed
    """

    features: Float[Tensor, "frames 140"]
    skeleton: Skeleton
    action: str
    clip: int


def mixed_variants(
    sources: Sequence[Source], count: int, frame_rate: float, *, generator: torch.Generator
) -> list[tuple[int, Float[Tensor, "_ 140"]]]:
    """Up to `count` variants of every source that has company: the source's number and the variant's features.

    Partner and share are drawn for each; one whose joints leave their ranges is dropped. Of an action that was captured
    once there is none.
    """
    postures = Postures([source.features for source in sources], torch.device("cpu"), WHOLE_BODY)
    starts = torch.tensor([0] + [len(source.features) for source in sources]).cumsum(0)
    made: list[tuple[int, Tensor]] = []
    for jobs in _batches(_jobs(sources, count, generator), sources):
        clips, others = torch.tensor([job.clip for job in jobs]), torch.tensor([job.other for job in jobs])
        lengths = torch.tensor([len(sources[job.clip].features) for job in jobs])
        offsets = torch.minimum(torch.arange(int(lengths.max())), lengths[:, None] - 1)
        frames = torch.stack([sources[job.clip].features[row] for job, row in zip(jobs, offsets)])
        share = torch.tensor([job.share for job in jobs])
        mixed = postures.mix(frames, starts[clips][:, None] + offsets, clips, others, share)
        skeleton = _stacked([sources[job.clip].skeleton for job in jobs])
        settled = settle(decode(mixed, skeleton, frame_rate), skeleton, frame_rate)
        source = decode(frames, skeleton, frame_rate, plant_feet=False)
        excess = _out_of_range(roma.rotvec_to_rotmat(settled.poses)) - _out_of_range(source.local_rotations)
        for row, (job, length) in enumerate(zip(jobs, lengths.tolist())):
            if excess[row, :length].mean() < _MOST_EXCESS:
                poses, trans = settled.poses[row, :length], settled.trans[row, :length]
                made.append((job.clip, encode(poses, trans, sources[job.clip].skeleton, frame_rate)))
    return made


@dataclass(frozen=True)
class _Job:
    """A variant to make: of which source, towards which other one, and how far."""

    clip: int
    other: int
    share: float


def _jobs(sources: Sequence[Source], count: int, generator: torch.Generator) -> Iterator[_Job]:
    """`count` partners for each source, of its action and from another clip."""
    for number, source in enumerate(sources):
        company = [
            other for other, one in enumerate(sources) if one.action == source.action and one.clip != source.clip
        ]
        if company:
            choices = torch.randint(len(company), (count,), generator=generator).tolist()
            shares = _LEAST_SHARE + (_MOST_SHARE - _LEAST_SHARE) * torch.rand(count, generator=generator)
            yield from (_Job(number, company[choice], share) for choice, share in zip(choices, shares.tolist()))


def _batches(jobs: Iterable[_Job], sources: Sequence[Source]) -> Iterator[list[_Job]]:
    """The jobs in batches of nearly equally long clips, at most `_BATCH_FRAMES` with what fills them up."""
    batch: list[_Job] = []
    for job in sorted(jobs, key=lambda job: len(sources[job.clip].features)):
        if batch and (len(batch) + 1) * len(sources[job.clip].features) > _BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


def _stacked(skeletons: Sequence[Skeleton]) -> Skeleton:
    return Skeleton(
        torch.stack([each.rest_joints for each in skeletons]), torch.stack([each.rest_soles for each in skeletons])
    )


def _out_of_range(rotations: Float[Tensor, "batch frames 24 3 3"]) -> Float[Tensor, "batch frames"]:
    """Radians out of range, mean over the joints."""
    return joint_range_violation(rotations).mean(-1)
