"""Clips that nobody performed: a clip with a share of another's posture and reach, legs too, on its own feet.

Legs that bend deeper or reach wider take other steps. The feet that stood still stand, and carry the root (`decode`
with planted feet); what they still creep is taken up by the legs (`settle`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.body.anatomy import centre_of_mass, joint_range_violation, off_balance
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.motion.features import ROTATIONS, decode, encode
from motiongan.motion.footing import settle
from motiongan.motion.posture import LEFT_ARM, LOWER_BODY, RIGHT_ARM, TRUNK, UPPER_BODY, Postures

_BATCH_FRAMES = 1 << 14  # decoded at once at most: some 0.3 GB
LEAST_SHARE, MOST_SHARE = 0.5, 1.25  # of the other's posture and reach
_ROUNDS = 2  # of drawing mixtures
_MOST_EXCESS = 0.01  # rad, mean over joints and frames: further out of the joints' ranges than its source a clip is not
_MOST_LEANING = 0.02  # m, mean over the frames in which the body stands: further out of balance neither


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


@dataclass(frozen=True)
class Mixture:
    """A variant to make; clips are numbers of sources.

    clip      whose variant it is: it gives legs, path and length
    other     whose posture and reach it takes on, by `share` (0 none, 1 all)
    borrowed  for the trunk, the left and the right arm: the clip that they move as in, and from which of its frames on;
              empty: they move as in `clip`. What is borrowed keeps its own posture
    """

    clip: int
    other: int
    share: float
    borrowed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Variant:
    """What came of a mixture.

    number          of the mixture
    is_sound        its joints stay in their ranges, and the body above its feet, about as well as its source's
    """

    number: int
    poses: Float[Tensor, "frames 24 3"]
    trans: Float[Tensor, "frames 3"]
    is_sound: bool


def mixed_variants(
    sources: Sequence[Source], count: int, frame_rate: float, *, generator: torch.Generator
) -> list[tuple[int, Float[Tensor, "_ 140"]]]:
    """Up to `count` variants of every source that has company: the source's number and the variant's features.

    Partner and share are drawn for each, and drawn once more where the first were not sound. Of an action that was
    captured once there is none.
    """
    made: list[tuple[int, Tensor]] = []
    wanted = list(range(len(sources))) * count
    for _ in range(_ROUNDS):
        mixtures = list(_mixtures(sources, sorted(wanted), generator))
        wanted = []
        for one in make_variants(sources, mixtures, frame_rate):
            clip = mixtures[one.number].clip
            if one.is_sound:
                made.append((clip, encode(one.poses, one.trans, sources[clip].skeleton, frame_rate)))
            else:
                wanted.append(clip)
    return made


def make_variants(sources: Sequence[Source], mixtures: Sequence[Mixture], frame_rate: float) -> Iterator[Variant]:
    """Each mixture's motion, its feet settled; short ones come first."""
    features = [source.features for source in sources]
    upper, legs = (Postures(features, torch.device("cpu"), joints) for joints in (UPPER_BODY, LOWER_BODY))
    starts = torch.tensor([0] + [len(each) for each in features]).cumsum(0)
    for numbers in _batches(mixtures, sources):
        jobs = [mixtures[number] for number in numbers]
        clips, others = torch.tensor([job.clip for job in jobs]), torch.tensor([job.other for job in jobs])
        lengths = torch.tensor([len(features[job.clip]) for job in jobs])
        offsets = torch.minimum(torch.arange(int(lengths.max())), lengths[:, None] - 1)
        frames = torch.stack([features[job.clip][row] for job, row in zip(jobs, offsets)])
        share = torch.tensor([job.share for job in jobs])
        mixed = frames
        for postures in (upper, legs):
            mixed = postures.mix(mixed, starts[clips][:, None] + offsets, clips, others, share)
        for row, (job, own) in enumerate(zip(jobs, offsets)):
            _borrow(mixed[row], job.borrowed, features, own)
        skeleton = _stacked([sources[job.clip].skeleton for job in jobs])
        settled = settle(decode(mixed, skeleton, frame_rate), skeleton, frame_rate)
        source = decode(frames, skeleton, frame_rate, plant_feet=False)
        rotations = roma.rotvec_to_rotmat(settled.poses)
        posed = forward_kinematics(rotations, settled.trans, skeleton.unsqueeze(1))
        excess = _out_of_range(rotations) - _out_of_range(source.local_rotations)
        for row, (number, length) in enumerate(zip(numbers, lengths.tolist())):
            leaning, own_leaning = (
                _leaning(joints[row, :length], soles[row, :length], frame_rate)
                for joints, soles in ((posed.joints, posed.soles), (source.joints, source.soles))
            )
            is_sound = bool(excess[row, :length].mean() < _MOST_EXCESS) and leaning < own_leaning + _MOST_LEANING
            yield Variant(number, settled.poses[row, :length], settled.trans[row, :length], is_sound)


def _borrow(
    mixed: Float[Tensor, "frames 140"],
    borrowed: Sequence[tuple[int, int]],
    features: Sequence[Float[Tensor, "_ 140"]],
    own: Int64[Tensor, "frames"],
) -> None:
    """Put the borrowed movements of trunk and arms into `mixed`; a clip that ends is played backwards then."""
    rotations = mixed[:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))
    for joints, (clip, start) in zip((TRUNK, LEFT_ARM, RIGHT_ARM), borrowed):
        other = features[clip]
        last = len(other) - 1
        rows = (start + own) % (2 * last)
        rows = torch.where(rows > last, 2 * last - rows, rows)
        rotations[:, joints] = other[rows][:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[:, joints]


def _mixtures(sources: Sequence[Source], wanted: Iterable[int], generator: torch.Generator) -> Iterator[Mixture]:
    """A mixture of each wanted source, and of another clip of its action; none where there is no other."""
    for number in wanted:
        own = sources[number]
        company = [other for other, one in enumerate(sources) if one.action == own.action and one.clip != own.clip]
        if company:
            choice = int(torch.randint(len(company), (), generator=generator))
            share = LEAST_SHARE + (MOST_SHARE - LEAST_SHARE) * float(torch.rand((), generator=generator))
            yield Mixture(number, company[choice], share)


def _batches(mixtures: Sequence[Mixture], sources: Sequence[Source]) -> Iterator[list[int]]:
    """Numbers of mixtures in batches of nearly equally long clips, at most `_BATCH_FRAMES` with what fills them up."""
    lengths = [len(sources[mixture.clip].features) for mixture in mixtures]
    batch: list[int] = []
    for number in sorted(range(len(mixtures)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[number] > _BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _stacked(skeletons: Sequence[Skeleton]) -> Skeleton:
    return Skeleton(
        torch.stack([each.rest_joints for each in skeletons]), torch.stack([each.rest_soles for each in skeletons])
    )


def _leaning(joints: Float[Tensor, "frames 24 3"], soles: Float[Tensor, "frames 4 3"], frame_rate: float) -> float:
    """Metres that the centre of mass lies beside the feet, mean over the frames in which the body stands."""
    distance, stands = off_balance(centre_of_mass(joints), soles, frame_rate)
    return float(distance.sum() / stands.sum().clamp(min=1))


def _out_of_range(rotations: Float[Tensor, "batch frames 24 3 3"]) -> Float[Tensor, "batch frames"]:
    """Radians out of range, mean over the joints."""
    return joint_range_violation(rotations).mean(-1)
