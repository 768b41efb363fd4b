"""What anatomy says about the skeleton: joint ranges, segment masses, balance, and when a foot touches the ground."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS

# ---------------------------------------------------------------------------------------------------------------------
# Joint ranges of motion
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JointRange:
    """How far a left or middle joint turns from the T-pose, in degrees; the right side is the mirror image.

    A rotation is taken apart into a twist about the bone (`axis`) and the swing that turns the bone out of its rest
    direction by the shortest way (rotation = swing * twist; Baerlocher and Boulic 2000, "Parametrization and range of
    motion of the ball-and-socket joint"). `x`, `y`, `z` bound the three angles: for the letter of `axis` the twist, for
    the other two the components of the swing's rotation vector, all about SMPL's rest axes (x to the body's left, y up,
    z forward). Each range is (lowest, highest).

    in_child   measure the swing in the axes of the bone after its twist: for the wrist, whose own flexion axis turns
               with the forearm, whichever joint carries the forearm's turn
    """

    axis: str
    x: tuple[int, int]
    y: tuple[int, int]
    z: tuple[int, int]
    in_child: bool = False


# The normal ranges are those of the American Academy of Orthopaedic Surgeons (1965, "Joint Motion: Method of Measuring
# and Recording"), "AAOS" below. They are means of ordinary adults measured passively, one motion at a time; athletes
# go beyond them, and the box has to hold combined motions and a T-pose that differs from the anatomical position, so
# the limits here are wider by the margins named. They refuse what no athlete does, not what is unusual.
# The spine's AAOS total (thoracolumbar flexion 80, extension 25, side bending 35, rotation 45; cervical 45, 45, 45, 60)
# is spread over the joints that share it, each being allowed more than its share since data put it into few joints.
JOINT_RANGES: dict[str, JointRange] = {
    # Hip, AAOS: flexion 120 (-x), extension 30, abduction 45 (+z), adduction 30, rotation 45 out (+y) and 45 in.
    # Kicks and splits: flexion +25 with the pelvis' tilt, abduction +35, rotation +15; extension +10 for sprinting.
    "left_hip": JointRange("y", x=(-145, 40), y=(-60, 60), z=(-35, 80)),
    # Knee, AAOS: flexion 135 (+x), passive and under load 160; the rest pose is bent by 5, hyperextension 10.
    # Side to side it does not bend; the shank turns some 30 to each side in a bent knee.
    "left_knee": JointRange("y", x=(-15, 160), y=(-35, 35), z=(-12, 12)),
    # Ankle, AAOS: dorsiflexion 20 (-x), under load 40; plantar flexion 50, on tiptoe 65 (+x); inversion 35 (left: -z
    # raises the inner edge), eversion 15. The turn about the shank (y) is the foot's ab- and adduction.
    "left_ankle": JointRange("y", x=(-42, 65), y=(-35, 35), z=(-40, 25)),
    # Toes, AAOS for the great toe: extension 70 (-x), passive 85; flexion 45.
    "left_foot": JointRange("z", x=(-85, 45), y=(-15, 15), z=(-15, 15)),
    # Spine: flexion +x, bending z, rotation y.
    "spine1": JointRange("y", x=(-25, 50), y=(-30, 30), z=(-30, 30)),
    "spine2": JointRange("y", x=(-25, 45), y=(-30, 30), z=(-30, 30)),
    "spine3": JointRange("y", x=(-25, 40), y=(-30, 30), z=(-30, 30)),
    "neck": JointRange("y", x=(-45, 45), y=(-55, 55), z=(-40, 40)),
    "head": JointRange("y", x=(-45, 45), y=(-55, 55), z=(-40, 40)),
    # Collar (sternoclavicular joint and shoulder blade): elevation 45 (left: +z), depression 15, forward and back 30
    # (Neumann 2010: elevation 45, depression 10, protraction and retraction 15-30); turn about its length 50.
    "left_collar": JointRange("x", x=(-50, 50), y=(-35, 35), z=(-25, 50)),
    # Shoulder, AAOS: abduction 180 and flexion 180 from the hanging arm, of which the T-pose has used 90 (left: +z up,
    # -z down); across the chest 45 beyond hanging, to the front and across 135 (left: -y), backwards 45, and for
    # the hanging arm extension 60, whose swing from the T-pose is a third (+y). Rotation 90 out (-x), 70 in; throwers
    # reach 130 (Watanabe in the tables of Norkin and White: 118-134).
    "left_shoulder": JointRange("x", x=(-135, 110), y=(-145, 75), z=(-115, 105)),
    # Elbow, AAOS: flexion 150 (left: -y), with soft muscle 160; the rest pose is bent by 6, hyperextension 10.
    # Forearm, AAOS: pronation 80, supination 80, each +30. In the T-pose the elbow's crease looks ahead and the palm
    # down, halfway between the two (supination: -x).
    # Side to side it does not bend, but arm and forearm meet at an angle (carrying angle, up to 15; rest pose 5).
    "left_elbow": JointRange("x", x=(-110, 110), y=(-160, 16), z=(-20, 20)),
    # Wrist, AAOS: flexion 80 (left: -z), extension 70, radial 20 (-y), ulnar 30, each +10; the twist is the forearm's.
    "left_wrist": JointRange("x", x=(-90, 90), y=(-35, 45), z=(-90, 85), in_child=True),
}
# The pelvis is free, and the hands' own joints stand for the fingers, which we do not model.
_FREE = ("pelvis", "left_hand", "right_hand")


def joint_range_violation(rotations: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 24"]:
    """Radians that each joint lies outside its range of motion, 0 inside; the length over its three angles.

    rotations   local rotation matrices of the 24 joints
    Differentiable, with finite (zero) gradients inside the ranges and at the identity.
    """
    angles = joint_angles(rotations)
    lowest, highest = _LOWEST.to(angles), _HIGHEST.to(angles)
    outside = (lowest - angles).clamp(min=0) + (angles - highest).clamp(min=0)
    squared = outside.square().sum(-1)
    return torch.where(squared > 0, squared.clamp(min=1e-12).sqrt(), torch.zeros_like(squared))


def joint_angles(rotations: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 24 3"]:
    """Twist and swing of every joint in radians, as (x, y, z) of `JointRange`.

    Computed from the matrix alone: the bone's axis k goes to column k, whose angle to k is the swing, and the twist is
    atan2(R_ji - R_ij, R_ii + R_jj) for the cyclic axes i, j, k, since both arguments are (1 + cos swing) times its
    sine and cosine. Undefined only where a bone points opposite to its rest direction.
    """
    entries = rotations.flatten(-2)

    def entry(index: Tensor) -> Tensor:
        return entries.gather(-1, index.to(entries.device).expand(*entries.shape[:-1], 1)).squeeze(-1)

    across_i, across_j, along = entry(_R_IK), entry(_R_JK), entry(_R_KK)
    sine_of_twist = entry(_R_JI) - entry(_R_IJ)
    cosine_of_twist = entry(_R_II) + entry(_R_JJ)
    # atan2(0, 0) has no gradient: a bone turned right back has no twist to speak of.
    turned_back = sine_of_twist.square() + cosine_of_twist.square() < 1e-12
    twist = torch.atan2(sine_of_twist, torch.where(turned_back, torch.ones_like(cosine_of_twist), cosine_of_twist))
    squared = across_i.square() + across_j.square()
    sine = squared.clamp(min=1e-12).sqrt()
    # Swing angle over its sine; at rest both vanish and the ratio is 1.
    ratio = torch.where((squared < 1e-12) & (along > 0), torch.ones_like(sine), torch.atan2(sine, along) / sine)
    swing_i, swing_j = -across_j * ratio, across_i * ratio  # rotation vector: k x (its image), of the swing's length
    in_child = _IN_CHILD.to(entries.device)
    cosine, sine = twist.cos(), twist.sin()
    child_i, child_j = cosine * swing_i + sine * swing_j, cosine * swing_j - sine * swing_i
    swing_i = torch.where(in_child, child_i, swing_i)
    swing_j = torch.where(in_child, child_j, swing_j)
    cyclic = torch.stack([swing_i, swing_j, twist], -1)
    return cyclic.gather(-1, _TO_XYZ.to(entries.device).expand(cyclic.shape))


def _range_tables() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lowest and highest angles (24, 3), twist axis (24,) and in_child (24,) of all joints, right ones mirrored."""
    lowest = torch.full((NUM_JOINTS, 3), -10.0)
    highest = torch.full((NUM_JOINTS, 3), 10.0)
    axis = torch.zeros(NUM_JOINTS, dtype=torch.long)
    in_child = torch.zeros(NUM_JOINTS, dtype=torch.bool)
    for joint, name in enumerate(JOINT_NAMES):
        if name in _FREE:
            continue
        limits = JOINT_RANGES[name.replace("right_", "left_")]
        degrees = torch.tensor([limits.x, limits.y, limits.z])
        if name.startswith("right_"):
            # A mirror in the plane x = 0 keeps turns about x and reverses those about y and z.
            degrees = torch.stack([degrees[0], -degrees[1].flip(0), -degrees[2].flip(0)])
        lowest[joint], highest[joint] = torch.deg2rad(degrees).T
        axis[joint] = "xyz".index(limits.axis)
        in_child[joint] = limits.in_child
    return lowest, highest, axis, in_child


_LOWEST, _HIGHEST, _K, _IN_CHILD = _range_tables()
_I, _J = (_K + 1) % 3, (_K + 2) % 3


def _entry_index(row: Tensor, column: Tensor) -> Tensor:
    return (3 * row + column).unsqueeze(-1)


_R_IK, _R_JK, _R_KK = _entry_index(_I, _K), _entry_index(_J, _K), _entry_index(_K, _K)
_R_JI, _R_IJ, _R_II, _R_JJ = _entry_index(_J, _I), _entry_index(_I, _J), _entry_index(_I, _I), _entry_index(_J, _J)
# Where x, y, z stand among the cyclic (i, j, k).
_TO_XYZ = (torch.arange(3) - _I.unsqueeze(-1)) % 3

# ---------------------------------------------------------------------------------------------------------------------
# Segment masses
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """A rigid part of the body: its share of the mass, and its centre as `fraction` of the way between two joints.

    `start` and `end` may name several joints, whose mean is meant.
    """

    mass: float
    start: tuple[str, ...]
    end: tuple[str, ...]
    fraction: float


# de Leva 1996, "Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters", J. Biomechanics 29(9), table 4:
# means of its female and male columns. Where his end points are no joints of ours, the fraction is recomputed:
# - the trunk's parts lie between mid-hip and the neck (his C7): omphalion at 0.27 and xiphoid at 0.61 of the way up,
#   the pelvis joint at 0.17, spine1-3 at 0.34, 0.56, 0.65 (default body; SMPL's differ by less than 0.03);
# - the head's centre lies 0.124 m above C7 on a stature of 1.74 m, which is 1.55 of the way from neck to head joint;
# - his hand ends at the third knuckle, ours at 0.9 of that;
# - the foot's centre lies 0.42 of its length before the heel, 0.38 of the way from ankle to ball.
_MID_HIP = ("left_hip", "right_hip")
_TRUNK: tuple[Segment, ...] = (
    Segment(0.1182, _MID_HIP, ("pelvis",), 0.71),  # lower: mid-hip to omphalion
    Segment(0.1549, ("spine1",), ("spine2",), 0.54),  # middle: omphalion to xiphoid
    Segment(0.1571, ("spine3",), ("neck",), 0.44),  # upper: xiphoid to C7
    Segment(0.0681, ("neck",), ("head",), 1.55),  # head and neck
)
_LIMBS: tuple[Segment, ...] = (
    Segment(0.0263, ("shoulder",), ("elbow",), 0.576),
    Segment(0.0150, ("elbow",), ("wrist",), 0.457),
    Segment(0.00585, ("wrist",), ("hand",), 0.854),
    Segment(0.1447, ("hip",), ("knee",), 0.385),
    Segment(0.0457, ("knee",), ("ankle",), 0.437),
    Segment(0.0133, ("ankle",), ("foot",), 0.38),
)
SEGMENTS: tuple[Segment, ...] = _TRUNK + tuple(
    Segment(
        part.mass, tuple(side + name for name in part.start), tuple(side + name for name in part.end), part.fraction
    )
    for side in ("left_", "right_")
    for part in _LIMBS
)


def _mass_weights() -> Tensor:
    """(24,) the weights with which the joints' positions add up to the centre of mass; they sum to 1."""
    weights = torch.zeros(NUM_JOINTS, dtype=torch.float64)
    total = sum(segment.mass for segment in SEGMENTS)
    for segment in SEGMENTS:
        for ends, share in ((segment.start, 1 - segment.fraction), (segment.end, segment.fraction)):
            for name in ends:
                weights[JOINT[name]] += segment.mass / total * share / len(ends)
    return weights.float()


_MASS_WEIGHTS = _mass_weights()


def centre_of_mass(joints: Float[Tensor, "*batch 24 3"]) -> Float[Tensor, "*batch 3"]:
    """Centre of mass of the whole body from the joints' positions, in their unit.

    Source: segment masses and centres of de Leva 1996, as in `SEGMENTS`.
    """
    return torch.einsum("...jc,j->...c", joints, _MASS_WEIGHTS.to(joints))


# ---------------------------------------------------------------------------------------------------------------------
# Balance
# ---------------------------------------------------------------------------------------------------------------------

GRAVITY = 9.81  # m/s^2
SOLE_HEIGHT = 0.04  # metres: a sole point as low as this carries
CARRYING_HEIGHT = 0.02  # metres: a foot that is to carry comes so low, well within `SOLE_HEIGHT`
SOLE_MARGIN = 0.07  # metres that a shoe reaches beyond the line between its heel and its ball
LEAST_LOAD = 0.5  # of the body's weight: the ground that bears less does not tell where it bears
# s: how far apart the three places are from which an acceleration is taken. Of 1/30 to 1/5 it parts recordings from
# motion that wavers best: shorter is mostly noise, longer blurs the steps of a runner.
_SPAN = 0.1


def zero_moment_point(
    mass_centre: Float[Tensor, "*batch frames 3"], frame_rate: float
) -> tuple[Float[Tensor, "*batch frames 2"], Float[Tensor, "*batch frames"]]:
    """Where on level ground the force that carries the body acts (metres), and how strong it is (of the body's weight).

    p = c - z c" / (g + z") for the level place c and the height z of the centre of mass, as if all mass were there
    (Vukobratovic and Borovac 2004, Int. J. Humanoid Robotics 1:157; Kajita et al. 2003, ICRA). It lies below the centre
    of mass of a body that stands, and behind that of one that gathers speed. A force below `LEAST_LOAD` is taken to be
    `LEAST_LOAD`. The first and the last frames have the acceleration of their neighbours.
    """
    acceleration = _acceleration(mass_centre, frame_rate)
    load = acceleration[..., 2] / GRAVITY + 1
    lever = mass_centre[..., 2] / (GRAVITY * load.clamp(min=LEAST_LOAD))
    return mass_centre[..., :2] - lever[..., None] * acceleration[..., :2], load


def off_balance(
    mass_centre: Float[Tensor, "*batch frames 3"],
    soles: Float[Tensor, "*batch frames points 3"],
    frame_rate: float,
    mask: Bool[Tensor, "*batch frames"] | None = None,
) -> tuple[Float[Tensor, "*batch frames"], Bool[Tensor, "*batch frames"]]:
    """How far (metres) beside the feet the ground would have to carry the body, and in which frames that counts.

    The distance of the `zero_moment_point` from the base of support, which is taken to be all within `SOLE_MARGIN` of a
    line between two sole points lower than `SOLE_HEIGHT`: of a body that stands the distance of its centre of mass, of
    one that moves also what its changes of speed would need. It counts where a sole point is so low and the ground
    bears at least `LEAST_LOAD`, in the frames of `mask` (None: all) but the first and last tenth of a second, whose
    acceleration is not known; elsewhere it is 0. Hands and raised ground that carry are not seen, nor is what turns the
    body: so compare with real motion, not with 0.
    """
    point, load = zero_moment_point(mass_centre, frame_rate)
    distance, height, _ = to_supports(point, soles)
    nearest = torch.where(height < SOLE_HEIGHT, distance, torch.inf).amin(-1)
    counts = _carried(load, soles, frame_rate, mask)
    return torch.where(counts, (nearest - SOLE_MARGIN).clamp(min=0), torch.zeros_like(nearest)), counts


def balance_gap(
    mass_centre: Float[Tensor, "*batch frames 3"],
    soles: Float[Tensor, "*batch frames points 3"],
    frame_rate: float,
    mask: Bool[Tensor, "*batch frames"] | None = None,
) -> Float[Tensor, "*batch frames"]:
    """How far (metres) a body that the ground carries, as `off_balance` has it, is from balance, in the cheapest way.

    Either the force moves over to the feet, or a lifted foot comes down to carry, lower than `CARRYING_HEIGHT`: the
    least sum of both ways over all lines between two sole points. What is to be mended in a lunge whose front foot
    hovers is that foot. Feet between this height and `SOLE_HEIGHT` carry a body in balance, and yet have some way.
    """
    point, load = zero_moment_point(mass_centre, frame_rate)
    distance, height, _ = to_supports(point, soles)
    gap = ((distance - SOLE_MARGIN).clamp(min=0) + (height - CARRYING_HEIGHT).clamp(min=0)).amin(-1)
    return torch.where(_carried(load, soles, frame_rate, mask), gap, torch.zeros_like(gap))


def _carried(load: Tensor, soles: Tensor, frame_rate: float, mask: Tensor | None) -> Bool[Tensor, "*batch frames"]:
    step = _step(frame_rate)
    valid = torch.ones_like(load, dtype=torch.bool) if mask is None else mask
    inner = torch.zeros_like(valid)
    inner[..., step:-step] = valid[..., step:-step] & valid[..., : -2 * step] & valid[..., 2 * step :]
    return inner & (soles[..., 2] < SOLE_HEIGHT).any(-1) & (load > LEAST_LOAD)


def to_supports(
    places: Float[Tensor, "*batch frames 2"], soles: Float[Tensor, "*batch frames points 3"]
) -> tuple[
    Float[Tensor, "*batch frames pairs"], Float[Tensor, "*batch frames pairs"], Float[Tensor, "*batch frames pairs 2"]
]:
    """Of the line between every two sole points (or a point): its level distance, its height (that of the higher one),
    and its place nearest to `places`; metres."""
    first, second = torch.triu_indices(soles.shape[-2], soles.shape[-2])
    start, end, wanted = soles[..., first, :2], soles[..., second, :2], places[..., None, :]
    line = end - start
    along = ((wanted - start) * line).sum(-1) / line.square().sum(-1).clamp(min=1e-8)
    nearest = start + along.clamp(0, 1)[..., None] * line
    distance = (wanted - nearest).square().sum(-1).clamp(min=1e-8).sqrt()
    return distance, torch.maximum(soles[..., first, 2], soles[..., second, 2]), nearest


def _step(frame_rate: float) -> int:
    return max(1, round(_SPAN * frame_rate))


def _acceleration(places: Float[Tensor, "*batch frames 3"], frame_rate: float) -> Float[Tensor, "*batch frames 3"]:
    """By differences over `_SPAN`; 0 for what is too short for one."""
    step = _step(frame_rate)
    frames = places.shape[-2]
    if frames <= 2 * step:
        return torch.zeros_like(places)
    before, now, after = places[..., : -2 * step, :], places[..., step:-step, :], places[..., 2 * step :, :]
    inner = (before - 2 * now + after) * (frame_rate / step) ** 2
    ends = [
        inner[..., :1, :].expand_as(places[..., :step, :]),
        inner,
        inner[..., -1:, :].expand_as(places[..., :step, :]),
    ]
    return torch.cat(ends, dim=-2)


# ---------------------------------------------------------------------------------------------------------------------
# Foot contact
# ---------------------------------------------------------------------------------------------------------------------

# Thresholds as others use them on AMASS at 30 Hz: a toe joint lower than 4 cm (HuMoR, Rempe et al. 2021, its data
# processing), and slower than 1 cm a frame, 0.3 m/s (EDGE, Tseng et al. 2023, its data loader).
CONTACT_HEIGHT = 0.04  # metres above the ground
CONTACT_SPEED = 0.3  # m/s


def foot_contacts(
    soles: Float[Tensor, "*batch frames 4 3"],
    frame_rate: float,
    *,
    height: float = CONTACT_HEIGHT,
    speed: float = CONTACT_SPEED,
) -> Bool[Tensor, "*batch frames 4"]:
    """Whether each sole point touches the ground: it is low, and it rests towards the frame before or after.

    soles   world positions in metres, Z up, ground at z = 0, order of `SOLE_NAMES`
    The slower of the two neighbouring steps counts, so that the frames of landing and of leaving belong to the
    contact: at 30 Hz a sprinter's whole contact is three frames. A single frame is judged by its height alone.
    """
    low = soles[..., 2] < height
    if soles.shape[-3] < 2:
        return low
    step = soles.diff(dim=-3).norm(dim=-1) * frame_rate  # (*batch, frames - 1, 4)
    before = torch.cat([step[..., :1, :], step], -2)
    after = torch.cat([step, step[..., -1:, :]], -2)
    return low & (torch.minimum(before, after) < speed)
