"""Controls: motion spoilt in known ways, which a sound evaluation must show as bad where it is bad.

All but the copies are made of the held-out clips, so that the row beside the real one differs by the damage alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import roma
import torch

from motiongan.evaluation.evaluate import TO_HELD_OUT, Evaluator
from motiongan.evaluation.figures import Estimate, Row
from motiongan.evaluation.windows import PosedWindows
from motiongan.motion.clip import Clip

NOISE = 0.05  # radians, standard deviation per axis of every joint and frame
JOINT_NOISE = 0.01  # metres, standard deviation per axis of every joint's position
AVERAGED = 4  # clips of an action that a clip of averaged motion is the mean of

# name -> what must show it
CONTROLS = {
    "noisy": f"Held-out clips with {NOISE:g} rad of noise on every joint: jerk and FID must be far above the real row.",
    "noisy joints": f"Held-out clips with {1000 * JOINT_NOISE:g} mm of noise on every joint's position, as no skinned"
    " body can move: bone-length drift must be millimetres, and only here.",
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
