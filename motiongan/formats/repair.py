"""Faults of captured motion: lost frames, spikes, flips and jumps; what can be mended is, the rest is cut out.

Solvers that fit a skeleton to markers sometimes lose a limb for some frames, or turn it by 180 degrees about itself.
Such a stretch shows as two steps that no human makes, one in and one out.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float64
from numpy import ndarray
from torch import Tensor

from motiongan.body.skeleton import JOINT, NUM_JOINTS
from motiongan.formats.crouch import mend_crouches
from motiongan.motion.clip import Clip

# Faster than this no one moves between two frames. The fastest known turn is a pitcher's shoulder, 6,180 deg/s =
# 108 rad/s for hundredths of a second, his elbow reaches 80 rad/s (Pappas, Zawacki and Sullivan 1985, as cited since);
# a sprinter runs 12.4 m/s.
_FASTEST_TURN = 108.0  # rad/s, every joint
_FASTEST_ROOT_TURN = 40.0  # rad/s
_FASTEST_ROOT = 14.0  # m/s
_SMALLEST_JUMP = 0.35  # rad in one frame; at high frame rates noise may pass the speeds above

_SPIKE = 0.1  # seconds; a stretch between two jumps that is shorter is wrong, whatever it shows
_LONGEST_GAP = 0.25  # seconds of a limb that are filled in
_LONGEST_TIP_GAP = 1.0  # the same of wrists and toes
_BLEND = 0.05  # seconds before and after a single jump of a wrist or of toes, over which it is spread
_LONG_PIECE = 2.0  # seconds; a clip cut at jumps keeps its pieces of this length,
_KEPT_SHARE = 0.5  # and one of at least this part of it

_SIDES = ("left", "right")
_LEGS = tuple(tuple(JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle")) for side in _SIDES)
_ARMS = tuple(tuple(JOINT[f"{side}_{name}"] for name in ("collar", "shoulder", "elbow")) for side in _SIDES)
_TIPS = tuple((JOINT[f"{side}_{name}"],) for name in ("foot", "wrist") for side in _SIDES)
_HEAD = ((JOINT["neck"], JOINT["head"]),)
_TIP_JOINTS = [joint for group in _TIPS for joint in group]

# Beyond these a joint is not merely bent far but turned over; far outside the ranges of motion of the clinic.
_TURNED_OVER = {"hip": 2.6, "ankle": 1.75, "foot": 1.6, "wrist": 1.9, "shoulder": 3.0}  # rad from rest
_KNEE_BACKWARD = -0.5  # rad; flexion is a turn about +X of the knee


@dataclass(frozen=True)
class Repaired:
    """A clip whose faults are mended, and which of its frames can be used.

    pieces    runs of sound frames, in order; none where too little is left
    notices   what was mended or cut, in words
    """

    clip: Clip
    pieces: tuple[slice, ...]
    notices: tuple[str, ...]


def repair(clip: Clip, rest_joints: Float64[ndarray, "24 3"]) -> Repaired:
    """Mend what can be mended and find the sound pieces.

    rest_joints   (24, 3) of the body, in its rest axes

    Up to 0.1 s before a jump at the start (a T-pose that some files begin with) or after one at the end are cut off.
    A leg whose thigh and shin are turned by 180 degrees about themselves, so that the knee bends backward, is turned
    back: its joints are where they were. Legs lost at the bottom of a crouch: see `mend_crouches`.
    Filled in along geodesics from the frames around: frames with NaN and stretches between two jumps up to 0.1 s;
    flipped or broken legs and arms up to 0.25 s; wrists and toes up to 1 s. A single jump of a wrist or of toes is
    spread over 0.1 s. At other jumps and longer gaps the clip is cut; pieces of at least 2 s or half the clip stay.
    """
    ends = _sound_ends(clip)
    if ends == slice(0, clip.num_frames):
        return _repair_inside(clip, rest_joints)
    inner = _repair_inside(clip.crop(ends.start, ends.stop), rest_joints)
    poses, trans = clip.poses.copy(), clip.trans.copy()
    poses[ends], trans[ends] = inner.clip.poses, inner.clip.trans
    pieces = tuple(slice(piece.start + ends.start, piece.stop + ends.start) for piece in inner.pieces)
    notices = (f"a jump within {_SPIKE:g} s of an end: cut off there", *inner.notices)
    return Repaired(replace(clip, poses=poses, trans=trans), pieces, notices)


def _sound_ends(clip: Clip) -> slice:
    """The clip without the frames between its ends and a jump of body or limb (not of wrists or toes) within 0.1 s."""
    near = round(_SPIKE * clip.frame_rate)
    if clip.num_frames < 4 * near or not (np.isfinite(clip.poses).all() and np.isfinite(clip.trans).all()):
        return slice(0, clip.num_frames)
    rotations = roma.rotvec_to_unitquat(torch.from_numpy(clip.poses).double())
    jumps = _joint_jumps(rotations, clip.frame_rate)
    jumps[:, _TIP_JOINTS] = False
    steps = jumps.any(1) | _root_jumps(rotations, clip.trans.astype(np.float64), clip.frame_rate)
    first, last = np.flatnonzero(steps[:near]), np.flatnonzero(steps[-near:])
    start = int(first[-1]) + 1 if len(first) else 0
    stop = len(steps) - near + int(last[0]) + 1 if len(last) else clip.num_frames
    return slice(start, stop)


def _repair_inside(clip: Clip, rest_joints: Float64[ndarray, "24 3"]) -> Repaired:
    """As `repair`, faults near the ends being treated like others."""
    finite = np.isfinite(clip.poses).all((1, 2)) & np.isfinite(clip.trans).all(1)
    if clip.num_frames < 2 or not finite.any():
        pieces = (slice(0, clip.num_frames),) if finite.all() and clip.num_frames else ()
        return Repaired(clip, pieces, () if pieces else ("frames with NaN or infinity",))
    rotations = roma.rotvec_to_unitquat(torch.from_numpy(np.nan_to_num(clip.poses)).double())
    trans = np.nan_to_num(clip.trans).astype(np.float64)
    mended: list[str] = []

    crouches = mend_crouches(rotations, trans, rest_joints, clip.frame_rate) if finite.all() else None
    fault = "a jump no human makes" if finite.all() else "frames with NaN or infinity"
    if crouches is not None:
        if not torch.equal(crouches.rotations, rotations):
            mended.append("legs that were lost in a deep crouch laid anew over standing feet")
        rotations, finite = crouches.rotations, ~crouches.lost
        fault = "legs lost in a deep crouch" if crouches.lost.any() else fault
    elif finite.all() and not (
        _joint_jumps(rotations, clip.frame_rate).any() or _root_jumps(rotations, trans, clip.frame_rate).any()
    ):
        return Repaired(clip, (slice(0, clip.num_frames),), ())
    if crouches is None and not finite.all():
        # All are filled, so that they show as no jumps; the long gaps are cut out in the end.
        rotations, trans = _fill(rotations, ~finite, range(NUM_JOINTS)), _fill_positions(trans, ~finite)
        short = _runs_up_to(~finite, _SPIKE * clip.frame_rate)
        finite |= short
        if short.any():
            mended.append("lost frames (NaN) filled in")
    whole = _short_stretches(_root_jumps(rotations, trans, clip.frame_rate), _SPIKE, clip.frame_rate)
    if whole.any():
        rotations = _fill(rotations, whole, range(NUM_JOINTS))
        trans = _fill_positions(trans, whole)
        mended.append("spikes of the whole body filled in")
    for leg in _LEGS:
        turned_back = _turn_legs_back(rotations, leg, rest_joints, clip.frame_rate)
        if turned_back is not None:
            rotations = turned_back
            mended.append("a leg that was turned about itself turned back")
    for groups, longest, words in (
        ((*_LEGS, *_ARMS), _LONGEST_GAP, "flips or spikes of a limb filled in"),
        (_HEAD, _SPIKE, "spikes of the head filled in"),
        (_TIPS, _LONGEST_TIP_GAP, "flips or spikes of a wrist or of toes filled in"),
    ):
        for group in groups:
            bad = _bad_stretches(rotations, group, longest, clip.frame_rate)
            if bad.any():
                rotations = _fill(rotations, bad, group)
                mended.append(words)
    blend = max(1, round(_BLEND * clip.frame_rate))
    for joint in _TIP_JOINTS:
        bad = np.zeros(clip.num_frames, dtype=bool)
        for step in np.flatnonzero(_joint_jumps(rotations, clip.frame_rate)[:, joint]):
            bad[max(0, step + 1 - blend) : step + 1 + blend] = True
        if bad.any() and not bad.all():
            rotations = _fill(rotations, bad, (joint,))
            mended.append("a jump of a wrist or of toes spread over 0.1 s")
    if mended:
        poses = roma.unitquat_to_rotvec(rotations).float().numpy()
        clip = replace(clip, poses=poses, trans=trans.astype(np.float32))

    jumps = _joint_jumps(rotations, clip.frame_rate).any(1) | _root_jumps(rotations, trans, clip.frame_rate)
    notices = tuple(dict.fromkeys(mended))
    sound, cut = _pieces(jumps, finite, fault, clip.frame_rate)
    return Repaired(clip, sound, notices + cut)


def _pieces(
    jumps: Bool[ndarray, "steps"], usable: Bool[ndarray, "frames"], fault: str, frame_rate: float
) -> tuple[tuple[slice, ...], tuple[str, ...]]:
    """The sound runs of frames that are long enough, and what was cut for the fault."""
    count = len(usable)
    breaks = jumps | (usable[1:] != usable[:-1])
    edges = np.concatenate([[0], np.flatnonzero(breaks) + 1, [count]])
    runs = [slice(int(a), int(b)) for a, b in itertools.pairwise(edges) if usable[a]]
    if len(edges) == 2 and runs:
        return (slice(0, count),), ()
    enough = min(_LONG_PIECE * frame_rate, _KEPT_SHARE * count)
    kept = tuple(run for run in runs if run.stop - run.start >= enough)
    if not kept:
        return (), (f"{fault}, no long piece without",)
    where = "cut off at an end" if len(kept) == 1 else "cut out, the pieces are clips of their own"
    return kept, (f"{fault}: {where}",)


def _joint_jumps(rotations: Tensor, frame_rate: float) -> Bool[ndarray, "steps 24"]:
    """Where a joint turns from one frame to the next as no human can."""
    cosines = (rotations[1:] * rotations[:-1]).sum(-1).abs().clamp(max=1)
    angles = 2 * torch.acos(cosines).numpy()
    limits = np.full(NUM_JOINTS, max(_FASTEST_TURN / frame_rate, _SMALLEST_JUMP))
    limits[JOINT["pelvis"]] = max(_FASTEST_ROOT_TURN / frame_rate, _SMALLEST_JUMP)
    jumps: ndarray = angles > limits
    return jumps


def _root_jumps(rotations: Tensor, trans: Float64[ndarray, "frames 3"], frame_rate: float) -> Bool[ndarray, "steps"]:
    speed = np.linalg.norm(np.diff(trans, axis=0), axis=-1) * frame_rate
    return np.asarray(_joint_jumps(rotations, frame_rate)[:, JOINT["pelvis"]] | (speed > _FASTEST_ROOT))


def _stretches(jumps: Bool[ndarray, "steps"]) -> list[slice]:
    edges = [0, *(np.flatnonzero(jumps) + 1), len(jumps) + 1]
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def _short_stretches(jumps: Bool[ndarray, "steps"], longest: float, frame_rate: float) -> Bool[ndarray, "frames"]:
    """Frames of the stretches between jumps that are too short to be real; not the longest of all."""
    stretches = _stretches(jumps)
    bad = np.zeros(len(jumps) + 1, dtype=bool)
    main = max(stretches, key=lambda stretch: stretch.stop - stretch.start)
    for stretch in stretches:
        if stretch != main and stretch.stop - stretch.start <= longest * frame_rate:
            bad[stretch] = True
    return bad


def _turn_legs_back(
    rotations: Tensor, leg: tuple[int, ...], rest_joints: Float64[ndarray, "24 3"], frame_rate: float
) -> Tensor | None:
    """The rotations with stretches turned back in which thigh and shin are flipped; None where there is none.

    With half turns A about the thigh and B about the shin: hip' = hip A, knee' = A^-1 knee B; the ankle's own rotation
    stays, as the solver's did. Kept where the jumps at both ends of the stretch are gone by that.
    """
    hip, knee, ankle = leg
    jumps = np.asarray(_joint_jumps(rotations, frame_rate)[:, [hip, knee]].any(1))
    if not jumps.any():
        return None
    thigh, shin = (
        torch.from_numpy(np.append(bone / np.linalg.norm(bone), 0.0))  # half a turn about the bone, as a quaternion
        for bone in (rest_joints[knee] - rest_joints[hip], rest_joints[ankle] - rest_joints[knee])
    )
    turned, changed = rotations.clone(), False
    for stretch in _stretches(jumps):
        if not _turned_over(turned[stretch], (knee,)).mean() > 0.5:
            continue
        trial = turned.clone()
        trial[stretch, hip] = roma.quat_product(turned[stretch, hip], thigh.expand(stretch.stop - stretch.start, 4))
        trial[stretch, knee] = roma.quat_product(
            roma.quat_product(roma.quat_conjugation(thigh).expand_as(trial[stretch, knee]), turned[stretch, knee]),
            shin.expand_as(trial[stretch, knee]),
        )
        around = slice(max(0, stretch.start - 1), min(len(rotations), stretch.stop + 1))
        if not _joint_jumps(trial[around], frame_rate)[:, [hip, knee]].any():
            turned, changed = trial, True
    return turned if changed else None


def _bad_stretches(
    rotations: Tensor, group: tuple[int, ...], longest: float, frame_rate: float
) -> Bool[ndarray, "frames"]:
    """Frames in which a group of joints is broken and can be filled in."""
    jumps = np.asarray(_joint_jumps(rotations, frame_rate)[:, list(group)].any(1))
    if not jumps.any():
        return np.zeros(len(rotations), dtype=bool)
    bad = _short_stretches(jumps, _SPIKE, frame_rate)
    turned_over = _turned_over(rotations, group)
    for stretch in _stretches(jumps):
        if turned_over[stretch].mean() > 0.5:
            bad[stretch] = True
    # Neighbouring bad stretches make one gap; gaps too long to fill are left, and cut out later.
    bad = _runs_up_to(bad, longest * frame_rate)
    return bad if not bad.all() else np.zeros_like(bad)


def _runs_up_to(flags: Bool[ndarray, "frames"], longest: float) -> Bool[ndarray, "frames"]:
    """The flags without those in runs of more than `longest` frames."""
    kept = flags.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2]):
        if stop - start > longest:
            kept[start:stop] = False
    return kept


def _turned_over(rotations: Tensor, group: tuple[int, ...]) -> Bool[ndarray, "frames"]:
    """Frames in which a joint of the group is bent as no one's is."""
    vectors = roma.unitquat_to_rotvec(rotations[:, list(group)]).numpy()
    over = np.zeros(len(rotations), dtype=bool)
    for vector, joint in zip(vectors.swapaxes(0, 1), group):
        name = _NAMES[joint]
        if name == "knee":
            over |= vector[:, 0] < _KNEE_BACKWARD
        elif name in _TURNED_OVER:
            over |= np.linalg.norm(vector, axis=-1) > _TURNED_OVER[name]
    return over


_NAMES = {index: name.rpartition("_")[2] for name, index in JOINT.items()}


def _fill(rotations: Tensor, bad: Bool[ndarray, "frames"], joints: "range | tuple[int, ...]") -> Tensor:
    """The rotations with the bad frames of some joints on the geodesic between the good frames around them."""
    before, after, fraction = _around(bad)
    chosen = rotations[:, list(joints)]
    start, end = chosen[before], chosen[after]
    turn = roma.unitquat_to_rotvec(roma.quat_product(roma.quat_conjugation(start), end))
    between = roma.quat_product(start, roma.rotvec_to_unitquat(torch.from_numpy(fraction)[:, None, None] * turn))
    filled = rotations.clone()
    frames = torch.from_numpy(np.flatnonzero(bad))
    for column, joint in enumerate(joints):
        filled[frames, joint] = between[:, column]
    return filled


def _fill_positions(
    positions: Float64[ndarray, "frames 3"], bad: Bool[ndarray, "frames"]
) -> Float64[ndarray, "frames 3"]:
    before, after, fraction = _around(bad)
    filled = positions.copy()
    filled[bad] = positions[before] + fraction[:, None] * (positions[after] - positions[before])
    return filled


def _around(bad: Bool[ndarray, "frames"]) -> tuple[ndarray, ndarray, ndarray]:
    """For each bad frame the good ones before and after it (the same one at the ends), and how far between them."""
    good, wrong = np.flatnonzero(~bad), np.flatnonzero(bad)
    place = np.searchsorted(good, wrong)
    before = good[np.clip(place - 1, 0, len(good) - 1)]
    after = good[np.clip(place, 0, len(good) - 1)]
    before, after = np.where(place == 0, after, before), np.where(place == len(good), before, after)
    return before, after, np.where(after > before, (wrong - before) / np.maximum(after - before, 1), 0.0)
