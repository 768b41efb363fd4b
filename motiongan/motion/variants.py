"""Clips that nobody performed: a clip with a share of another's posture and reach, legs too, on its own feet.

Legs that bend deeper or reach wider take other steps. The feet that stood still stand, and carry the root (`decode`
with planted feet); what they still creep is taken up by the legs (`settle`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.anatomy import centre_of_mass, joint_range_violation, off_balance
from motiongan.body.flesh import self_penetration
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.motion.features import ROTATIONS, decode, encode
from motiongan.motion.footing import settle
from motiongan.motion.posture import LEFT_ARM, LOWER_BODY, RIGHT_ARM, TRUNK, UPPER_BODY, Postures

_BATCH_FRAMES = 1 << 14  # decoded at once at most: some 0.3 GB
LEAST_SHARE, MOST_SHARE = 0.5, 1.25  # of the other's posture and reach
_ROUNDS = 3  # of drawing blends
CALMER = 0.5  # times the share of the last draw: what was not sound is drawn nearer to its source
# A variant is sound if each fault is at most this many times its source's, and this much: radians out of the joints'
# ranges, summed over the joints; metres off balance; m/s of low sole points; m/s^3 of all sole points; metres that the
# body lies within itself: means over time.
_MOST_TIMES = (1.0, 1.0, 1.0, 1.5, 1.0)
_MOST_MORE = (0.05, 0.02, 0.3, 30.0, 0.001)
_MOST_RISE = 0.02  # m: so much higher than its source's lowest sole point its own is on average
_LOW = 0.03  # m: a sole point that may stand


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
class Blend:
    """A variant to make; clips are numbers of sources.

    clip      whose variant it is: it gives movement and length
    other     whose posture and reach it takes on, by `share` (0 none, 1 all, more exaggerates)
    borrowed  for the trunk, the left and the right arm: the clip that they move as in, and from which of its frames on;
              empty: they move as in `clip`. What is borrowed keeps its own posture
    """

    clip: int
    other: int
    share: float
    borrowed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Variant:
    """What came of a blend.

    number     of the blend
    is_sound   its joints stay in range, its body above its feet and out of itself, the feet on the ground about as well
               as its source's do
    """

    number: int
    poses: Float[Tensor, "frames 24 3"]
    trans: Float[Tensor, "frames 3"]
    is_sound: bool


def mixed_variants(
    sources: Sequence[Source], count: int, frame_rate: float, *, generator: torch.Generator
) -> list[tuple[int, Float[Tensor, "_ 140"]]]:
    """Up to `count` variants of every source that has company: the source's number and the variant's features.

    Partner and share are drawn for each, and drawn again where they were not sound, with smaller shares. Of an action
    that was captured once there is none.
    """
    made: list[tuple[int, Tensor]] = []
    wanted = list(range(len(sources))) * count
    for draw in range(_ROUNDS):
        blends = list(_blends(sources, sorted(wanted), CALMER**draw, generator))
        wanted = []
        for one in make_variants(sources, blends, frame_rate):
            clip = blends[one.number].clip
            if one.is_sound:
                made.append((clip, encode(one.poses, one.trans, sources[clip].skeleton, frame_rate)))
            else:
                wanted.append(clip)
    return made


def make_variants(sources: Sequence[Source], blends: Sequence[Blend], frame_rate: float) -> Iterator[Variant]:
    """Each blend's motion, its feet settled; short ones come first. It does not depend on the other blends."""
    features = [source.features for source in sources]
    parts = (UPPER_BODY, LOWER_BODY) if any(blend.share for blend in blends) else ()
    mixers = [Postures(features, torch.device("cpu"), joints) for joints in parts]
    starts = torch.tensor([0] + [len(each) for each in features]).cumsum(0)
    for numbers in _batches(blends, sources):
        jobs = [blends[number] for number in numbers]
        clips, others = torch.tensor([job.clip for job in jobs]), torch.tensor([job.other for job in jobs])
        own = torch.stack([features[job.clip] for job in jobs])
        share = torch.tensor([job.share for job in jobs])
        mixed = own.clone()
        for postures in mixers:
            rows = starts[clips][:, None] + torch.arange(own.shape[1])
            mixed = postures.mix(mixed, rows, clips, others, share)
        for row, job in enumerate(jobs):
            _borrow(mixed[row], job.borrowed, features)
        skeleton = _stacked([sources[job.clip].skeleton for job in jobs])
        settled = settle(decode(mixed, skeleton, frame_rate), skeleton, frame_rate)
        source = decode(own, skeleton, frame_rate, plant_feet=False)
        rotations = roma.rotvec_to_rotmat(settled.poses)
        posed = forward_kinematics(rotations, settled.trans, skeleton.unsqueeze(1))
        faults = _faults(rotations, posed.joints, posed.soles, frame_rate)
        own_faults = _faults(source.local_rotations, source.joints, source.soles, frame_rate)
        most = own_faults * own_faults.new_tensor(_MOST_TIMES) + own_faults.new_tensor(_MOST_MORE)
        rise = (posed.soles[..., 2].amin(-1) - source.soles[..., 2].amin(-1)).clamp(min=0).mean(1)
        sound = (faults <= most).all(-1) & (rise <= _MOST_RISE)
        for row, number in enumerate(numbers):
            yield Variant(number, settled.poses[row], settled.trans[row], bool(sound[row]))


def _borrow(
    mixed: Float[Tensor, "frames 140"],
    borrowed: Sequence[tuple[int, int]],
    features: Sequence[Float[Tensor, "_ 140"]],
) -> None:
    """Put the borrowed movements of trunk and arms into `mixed`; a clip that ends is played backwards then."""
    rotations = mixed[:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))
    for joints, (clip, start) in zip((TRUNK, LEFT_ARM, RIGHT_ARM), borrowed):
        other = features[clip]
        last = len(other) - 1
        rows = (start + torch.arange(len(mixed))) % (2 * last)
        rows = torch.where(rows > last, 2 * last - rows, rows)
        rotations[:, joints] = other[rows][:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[:, joints]


def _blends(
    sources: Sequence[Source], wanted: Iterable[int], calmness: float, generator: torch.Generator
) -> Iterator[Blend]:
    """A blend of each wanted source, and of another clip of its action; none where there is no other.

    calmness   factor of the shares
    """
    of_action: dict[str, list[int]] = defaultdict(list)
    for number, source in enumerate(sources):
        of_action[source.action].append(number)
    clips = {action: {sources[number].clip for number in numbers} for action, numbers in of_action.items()}
    for number in wanted:
        own = sources[number]
        if len(clips[own.action]) == 1:
            continue
        other = number
        while sources[other].clip == own.clip:
            other = of_action[own.action][int(torch.randint(len(of_action[own.action]), (), generator=generator))]
        share = LEAST_SHARE + (MOST_SHARE - LEAST_SHARE) * float(torch.rand((), generator=generator))
        yield Blend(number, other, calmness * share)


def _batches(blends: Sequence[Blend], sources: Sequence[Source]) -> Iterator[list[int]]:
    """Numbers of blends in batches of equally long clips: what filled shorter ones up would reach into their ends."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, blend in enumerate(blends):
        by_length[len(sources[blend.clip].features)].append(number)
    for length, numbers in sorted(by_length.items()):
        size = max(1, _BATCH_FRAMES // length)
        yield from (numbers[start : start + size] for start in range(0, len(numbers), size))


def _stacked(skeletons: Sequence[Skeleton]) -> Skeleton:
    return Skeleton(
        torch.stack([each.rest_joints for each in skeletons]), torch.stack([each.rest_soles for each in skeletons])
    )


def _faults(
    rotations: Float[Tensor, "batch frames 24 3 3"],
    joints: Float[Tensor, "batch frames 24 3"],
    soles: Float[Tensor, "batch frames 4 3"],
    frame_rate: float,
) -> Float[Tensor, "batch 5"]:
    """What is wrong with each motion, in the order of `_MOST_MORE`."""
    out_of_range = joint_range_violation(rotations).sum(-1).mean(1)
    distance, stands = off_balance(centre_of_mass(joints), soles, frame_rate)
    leaning = distance.sum(1) / stands.sum(1).clamp(min=1)
    low = torch.maximum(soles[:, 1:, :, 2], soles[:, :-1, :, 2]) < _LOW
    speed = soles[..., :2].diff(dim=1).norm(dim=-1) * frame_rate
    skating = (speed * low).sum((1, 2)) / low.sum((1, 2)).clamp(min=1)
    jerk = soles.diff(n=3, dim=1).norm(dim=-1).sum((1, 2)) * frame_rate**3 / (soles.shape[1] * soles.shape[2])
    within_itself = self_penetration(joints).amax(-1).mean(1)
    return torch.stack([out_of_range, leaning, skating, jerk, within_itself], -1)
