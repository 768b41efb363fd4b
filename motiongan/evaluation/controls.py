"""Controls: motion spoilt in known ways, which a sound evaluation must show as bad where it is bad.

All but the copies are made of the held-out clips, so that the row beside the real one differs by the damage alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import roma
import torch

from motiongan.evaluation.evaluate import Evaluator
from motiongan.evaluation.figures import Row
from motiongan.motion.clip import Clip

NOISE = 0.05  # radians, standard deviation per axis of every joint and frame
AVERAGED = 4  # clips of an action that a clip of averaged motion is the mean of

# name -> what must show it
CONTROLS = {
    "noisy": f"Held-out clips with {NOISE:g} rad of noise on every joint: jerk and FID must be far above the real row.",
    "frozen": "Held-out clips that stand still in their first pose: jerk must be 0, and FID high.",
    "shuffled": "Held-out clips with their frames in random order: jerk must be far above 1.",
    "averaged": f"Means of {AVERAGED} held-out clips of an action: pose diversity must fall below the real row.",
    "copies": "The training clips themselves: FID is best of all, so near-copies and the ratio to held-out must show"
    " it.",
}


def assess_controls(
    evaluator: Evaluator, train: Sequence[Clip], held_out: Sequence[Clip], *, seed: int
) -> dict[str, Row]:
    """Rows by control. What is made of the held-out clips has no figures that compare with these very clips."""
    rows: dict[str, Row] = {}
    for name, clips in make_controls(train, held_out, seed=seed).items():
        row = evaluator.assess(clips)
        if name != "copies":
            row = {
                action: {
                    figure: estimate
                    for figure, estimate in figures.items()
                    if not figure.endswith("held_out") and figure != "synthetic_accuracy"
                }
                for action, figures in row.items()
            }
        rows[name] = row
    return rows


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
