"""Controls: motion spoilt in known ways, which a sound evaluation must show as bad where it is bad.

All but the copies are made of the held-out clips, so that the row beside the real one differs by the damage alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import roma
import torch

from motiongan.evaluation.evaluate import TO_HELD_OUT, Evaluator
from motiongan.evaluation.figures import OVERALL, Estimate, Row
from motiongan.evaluation.windows import PosedWindows
from motiongan.motion.clip import Clip

NOISE = 0.05  # radians, standard deviation per axis of every joint and frame
JOINT_NOISE = 0.01  # metres, standard deviation per axis of every joint's position
AVERAGED = 4  # clips of an action that a clip of averaged motion is the mean of

ABOVE, BELOW = "above", "below"


@dataclass(frozen=True)
class Control:
    """What was spoilt, and by name the figures that must expose it: `ABOVE` or `BELOW` the held-out row's interval."""

    meaning: str
    exposed_by: Mapping[str, str]


CONTROLS = {
    "noisy": Control(
        f"Held-out clips with {NOISE:g} rad of noise on every joint. FID need not rise: the recognizer is trained with"
        " noise, and the held-out people are far from the training clips already.",
        {"jerk_ratio": ABOVE, "spectrum": ABOVE},
    ),
    "noisy joints": Control(
        f"Held-out clips with {1000 * JOINT_NOISE:g} mm of noise on every joint's position, as no skinned body"
        " can move.",
        {"bone_drift_mm": ABOVE},
    ),
    "frozen": Control(
        "Held-out clips that stand still in their first pose.",
        {"jerk_ratio": BELOW, "fid": ABOVE, "phase_coverage": BELOW},
    ),
    "shuffled": Control("Held-out clips with their frames in random order.", {"jerk_ratio": ABOVE, "spectrum": ABOVE}),
    "averaged": Control(f"Means of {AVERAGED} held-out clips of an action.", {"pose_diversity": BELOW}),
    "copies": Control(
        "The training clips themselves: their FID is best of all, so other figures must show them.",
        {"nn_ratio": BELOW, "copy_share": ABOVE},
    ),
}


@dataclass(frozen=True)
class Verdict:
    """Whether a figure exposes a control: its value lies on the `expected` side of the held-out row's interval."""

    figure: str
    expected: str
    shown: bool


def verdicts(control: str, row: Row, real: Row) -> list[Verdict]:
    """Of each figure that must expose a control, whether it does; a figure that either row lacks does not."""
    found = []
    for name, expected in CONTROLS[control].exposed_by.items():
        spoilt, held_out = (one[OVERALL].get(name, Estimate(math.nan)) for one in (row, real))
        known = math.isfinite(held_out.low)
        low, high = (held_out.low, held_out.high) if known else (held_out.value, held_out.value)
        shown = spoilt.value > high if expected == ABOVE else spoilt.value < low
        found.append(Verdict(name, expected, shown))
    return found


def assess_controls(
    evaluator: Evaluator, train: Sequence[Clip], held_out: Sequence[Clip], *, seed: int
) -> dict[str, Row]:
    """Rows by control. What is made of the held-out clips has no figures that compare with these very clips."""
    rows: dict[str, Row] = {}
    for name, clips in make_controls(train, held_out, seed=seed).items():
        rows[name] = evaluator.assess(clips, teach=name == "copies")
        if name == "noisy":
            noisy = _with_noisy_joints(evaluator.pose(held_out), seed=seed)
            rows["noisy joints"] = evaluator.assess(noisy, teach=False)
    return {
        name: row if name == "copies" else {action: _without_held_out(figures) for action, figures in row.items()}
        for name, row in rows.items()
    }


def _without_held_out(figures: dict[str, Estimate]) -> dict[str, Estimate]:
    return {name: estimate for name, estimate in figures.items() if name not in TO_HELD_OUT}


def _with_noisy_joints(windows: PosedWindows, *, seed: int) -> PosedWindows:
    """Windows whose joints, alone, are moved at random: what only a body of loose points can do."""
    generator = torch.Generator().manual_seed(seed)
    noise = JOINT_NOISE * torch.randn(windows.joints.shape, generator=generator)
    return replace(windows, joints=windows.joints + noise)


def make_controls(train: Sequence[Clip], held_out: Sequence[Clip], *, seed: int) -> dict[str, list[Clip]]:
    """Clips by the name of their control; equal for equal clips and seed. {} but for copies without held-out clips."""
    random = np.random.default_rng(seed)
    made: dict[str, list[Clip]] = {}
    if held_out:
        made["noisy"] = [
            replace(clip, poses=clip.poses + random.normal(0, NOISE, clip.poses.shape).astype(np.float32))
            for clip in held_out
        ]
        made["frozen"] = [_rearranged(clip, np.zeros(clip.num_frames, dtype=np.int64)) for clip in held_out]
        made["shuffled"] = [_rearranged(clip, random.permutation(clip.num_frames)) for clip in held_out]
        made["averaged"] = [_averaged(clip, held_out, random) for clip in held_out]
    return made | {"copies": list(train)}


def _rearranged(clip: Clip, frames: np.ndarray) -> Clip:
    return replace(clip, poses=clip.poses[frames], trans=clip.trans[frames])


def _averaged(clip: Clip, clips: Sequence[Clip], random: np.random.Generator) -> Clip:
    """The mean of a clip and others of its action, drawn at random, from the start of each; headings are not turned."""
    same = [other for other in clips if other.action == clip.action and other.num_frames]
    chosen = [clip, *(same[number] for number in random.integers(len(same), size=AVERAGED - 1))]
    frames = [np.minimum(np.arange(clip.num_frames), other.num_frames - 1) for other in chosen]
    rotations = torch.stack(
        [roma.rotvec_to_rotmat(torch.from_numpy(other.poses[rows])) for other, rows in zip(chosen, frames)]
    )
    mean = roma.special_procrustes(rotations.mean(0))
    trans = np.mean([other.trans[rows] for other, rows in zip(chosen, frames)], axis=0)
    return replace(clip, poses=roma.rotmat_to_rotvec(mean).numpy(), trans=trans.astype(np.float32))
