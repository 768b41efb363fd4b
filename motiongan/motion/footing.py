"""Generated motion, settled: feet that stand stay put, carry the body, and a body in the air falls.

A generator's feet creep while they stand, and hover a finger's breadth above the ground, or a hand's breadth where a
lunge should rest on them. What is wrong is smaller than what a leg can take up: the feet get the place they should
have, hips, knees and ankles follow by two-bone inverse kinematics. In the air the centre of mass is put on the parabola
between take-off and landing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from motiongan.body.anatomy import GRAVITY, SOLE_HEIGHT, SOLE_MARGIN, centre_of_mass, to_supports
from motiongan.body.kinematics import PosedSkeleton, Skeleton, forward_kinematics
from motiongan.motion.balancing import balancing_shift
from motiongan.motion.features import Motion, axis_angle_of, rotation_about_z

_LEGS = ((1, 4, 7), (2, 5, 8))  # hip, knee, ankle
_FEET = ((0, 2), (1, 3))  # heel and ball among the sole points
_NOT_OF_LEGS = tuple(joint for joint in range(24) if joint not in (*_LEGS[0], *_LEGS[1], 10, 11))  # hands too
# A sole point stands where it is low and slow; both limits are soft (metres, m/s). Real soles below 3 cm move at less
# than 0.5 m/s in 93 % of frames; a foot that swings through at more than 1 m/s is meant to.
_LOW, _LOW_EDGE = 0.035, 0.007
_SLOW, _SLOW_EDGE = 0.9, 0.12
_HOLD = 30.0  # pull of a standing point, against 1 for an even offset
# Height is pulled gently, and not at all below 1 cm: a straight leg that has to give way by 1 cm bends its knee by 17
# degrees. Held as firmly as the place, the knees of recordings tremble twice as much (docs/log.md).
_HOLD_HEIGHT, _NEAR = 1.0, 0.01
_FAST, _CLEARANCE = 1.1, 0.035  # m/s, m: a foot whose heel and ball are both faster swings, at least so high
_STANDS = 0.35  # m/s: a slower body stands, and falls where its centre of mass lies beside its feet
_LEANS = 0.05  # m beside the feet that carry: more is a fall, unless a hovering foot carries too
_HOVERS = 0.12  # m: a foot that hovers is at most so high all the time; what a stair carries is higher
_HOVERS_STILL, _HOVERS_LONG = 0.4, 0.2  # m/s, s: slower than this, and for so long; a slow step is faster
_RETURN = 0.05  # pull of the generator's own place; an offset fades within some 5 frames
_REACH = 0.998  # of a straight leg
_AIR = 0.03  # m: lowest sole point of a body in the air
_HIGHEST_RISE = 0.15  # m: a body that would have to rise more does not fly; it hangs, climbs or rolls
_STEPS = (0.06, 0.09, 0.12)  # m: heights of soles that may have missed the ground; what a stair carries is higher
_GROUNDED = 0.028  # m: lowest sole point of a body that came down to where it stands
_UPPER = 0.1  # m: a lower joint that is none of a leg may carry the body


@dataclass(frozen=True)
class Settled:
    """Poses (batch, frames, 24, 3) axis-angle, and SMPL's root translation (batch, frames, 3), metres."""

    poses: Float[Tensor, "batch frames 24 3"]
    trans: Float[Tensor, "batch frames 3"]


def settle(motion: Motion, skeleton: Skeleton, frame_rate: float) -> Settled:
    """The motion with standing feet held in place, the body in balance over them, and flight under gravity.

    skeleton   one, or one for each row of the batch, as `decode` was given
    """
    skeleton = skeleton.unsqueeze(1) if skeleton.rest_joints.ndim == 3 else skeleton
    rotations = motion.local_rotations.clone()
    rotations[:, :, 0] = rotation_about_z(motion.heading) @ rotations[:, :, 0]
    trans = motion.trans
    posed = forward_kinematics(rotations, trans, skeleton)
    for leg, foot in zip(_LEGS, _FEET):
        _move_foot(rotations, posed, leg, _put_down(posed, leg, foot, frame_rate))
    posed = forward_kinematics(rotations, trans, skeleton)
    for leg, foot in zip(_LEGS, _FEET):
        _move_foot(rotations, posed, leg, _offset(posed.soles[:, :, list(foot)], frame_rate))
    posed = forward_kinematics(rotations, trans, skeleton)
    shift = torch.nn.functional.pad(balancing_shift(posed, frame_rate), (0, 1))
    trans = trans + shift
    for leg in _LEGS:  # it looks at places within the body alone, which the shift leaves as they are
        _move_foot(rotations, posed, leg, -shift)
    posed = forward_kinematics(rotations, trans, skeleton)
    mass_height, lowest = centre_of_mass(posed.joints)[..., 2], posed.soles[..., 2].amin(-1)
    descent = _descent(mass_height, lowest, posed.joints[:, :, list(_NOT_OF_LEGS), 2].amin(-1), frame_rate)
    sunk = (-lowest).clamp(min=0)
    rise = _flight_rise(mass_height - descent, lowest - descent, frame_rate) - descent
    trans = trans + (rise + sunk)[..., None] * trans.new_tensor([0.0, 0.0, 1.0])
    trans = trans - shift[:, :1]  # a clip begins where it began
    return Settled(axis_angle_of(rotations), trans)


def _put_down(
    posed: PosedSkeleton, leg: tuple[int, int, int], foot: tuple[int, int], frame_rate: float
) -> Float[Tensor, "batch frames 3"]:
    """How far a foot comes down that hovers while the standing body would fall without it, and would not on it.

    Decided for each stretch of frames in which the foot is off the ground and hardly moves: it comes down throughout
    where that is needed and can be reached in half of them. The ground is flat.
    """
    soles = posed.soles
    lowest = soles[:, :, list(foot), 2].amin(-1)
    speed = soles[:, :, list(foot), :2].diff(dim=1).norm(dim=-1).amax(-1) * frame_rate
    hovers = (lowest > _LOW) & (_of_frames(speed) < _HOVERS_STILL)
    needed = hovers & _carries_better(posed, leg, foot, lowest, frame_rate)
    # Each stretch has a number, within its clip; what lies between two has the number of the one before.
    number = torch.nn.functional.pad(hovers[:, 1:] & ~hovers[:, :-1], (1, 0)).cumsum(1)
    share, long = (torch.zeros_like(lowest).scatter_add(1, number, each.to(lowest.dtype)) for each in (needed, hovers))
    highest = torch.zeros_like(lowest).scatter_reduce(1, number, lowest * hovers, "amax")
    comes_down = (share >= long / 2) & (long >= _HOVERS_LONG * frame_rate) & (highest < _HOVERS)
    down = (hovers & comes_down.gather(1, number)).to(lowest.dtype)
    one = torch.ones_like(speed)
    system = _diagonal(one) + _RETURN + _HOLD_HEIGHT * down
    offset = _tridiagonal(system, -one, (-_HOLD_HEIGHT * down * lowest)[..., None])
    return torch.nn.functional.pad(offset, (2, 0))


def _carries_better(
    posed: PosedSkeleton, leg: tuple[int, int, int], foot: tuple[int, int], lowest: Tensor, frame_rate: float
) -> Bool[Tensor, "batch frames"]:
    """Whether the body leans out over its feet, and less than half as far if this one stood below where it is."""
    mass_centre, soles, joints = centre_of_mass(posed.joints), posed.soles, posed.joints
    down = soles.clone()
    down[:, :, list(foot), 2] -= lowest[..., None]
    lean, then = (_lean(mass_centre, each) for each in (soles, down))
    hip, knee, ankle = (joints[:, :, number] for number in leg)
    target = ankle - hip - lowest[..., None] * lowest.new_tensor([0.0, 0.0, 1.0])
    length = (knee - hip).norm(dim=-1) + (ankle - knee).norm(dim=-1)
    speed = _of_frames(mass_centre[..., :2].diff(dim=1).norm(dim=-1)) * frame_rate
    return (speed < _STANDS) & (lean > _LEANS) & (then < lean / 2) & (target.norm(dim=-1) < _REACH * length)


def _lean(mass_centre: Tensor, soles: Tensor) -> Float[Tensor, "batch frames"]:
    """How far beside the feet the centre of mass lies, metres; 0 where no foot carries."""
    distance, height, _ = to_supports(mass_centre[..., :2], soles)
    nearest = torch.where(height < SOLE_HEIGHT, distance, torch.inf).amin(-1)
    return torch.where(nearest.isinf(), 0.0, nearest - SOLE_MARGIN).clamp(min=0)


def _offset(points: Float[Tensor, "batch frames 2 3"], frame_rate: float) -> Float[Tensor, "batch frames 3"]:
    """How far a foot moves so that its heel and ball stay where they stand, and stand on the ground.

    The offset d minimises, over the steps t and the points p of the foot with standing weight s,
    sum HOLD s (d' + p')^2 + sum d'^2 + RETURN sum d^2 (primes: differences to the next frame). In height the first term
    is sum HOLD_HEIGHT w (d + lowest point - wanted)^2: where the foot stands, 0 to NEAR above the ground is wanted,
    where it swings lower, CLEARANCE.
    """
    step = points.diff(dim=1)
    speed = step[..., :2].norm(dim=-1) * frame_rate
    height = torch.maximum(points[:, 1:, :, 2], points[:, :-1, :, 2])
    stands = torch.sigmoid((_LOW - height) / _LOW_EDGE) * torch.sigmoid((_SLOW - speed) / _SLOW_EDGE)
    hold = _HOLD * stands
    # Normal equations: tridiagonal, the same matrix for x and y.
    between = 1 + hold.sum(-1)
    force = -(hold[..., None] * step[..., :2]).sum(2)
    level = _tridiagonal(_diagonal(between) + _RETURN, -between, _divergence(force))
    lowest = points[..., 2].amin(-1)
    swings = torch.sigmoid((speed.amin(-1) - _FAST) / _SLOW_EDGE)
    swings = _of_frames(swings) * torch.sigmoid((_CLEARANCE - lowest) / _LOW_EDGE)
    stand = _of_frames(stands.amax(-1))
    pull = _HOLD_HEIGHT * (swings * (_CLEARANCE - lowest) + stand * (lowest.clamp(0, _NEAR) - lowest))
    one = torch.ones_like(between)
    upright = _tridiagonal(_diagonal(one) + _RETURN + _HOLD_HEIGHT * (swings + stand), -one, pull[..., None])
    return torch.cat([level, upright], dim=-1)


def _of_frames(steps: Float[Tensor, "batch steps"]) -> Float[Tensor, "batch frames"]:
    """The greater of the values of the steps before and after a frame."""
    return torch.maximum(torch.nn.functional.pad(steps, (1, 0)), torch.nn.functional.pad(steps, (0, 1)))


def _diagonal(between: Tensor) -> Tensor:
    return torch.nn.functional.pad(between, (0, 1)) + torch.nn.functional.pad(between, (1, 0))


def _divergence(force: Float[Tensor, "batch steps 2"]) -> Float[Tensor, "batch frames 2"]:
    pad = torch.nn.functional.pad
    return pad(force, (0, 0, 1, 0)) - pad(force, (0, 0, 0, 1))


def _tridiagonal(
    diagonal: Float[Tensor, "batch frames"],
    beside: Float[Tensor, "batch steps"],
    right: Float[Tensor, "batch frames axes"],
) -> Float[Tensor, "batch frames axes"]:
    """Solution of symmetric, positive tridiagonal systems (Thomas' algorithm), a batch of them at once."""
    frames = diagonal.shape[1]
    ratio: list[Tensor] = []
    value: list[Tensor] = []
    for t in range(frames):
        pivot, moved = diagonal[:, t], right[:, t]
        if t:
            pivot = pivot - beside[:, t - 1] * ratio[-1]
            moved = moved - beside[:, t - 1, None] * value[-1]
        if t < frames - 1:
            ratio.append(beside[:, t] / pivot)
        value.append(moved / pivot[:, None])
    for t in range(frames - 2, -1, -1):
        value[t] = value[t] - ratio[t][:, None] * value[t + 1]
    return torch.stack(value, dim=1)


def _move_foot(rotations: Tensor, posed: PosedSkeleton, leg: tuple[int, int, int], offset: Tensor) -> None:
    """Turn hip, knee and ankle in place, so that the foot moves by the offset and keeps its orientation."""
    hip, knee, ankle = leg
    place, world = posed.joints, posed.rotations
    thigh, shin = place[:, :, knee] - place[:, :, hip], place[:, :, ankle] - place[:, :, knee]
    target = place[:, :, ankle] + offset - place[:, :, hip]
    thigh_length, shin_length = thigh.norm(dim=-1), shin.norm(dim=-1)
    distance = target.norm(dim=-1)
    reach = torch.minimum(distance, _REACH * (thigh_length + shin_length))
    reach = torch.maximum(reach, (thigh + shin).norm(dim=-1).minimum(distance))  # nobody's straight leg is bent
    # The shin swings in the plane it bends in: about the leg's own knee axis where the leg is straight.
    along = thigh / thigh_length[..., None]
    forward = -world[:, :, knee, :, 2]  # where a shin goes when the knee bends: SMPL's knee turns about X
    aside = _perpendicular(torch.where((_flexion(along, shin) > 0.1)[..., None], shin, forward), along)
    cosine = (reach**2 - thigh_length**2 - shin_length**2) / (2 * thigh_length * shin_length)
    cosine = cosine.clamp(-1, 1)
    bent = shin_length[..., None] * (cosine[..., None] * along + (1 - cosine**2).sqrt()[..., None] * aside)
    bend = _shortest_turn(shin, bent)
    swing = _shortest_turn(thigh + bent, target)
    new_hip = swing @ world[:, :, hip]
    new_knee = swing @ bend @ world[:, :, knee]
    rotations[:, :, hip] = world[:, :, 0].mT @ new_hip
    rotations[:, :, knee] = new_hip.mT @ new_knee
    rotations[:, :, ankle] = new_knee.mT @ world[:, :, ankle]


def _flexion(along: Tensor, shin: Tensor) -> Tensor:
    return torch.atan2(torch.linalg.cross(along, shin).norm(dim=-1), (along * shin).sum(-1))


def _perpendicular(vector: Tensor, along: Tensor) -> Tensor:
    rest = vector - (vector * along).sum(-1, keepdim=True) * along
    return rest / rest.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def _shortest_turn(start: Float[Tensor, "*batch 3"], end: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of the shortest turn between directions that are not opposite: I + [v] + [v]^2 / (1 + c)."""
    start, end = start / start.norm(dim=-1, keepdim=True), end / end.norm(dim=-1, keepdim=True)
    x, y, z = torch.linalg.cross(start, end).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    cosine = (start * end).sum(-1)[..., None, None]
    return torch.eye(3, device=x.device, dtype=x.dtype) + cross + cross @ cross / (1 + cosine).clamp(min=1e-6)


def _descent(
    mass_height: Float[Tensor, "batch frames"],
    lowest: Float[Tensor, "batch frames"],
    upper: Float[Tensor, "batch frames"],
    frame_rate: float,
) -> Float[Tensor, "batch frames"]:
    """Metres by which a body comes down that is off its feet for longer than it could fly, with feet that hardly are.

    mass_height, lowest   height of the centre of mass and of the lowest sole point, metres
    upper                 of the lowest joint that is none of a leg: what lies, rolls or stands on its hands stays

    Such a body missed a step, or took off early and landed late. The ground rises to the least of `_STEPS` from which
    it flies in between, or not at all; the body comes down by as much, or until it stands. What no step explains
    hangs or climbs.
    """
    in_air = lowest > _AIR
    before, _ = _bounds(in_air)
    rise = _fall(mass_height, lowest, in_air, frame_rate)
    hangs = in_air & (_of_flight(rise.abs(), before) >= _HIGHEST_RISE)
    descent = torch.zeros_like(lowest)
    for step in _STEPS:
        down = (lowest.clamp(max=step) - _GROUNDED) * hangs
        rise = _fall(mass_height - down, lowest - down, hangs & (lowest > step), frame_rate)
        explained = _of_flight(torch.where(upper - down < _UPPER, torch.inf, rise.abs()), before) < _HIGHEST_RISE
        descent = torch.where(hangs & explained, down, descent)
        hangs = hangs & ~explained
    return descent


def _flight_rise(
    mass_height: Float[Tensor, "batch frames"], lowest: Float[Tensor, "batch frames"], frame_rate: float
) -> Float[Tensor, "batch frames"]:
    """How much higher the body is in the air, so that it falls; what is off its feet without flying is left alone."""
    in_air = lowest > _AIR
    rise = _fall(mass_height, lowest, in_air, frame_rate)
    before, _ = _bounds(in_air)
    return torch.where(_of_flight(rise.abs(), before) < _HIGHEST_RISE, rise, torch.zeros_like(rise))


def _fall(
    mass_height: Float[Tensor, "batch frames"],
    lowest: Float[Tensor, "batch frames"],
    in_air: Bool[Tensor, "batch frames"],
    frame_rate: float,
) -> Float[Tensor, "batch frames"]:
    """The rise of a body in the air onto the parabola between the frames of take-off and landing; 0 in these frames and
    on the ground. Of a flight cut by the clip's begin or end one of the two is known, and the parabola is the nearest
    one.
    """
    frames = in_air.shape[1]
    before, after = _bounds(in_air)
    starts, ends = before < 0, after == frames
    cut = _cut_fall(mass_height, lowest, in_air & ends & ~starts, frame_rate)
    landing = (in_air & starts & ~ends).flip(1)  # backwards in time a take-off
    cut = cut + _cut_fall(mass_height.flip(1), lowest.flip(1), landing, frame_rate).flip(1)
    before, after = before.clamp(min=0), after.clamp(max=frames - 1)
    start, end = mass_height.gather(1, before), mass_height.gather(1, after)
    time = torch.arange(frames, device=in_air.device)
    since, long = (time - before) / frame_rate, ((after - before) / frame_rate).clamp(min=1 / frame_rate)
    parabola = start + (end - start) * since / long + 0.5 * GRAVITY * since * (long - since)
    return cut + torch.where(in_air & ~starts & ~ends, parabola - mass_height, torch.zeros_like(mass_height))


def _bounds(in_air: Bool[Tensor, "batch frames"]) -> tuple[Int[Tensor, "batch frames"], Int[Tensor, "batch frames"]]:
    """The last frame on the ground before, and the first after; -1 and the number of frames where there is none."""
    frames = in_air.shape[1]
    time = torch.arange(frames, device=in_air.device)
    before = torch.where(in_air, -1, time).cummax(dim=1).values
    return before, torch.where(in_air, frames, time).flip(1).cummin(dim=1).values.flip(1)


def _of_flight(
    values: Float[Tensor, "batch frames"], before: Int[Tensor, "batch frames"]
) -> Float[Tensor, "batch frames"]:
    """The largest of the values between one frame on the ground and the next, 0 at least; `before` of `_bounds`."""
    before = before.clamp(min=0)
    return torch.zeros_like(values).scatter_reduce(1, before, values, "amax").gather(1, before)


def _cut_fall(
    mass_height: Float[Tensor, "batch frames"],
    lowest: Float[Tensor, "batch frames"],
    flies: Bool[Tensor, "batch frames"],
    frame_rate: float,
) -> Float[Tensor, "batch frames"]:
    """The rise onto the parabola of a flight that the clip's end cuts, from its take-off on.

    flies   the frames of the flight: the last ones of a clip, not all

    How fast the body takes off is what brings it nearest to where it was, in the sense of least squares, and no sole
    under the ground.
    """
    frames = flies.shape[1]
    start = mass_height.gather(1, (frames - 1 - flies.sum(1, keepdim=True)).clamp(min=0))
    since = (flies.cumsum(1) / frame_rate).clamp(min=1 / frame_rate)
    climbed = mass_height - start + 0.5 * GRAVITY * since**2  # as far without gravity: take-off speed times time
    weight = flies * since
    nearest = (weight * climbed).sum(1, keepdim=True) / (weight * since).sum(1, keepdim=True).clamp(min=1e-6)
    clear = torch.where(flies, (climbed - lowest) / since, -torch.inf).amax(1, keepdim=True)
    return flies * (torch.maximum(nearest, clear) * since - climbed)
