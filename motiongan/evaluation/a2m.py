"""The field's Action2Motion protocol with its authors' classifiers, so that a figure can stand beside published ones.

Source: Guo et al. 2020, Action2Motion, arXiv 2007.15240, and the authors' code (EricGuo5513/action-to-motion on
GitHub, MIT). What that code does and a reader would not guess stands in `QUIRKS`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.evaluation.a2m_classifier import HIDDEN, Classifier, Convention
from motiongan.evaluation.figures import plain_table
from motiongan.evaluation.metrics import frechet_distance
from motiongan.models.checkpoint import file_hash
from motiongan.motion.clip import Clip
from motiongan.motion.features import heading_of, rotation_about_z
from motiongan.motion.resample import interpolate_positions

FRAMES = 60
REPEATS = 20
MOTIONS = 1000  # drawn of every set in each repeat; the authors draw 3000, ACTOR as many as there are
DIVERSITY_PAIRS = 200
MULTIMODALITY_PAIRS = 20  # of every class
_FACING = -math.pi / 2  # radians: the heading of a person who faces -y, which is where the people of the data sets look

QUIRKS = {
    "initial state": "the classifier starts from a state drawn from N(0, 1) at every call, which moves its features;"
    " here it is drawn from the seed, so that two runs agree",
    "length": f"{FRAMES} frames, a random piece of a longer clip; a shorter one ends with its last pose repeated, and"
    " the classifier answers after the last frame",
    "place": "joints minus the root of the first frame, not of each frame: travel counts, and so does the heading",
    "heading": "the published data sets have a camera or a room, a motion file has not: every piece is turned to face"
    " the way their people mostly do in its first frame",
    "features": "30 values after a tanh, so that no distance exceeds 2 sqrt(30) = 11",
    "fid": "between Gaussians fitted to these; to the training clips, which rewards copies, and to the held-out ones",
    "sampling": f"clips are drawn with replacement, {MOTIONS} of every set in each of {REPEATS} repeats, with the"
    " training clips' mix of actions",
    "diversity": f"mean distance of {DIVERSITY_PAIRS} random pairs; a clip may meet itself",
    "multimodality": f"mean distance of {MULTIMODALITY_PAIRS} random pairs of each class, of the classes measured here",
    "interval": f"1.96 x standard deviation / sqrt({REPEATS}) over the repeats: how exactly the protocol's own dice are"
    " known, not how the figure moves with other clips or people. ACTOR and those after it print 1.96 x variance"
    " instead (`actor_interval`), which is no interval",
}


class Pieces:
    """Clips as a classifier wants them, to draw pieces of `FRAMES` frames from.

    actions   that count, with their class; other clips are left out
    """

    def __init__(self, clips: Sequence[Clip], convention: Convention, actions: Mapping[str, int], body: Body) -> None:
        known = [clip for clip in clips if clip.action in actions and clip.num_frames]
        self.actions = [clip.action for clip in known]
        self._convention = convention
        posed = [_posed(clip, body, convention) for clip in known]
        self._lengths = torch.tensor([len(joints) for joints, _ in posed], dtype=torch.long)
        self._firsts = self._lengths.cumsum(0) - self._lengths
        empty = [torch.zeros(0, len(convention.joints), 3)]
        self._joints = torch.cat([joints for joints, _ in posed] or empty)
        self._headings = torch.cat([heading for _, heading in posed] or [torch.zeros(0)])

    def __len__(self) -> int:
        return len(self.actions)

    def cut(self, numbers: Int64[Tensor, "pieces"], *, generator: torch.Generator) -> Float[Tensor, "pieces 60 inputs"]:
        """A piece of each clip, from a random frame of it on where it is longer than `FRAMES`."""
        room = (self._lengths[numbers] - FRAMES).clamp(min=0)
        starts = (torch.rand(len(numbers), generator=generator) * (room + 1)).long().clamp(max=room)
        frames = torch.minimum(starts[:, None] + torch.arange(FRAMES), self._lengths[numbers, None] - 1)
        frames = frames + self._firsts[numbers, None]
        joints = self._joints[frames]
        joints = joints - joints[:, :1, :1]
        axes = torch.tensor(self._convention.axes, dtype=joints.dtype)
        turn = self._convention.scale * axes @ rotation_about_z(_FACING - self._headings[frames[:, 0]])
        return torch.einsum("nij,nfkj->nfki", turn, joints).flatten(2)


def _posed(clip: Clip, body: Body, convention: Convention) -> tuple[Tensor, Tensor]:
    """The convention's joints (metres, house axes) and the heading, at the convention's frame rate."""
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))
    skeleton = body.skeleton(torch.from_numpy(clip.betas)[: body.num_betas]).unsqueeze(0)
    joints = forward_kinematics(rotations, torch.from_numpy(clip.trans), skeleton).joints[:, convention.joints]
    heading = heading_of(rotations[:, 0])
    steps = clip.frame_rate / convention.frame_rate
    if abs(steps - 1) < 1e-6 or clip.num_frames < 2:
        return joints, heading
    times = torch.arange(int((clip.num_frames - 1) / steps + 1e-6) + 1, dtype=torch.float64) * steps
    return interpolate_positions(joints.double(), times).float(), heading[times.round().long()]


@dataclass(frozen=True)
class Repeated:
    """A figure of every repeat. `interval` is the half-width of the 95 % interval of their mean."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def interval(self) -> float:
        return float(1.96 * np.std(self.values, ddof=1) / math.sqrt(len(self.values)))

    @property
    def actor_interval(self) -> float:
        """What ACTOR (Petrovich et al. 2021) prints after the plus-minus sign: 1.96 times the variance."""
        return float(1.96 * np.var(self.values))


Rows = dict[str, dict[str, Repeated]]

FIGURES = {
    "fid": ("FID to training", "{:.3f}"),
    "fid_held_out": ("FID to held-out", "{:.3f}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "diversity": ("diversity", "{:.2f}"),
    "multimodality": ("multimodality", "{:.2f}"),
}


class Protocol:
    """The protocol with one classifier against real clips.

    classes    of the actions that count (`match_classes`)
    sets       clips to measure, by name; rows compare over `shared`, the actions that all sets and the real ones have
    """

    def __init__(
        self,
        classifier: Classifier,
        convention: Convention,
        classes: Mapping[str, int],
        train: Sequence[Clip],
        sets: Mapping[str, Sequence[Clip]],
        held_out: Sequence[Clip],
        *,
        body: Body,
        seed: int,
    ) -> None:
        self.convention, self.classes = convention, dict(classes)
        self._classifier, self._seed = classifier, seed

        def pieces(clips: Sequence[Clip]) -> Pieces:
            return Pieces(clips, convention, classes, body)

        self.train, self.held_out = pieces(train), pieces(held_out)
        self.sets = {name: pieces(clips) for name, clips in sets.items()}
        parts = [self.train, *self.sets.values(), *([self.held_out] if len(self.held_out) else [])]
        self.shared = [action for action in classes if all(action in part.actions for part in parts)]
        if not self.shared:
            raise MotionganError(
                f"no action with a class of {convention.name}'s classifier is in the generated, the training and the"
                " held-out clips alike; give --class-map or --held-out"
            )
        counts = [self.train.actions.count(action) for action in self.shared]
        self._mix = torch.tensor(counts, dtype=torch.double)

    def rows(self, train_name: str, held_out_name: str) -> tuple[Rows, dict[str, dict[str, float]]]:
        """Figures over the shared actions of every set, and the accuracy of each action that a set has.

        The training clips' own FID is that of a second draw of them: what the protocol cannot tell from 0.
        """
        measured = self.sets | ({held_out_name: self.held_out} if len(self.held_out) else {})
        measured |= {train_name: self.train}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in measured}
        for repeat in range(REPEATS):
            references = {"fid": self._draw(self.train, repeat, "train")[0]}
            if len(self.held_out):
                references["fid_held_out"] = self._draw(self.held_out, repeat, "held-out")[0]
            for name, part in measured.items():
                found[name].append(self._figures(part, references, repeat))
        rows = {
            name: {figure: Repeated(tuple(one[figure] for one in repeats)) for figure in repeats[0]}
            for name, repeats in found.items()
        }
        return rows, {name: self._accuracies(part) for name, part in measured.items()}

    def _figures(self, part: Pieces, references: Mapping[str, Tensor], repeat: int) -> dict[str, float]:
        features, right, ids = self._draw(part, repeat, "measured")
        figures = {name: frechet_distance(features, reference) for name, reference in references.items()}
        generator = self._generator(repeat, "pairs")
        first, second = torch.randint(len(features), (2, DIVERSITY_PAIRS), generator=generator)
        inner = []
        for action_id in range(len(self.shared)):
            rows = (ids == action_id).nonzero()[:, 0]
            if len(rows):
                pairs = rows[torch.randint(len(rows), (2, MULTIMODALITY_PAIRS), generator=generator)]
                inner.append((features[pairs[0]] - features[pairs[1]]).norm(dim=-1).mean())
        return figures | {
            "accuracy": right.double().mean().item(),
            "diversity": (features[first] - features[second]).norm(dim=-1).mean().item(),
            "multimodality": torch.stack(inner).mean().item(),
        }

    def _draw(self, part: Pieces, repeat: int, role: str) -> tuple[Tensor, Tensor, Tensor]:
        """Features of pieces with the training clips' mix of the shared actions, which are right, their actions."""
        generator = self._generator(repeat, role)
        ids = torch.multinomial(self._mix, MOTIONS, replacement=True, generator=generator)
        chance = torch.rand(MOTIONS, generator=generator)
        numbers = torch.zeros(MOTIONS, dtype=torch.long)
        for action_id, action in enumerate(self.shared):
            clips = torch.tensor([number for number, label in enumerate(part.actions) if label == action])
            mine = ids == action_id
            numbers[mine] = clips[(chance[mine] * len(clips)).long().clamp(max=len(clips) - 1)]
        features, named = self._classify(part, numbers, generator)
        classes = torch.tensor([self.classes[action] for action in self.shared])
        return features, named == classes[ids], ids

    def _classify(self, part: Pieces, numbers: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        motion = part.cut(numbers, generator=generator)
        initial = torch.randn(2, len(numbers), HIDDEN, generator=generator)
        with torch.no_grad():
            features, logits = self._classifier(motion, initial)
        return features, logits.argmax(1)

    def _accuracies(self, part: Pieces) -> dict[str, float]:
        """Of each action, shared or not, over all its clips with several initial states each."""
        generator = self._generator(0, "accuracies")
        labels = [self.classes[str(action)] for action in part.actions]
        numbers = torch.arange(len(part)).repeat(3)
        right = self._classify(part, numbers, generator)[1] == torch.tensor(labels).repeat(3)
        shares = right.view(3, -1).double().mean(0)
        rows = {action: [i for i, label in enumerate(part.actions) if label == action] for action in self.classes}
        return {action: shares[those].mean().item() for action, those in rows.items() if those}

    def _generator(self, repeat: int, role: str) -> torch.Generator:
        """Of its own for every repeat and use: neither other files nor their order change a row."""
        entropy = np.random.SeedSequence([self._seed, repeat, *role.encode()])
        return torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))


def facts(
    protocol: Protocol,
    rows: Rows,
    accuracies: Mapping[str, Mapping[str, float]],
    *,
    left_out: Sequence[str],
    classifier: Path,
    sources: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """All that a2m.json holds; the same for the same files and seed. `left_out`: actions without a class."""
    from motiongan import __version__

    return {
        "format": "motiongan.evaluation.a2m",
        "version": 1,
        "versions": {"motiongan": __version__, "torch": torch.__version__, "numpy": np.__version__},
        "classifier": {
            "file": classifier.name,
            "sha256": file_hash(classifier),
            "trained_on": protocol.convention.name,
        },
        "protocol": {
            "seed": seed,
            "repeats": REPEATS,
            "motions": MOTIONS,
            "frames": FRAMES,
            "frame_rate": protocol.convention.frame_rate,
            "classes": {action: protocol.convention.classes[number] for action, number in protocol.classes.items()},
            "actions": protocol.shared,
            "actions_left_out": list(left_out),
            "quirks": QUIRKS,
        },
        "sources": dict(sources),
        "rows": {
            name: {
                figure: {"mean": value.mean, "interval": value.interval, "actor_interval": value.actor_interval}
                for figure, value in figures.items()
            }
            for name, figures in rows.items()
        },
        "accuracy_by_action": {name: dict(shares) for name, shares in accuracies.items()},
    }


def table(rows: Rows, accuracies: Mapping[str, Mapping[str, float]]) -> str:
    """Both as text for a terminal: a line per figure and action, a column per set."""
    lines = [["figure", *rows]]
    for figure, (heading, form) in FIGURES.items():
        cells = []
        for figures in rows.values():
            value = figures.get(figure)
            cells.append("-" if value is None else f"{form.format(value.mean)} ± {form.format(value.interval)}")
        lines.append([heading, *cells])
    for action in dict.fromkeys(action for shares in accuracies.values() for action in shares):
        shares = [row.get(action) for row in accuracies.values()]
        lines.append([f"recognized: {action}", *("-" if share is None else f"{share:.1%}" for share in shares)])
    return plain_table(lines)


def notes(protocol: Protocol, left_out: Sequence[str]) -> list[str]:
    """What must be read with the table, a line each."""
    names = protocol.convention.classes
    matched = ", ".join(
        action if action == names[number] else f"{action} as {names[number]}"
        for action, number in protocol.classes.items()
    )
    lines = [f"classifier of {protocol.convention.name}: {matched}; figures over {', '.join(protocol.shared)}"]
    if lacking := [action for action in protocol.classes if action not in protocol.shared]:
        lines.append(f"recognized only, since not every set of clips has them: {', '.join(lacking)}")
    if left_out:
        lines.append(f"left out, since the classifier has no class of that name (--class-map): {', '.join(left_out)}")
    lines.append("± is how exactly the mean over the protocol's random draws is known; other clips would move it more")
    return lines + ([protocol.convention.note] if protocol.convention.note else [])
