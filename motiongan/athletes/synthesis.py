"""Specification + made-up athletes -> clips."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Float
from numpy import ndarray

from motiongan.athletes.grounding import ground
from motiongan.athletes.posture import local_rotations
from motiongan.athletes.spec import (
    ANGLE,
    ANGLES,
    CURVE_SAMPLES,
    LIMB_ANGLES,
    MIDLINE_ANGLES,
    SIDES,
    Action,
    Spec,
    inside,
    mirror_angles,
)
from motiongan.athletes.stepping import Contacts
from motiongan.body.kinematics import Skeleton
from motiongan.body.skeleton import NUM_JOINTS
from motiongan.body.smpl import Body
from motiongan.motion.clip import NUM_BETAS, Clip

# Nobody's data: who makes clips from the specification may do with them what they like.
LICENCE = "CC0-1.0"

CLIP_SECONDS = (2.0, 4.0)
# Share of a whole cycle that a clip of a single, not a cyclic, action shows at least.
_WHOLE_ACTION = 0.9

# Motion is computed at no less than this rate: a sprinter's foot is down for a tenth of a second.
_FINE_RATE = 90.0
# Seconds computed before and after a clip, so that its ends are as good as its middle.
_MARGIN = 0.4

_REFERENCE_LEG = 1.0  # metres from pelvis to sole; the specification's cycle times are for this leg
_BETAS_LIMIT = 2.0  # of the standard normal shape coefficients; on the default body: statures of 1.5 to 1.9 m

# Differences between clips of one athlete, and within a clip (standard deviations).
_CLIP_STYLE = 0.35  # of the style offsets between athletes
_LIMB_AMPLITUDE = 0.03  # fraction, each angle on its own
_ASYMMETRY = 0.25  # of the style offsets, between the athlete's own two sides
_WOBBLE_CONSTANT = np.deg2rad(0.4)
_WOBBLE_SHARE = 0.012  # of the angle's range
_WOBBLE_HERTZ = (0.15, 1.2)
_WOBBLE_WAVES = 4
_CYCLE_JITTER = 0.02  # fraction of the tempo, varying within the clip
_TURN_RATE = np.deg2rad(4)  # rad/s of a slowly curving way

# Share of the one-sided clips in which athletes use the side they do not prefer.
_OTHER_SIDE = 0.15

# Hinge joints bend one way: they approach these angles smoothly instead of passing them.
_HINGE_FLOOR = {"knee_flexion": np.deg2rad(3), "elbow_flexion": np.deg2rad(4)}
_HINGE_SOFTNESS = np.deg2rad(3)


@dataclass(frozen=True, eq=False)
class Athlete:
    """One made-up person.

    name        subject of the person's clips
    betas       (10,) body shape of the body model that the clips are made for
    style       (angles,) constant offsets, radians
    tempo, amplitude   how the person differs from the norm, in standard deviations
    is_left     kicks and throws with the left
    """

    name: str
    betas: Float[ndarray, "10"]
    style: Float[ndarray, "angles"]
    tempo: float
    amplitude: float
    is_left: bool


@dataclass(frozen=True, eq=False)
class _Plan:
    """The draws of one clip, before its motion is computed. Arrays are over the fine frames."""

    athlete: Athlete
    take: int
    num_frames: int
    angles: Float[ndarray, "frames angles"]
    heading: Float[ndarray, "frames"]
    down: ndarray
    flat: ndarray


def draw_athlete(spec: Spec, index: int, *, seed: int) -> Athlete:
    """The athlete of that number: a person who depends on the seed and the number alone."""
    rng = np.random.default_rng([seed, 1, index])
    betas = np.clip(rng.normal(size=NUM_BETAS), -_BETAS_LIMIT, _BETAS_LIMIT)
    return Athlete(
        name=f"athlete{index + 1:02d}",
        betas=betas.astype(np.float32),
        style=_style_offsets(spec, rng),
        tempo=_bounded_normal(rng),
        amplitude=_bounded_normal(rng),
        is_left=bool(rng.random() < 0.5),
    )


def synthesize_action(
    spec: Spec,
    name: str,
    body: Body,
    *,
    clips: int,
    subjects: int,
    seed: int,
    frame_rate: float = 30.0,
) -> list[Clip]:
    """Clips of one action, dealt over the athletes in turn.

    Clip i depends on the seed, the action's name and i alone: other actions, more clips or more subjects than i change
    nothing. Ground at z = 0, the pelvis starts above the origin.
    """
    action = spec.actions[name]
    oversampling = int(np.ceil(_FINE_RATE / frame_rate))
    fine_rate = frame_rate * oversampling
    margin = int(np.ceil(_MARGIN * frame_rate)) * oversampling
    fine_frames = int(np.ceil(CLIP_SECONDS[1] * frame_rate)) * oversampling + 2 * margin

    athletes = [draw_athlete(spec, index, seed=seed) for index in range(min(subjects, clips))]
    betas = torch.from_numpy(np.stack([athlete.betas for athlete in athletes]))
    skeletons = body.skeleton(betas)
    legs = skeletons.leg_length.numpy()

    table = action.angle_table()
    plans = []
    for index in range(clips):
        who, take = index % subjects, index // subjects
        rng = np.random.default_rng([seed, 2, zlib.crc32(name.encode()), who, take])
        time = (np.arange(fine_frames) - margin) / fine_rate
        plans.append(_plan(spec, action, table, athletes[who], take, float(legs[who]), time, rng, frame_rate))

    chosen = torch.arange(clips) % subjects
    skeleton = Skeleton(skeletons.rest_joints[chosen].double(), skeletons.rest_soles[chosen].double())
    angles = torch.from_numpy(np.stack([plan.angles for plan in plans]))
    heading = torch.from_numpy(np.stack([plan.heading for plan in plans]))
    contacts = Contacts(np.stack([plan.down for plan in plans]), np.stack([plan.flat for plan in plans]))
    rotations, trans = ground(
        local_rotations(angles, heading),
        contacts,
        skeleton,
        balance=action.balance,
        is_travelling=action.pattern == "alternating",
        frame_rate=fine_rate,
    )

    result = []
    for index, plan in enumerate(plans):
        kept = slice(margin, margin + plan.num_frames * oversampling, oversampling)
        poses = roma.rotmat_to_rotvec(rotations[index, kept]).numpy()
        place = trans[index, kept].numpy()
        start = place[0] + skeleton.rest_joints[index, 0].numpy()
        place = place - np.array([start[0], start[1], 0.0])
        result.append(
            Clip(
                poses=poses.astype(np.float32).reshape(-1, NUM_JOINTS, 3),
                trans=place.astype(np.float32),
                frame_rate=frame_rate,
                action=name,
                betas=plan.athlete.betas,
                subject=plan.athlete.name,
                source=f"made-up {name}, take {plan.take + 1}",
            )
        )
    return result


def synthesize(
    spec: Spec,
    body: Body,
    *,
    clips_per_action: int,
    subjects: int,
    seed: int,
    frame_rate: float = 30.0,
    actions: Sequence[str] | None = None,
) -> Iterator[Clip]:
    """All clips, action by action; None = every action of the specification."""
    for name in actions if actions is not None else spec.actions:
        yield from synthesize_action(
            spec, name, body, clips=clips_per_action, subjects=subjects, seed=seed, frame_rate=frame_rate
        )


def _plan(
    spec: Spec,
    action: Action,
    table: ndarray,
    athlete: Athlete,
    take: int,
    leg: float,
    time: ndarray,
    rng: np.random.Generator,
    frame_rate: float,
) -> _Plan:
    """The joint angles and contacts of one clip over the fine frames; `time` is 0 at the clip's first frame."""
    # Pendulums of another length: periods go with the root of the leg's.
    cycle = action.cycle * np.sqrt(leg / _REFERENCE_LEG)
    cycle *= np.exp(action.tempo * (0.8 * athlete.tempo + 0.6 * _bounded_normal(rng)))
    shortest = min(max(CLIP_SECONDS[0], _WHOLE_ACTION * cycle * (action.pattern != "alternating")), CLIP_SECONDS[1])
    num_frames = round(rng.uniform(shortest, CLIP_SECONDS[1]) * frame_rate)

    jitter = _CYCLE_JITTER * _waves(time, 1, rng)[:, 0]
    speed = (1 + jitter) / cycle
    phase = np.cumsum(speed) * (time[1] - time[0])
    phase += rng.uniform(*action.start) / 100 - np.interp(0.0, time, phase)

    position = np.mod(phase, 1.0) * CURVE_SAMPLES
    low = position.astype(int) % CURVE_SAMPLES
    share = (position - np.floor(position))[:, None]
    angles = table[low] * (1 - share) + table[(low + 1) % CURVE_SAMPLES] * share
    middle = table.mean(0) if action.pattern == "alternating" else table[0]
    amplitude = np.exp(action.amplitude * (0.8 * athlete.amplitude + 0.6 * _bounded_normal(rng)))
    angles = middle + (angles - middle) * amplitude * np.exp(_LIMB_AMPLITUDE * rng.normal(size=len(ANGLES)))

    reach = table.max(0) - table.min(0)
    angles += (_WOBBLE_CONSTANT + _WOBBLE_SHARE * reach) * _waves(time, len(ANGLES), rng)
    left, right = action.contact_intervals()
    down = np.stack([inside(phase, left.down), inside(phase, right.down)], -1)
    flat = np.stack([inside(phase, left.flat), inside(phase, right.flat)], -1)
    leads_left = athlete.is_left ^ bool(rng.random() < _OTHER_SIDE)
    if action.pattern == "one_sided" and leads_left:
        angles, down, flat = mirror_angles(angles), down[:, ::-1], flat[:, ::-1]

    angles = angles + athlete.style + _CLIP_STYLE * _style_offsets(spec, rng)
    for side in SIDES:
        for name, floor in _HINGE_FLOOR.items():
            column = ANGLE[f"{side}_{name}"]
            angles[:, column] = floor + _HINGE_SOFTNESS * np.logaddexp(0, (angles[:, column] - floor) / _HINGE_SOFTNESS)

    turn = _TURN_RATE * rng.normal() * (action.pattern == "alternating")
    heading = rng.uniform(-np.pi, np.pi) + turn * time
    return _Plan(athlete, take, num_frames, angles, heading, down, flat)


def _style_offsets(spec: Spec, rng: np.random.Generator) -> Float[ndarray, "angles"]:
    """Constant postural offsets, radians: the same on both sides but for a small asymmetry."""
    offsets = np.zeros(len(ANGLES))
    for name in (*MIDLINE_ANGLES, *LIMB_ANGLES):
        spread = np.deg2rad(spec.style.get(name, 0.0))
        common, left, right = np.clip(rng.normal(size=3), -2, 2)
        if name in ANGLE:
            offsets[ANGLE[name]] = spread * common
        else:
            offsets[ANGLE[f"left_{name}"]] = spread * (common + _ASYMMETRY * left)
            offsets[ANGLE[f"right_{name}"]] = spread * (common + _ASYMMETRY * right)
    return offsets


def _bounded_normal(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(), -2, 2))


def _waves(time: ndarray, columns: int, rng: np.random.Generator) -> Float[ndarray, "frames columns"]:
    """Slow, smooth, never repeating wobble of unit variance."""
    frequency = rng.uniform(*_WOBBLE_HERTZ, size=(_WOBBLE_WAVES, columns))
    start = rng.uniform(0, 2 * np.pi, size=(_WOBBLE_WAVES, columns))
    waves = np.sin(2 * np.pi * frequency * time[:, None, None] + start)
    return waves.sum(1) * np.sqrt(2 / _WOBBLE_WAVES)
