"""Generated motion beside held-out real motion, against the training clips: figures per action and overall."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from motiongan.body.smpl import Body, load_body
from motiongan.evaluation import measuring, neighbours
from motiongan.evaluation.athletics import Distance, Measured, compare, measure
from motiongan.evaluation.bootstrap import Drawn, Sample, drawn, mean_of
from motiongan.evaluation.figures import OVERALL, Estimate, Figures, Row, overall_table
from motiongan.evaluation.frechet import fid
from motiongan.evaluation.measuring import ActionFigures, Compared, WindowSet, overall_figures
from motiongan.evaluation.metrics import tally
from motiongan.evaluation.nearness import NearCopies, Nearest, NearPair, TrainingMotion, near_copies
from motiongan.evaluation.pairs import (
    ClipWeights,
    FeatureSet,
    balanced_mean,
    kernel_distances,
    mean_distances,
    weigh_clips,
)
from motiongan.evaluation.phases import Phases, find_phases
from motiongan.evaluation.recognizer import Recognizer, cached_recognizer
from motiongan.evaluation.windows import PosedWindows, pose_windows
from motiongan.motion.clip import Clip

__all__ = ["OVERALL", "Evaluator", "overall_table"]

TO_HELD_OUT = (
    "fid_held_out",
    "kid_held_out",
    *(f"{name}_held_out" for name in neighbours.NAMES),
    "synthetic_accuracy",
)
FEWEST_ACTIONS = 2  # for a recognizer to tell apart
# One recognizer's distances are up to a third above or below another's that learned from the same clips (docs/log.md).
RECOGNIZERS = 3
PARTINGS = 6  # of the training clips in halves; what one half is to the other hangs on how they were parted
BY_RECOGNIZER = (
    *("accuracy", "diversity", "multimodality"),
    *(f"{name}{ending}" for name in ("fid", "kid", *neighbours.NAMES) for ending in ("", "_held_out")),
)


class Evaluator:
    """Real motion to measure generated motion by: recognizers and reference figures, made once for many models.

    train     clips of the training subjects; held_out   clips of other people
    actions   that the recognizers tell apart; measured   those of them that are measured (default: all). Where models
              are asked for some of their actions only, the recognizers stay the same
    window    frames that clips are cut to, so that real and generated clips compare at one length
    recognizers   how many; what they see is averaged, and how much they differ is in the intervals
    cache     folder that keeps trained recognizers by the hash of what they were trained on; None trains anew
    rows hold figures under `OVERALL` and under each action. Overall is the mean over the actions that the held-out
    clips have too, each counting alike, but for distances and `diversity`, which look at these actions together.
    """

    def __init__(
        self,
        train: Sequence[Clip],
        held_out: Sequence[Clip],
        *,
        actions: Sequence[str],
        measured: Sequence[str] | None = None,
        seed: int,
        body: Body | None = None,
        window: int = 64,
        recognizers: int = RECOGNIZERS,
        recognizer_steps: int = 500,
        cache: Path | None = None,
    ) -> None:
        self.actions = tuple(sorted(actions))
        self._measured = [self.actions.index(action) for action in measured or self.actions]
        self.seed = seed
        self.window = window
        self.body = load_body() if body is None else body
        self._steps, self._cache = recognizer_steps, cache
        self._shown = pose_windows(train, self.body, actions=self.actions, frames=window, overlap=True)
        self._number = recognizers
        self.recognizers = self._taught_by(self._shown)
        self._training_motion = TrainingMotion(self._shown)
        self._train = self._set(self.pose(train))
        known = [clip for clip in held_out if clip.action in self.actions]
        self._held_out: WindowSet | None = None
        self._near_copies: NearCopies | None = None
        self.held_out: dict[str, Figures] = {}
        if known:
            windows = pose_windows(known, self.body, actions=self.actions, frames=window)
            self._near_copies = near_copies(self._training_motion.nearest(windows), len(self.actions))
            if len(windows := self._of_measured(windows)):
                self._held_out = self._set(windows)
        if self._held_out is not None:
            self.held_out = _values(self._without_itself(self._measure(self._held_out, {}, intervals=False)))

    def pose(self, clips: Sequence[Clip]) -> PosedWindows:
        """The clips of the measured actions as windows; what is asked for several times is best posed once."""
        return self._of_measured(pose_windows(clips, self.body, actions=self.actions, frames=self.window))

    @property
    def train_windows(self) -> PosedWindows:
        """The training clips."""
        return self._train.windows

    @property
    def held_out_windows(self) -> PosedWindows | None:
        """The held-out people's clips, where there are any."""
        return None if self._held_out is None else self._held_out.windows

    def measure(self, clips: Sequence[Clip] | PosedWindows) -> dict[str, Figures]:
        """The figures of these clips, overall and per action: the quick part, without intervals and `assess`'s more."""
        return _values(self._measure(self._set(self._posed(clips)), {}, intervals=False))

    def assess(self, clips: Sequence[Clip] | PosedWindows, *, teach: bool = True) -> Row:
        """All figures with their intervals; a classifier tries to tell the clips from the training clips.

        teach   also train a recognizer on the clips and let it name the real ones, which takes most of the time
        """
        made = self._set(self._posed(clips))
        more = {}
        if teach:
            more = self._taught(made.windows, synthetic_accuracy_train=self._train, synthetic_accuracy=self._held_out)
        return self._assessed(made, more)

    def assess_held_out(self) -> Row:
        """The held-out people against the training clips: the floor of other people. {} where nothing is held out.

        Figures to the held-out clips themselves are NaN: their floor is in `assess_training`.
        """
        if self._held_out is None:
            return {}
        more = {}
        if all(self._held_out.has(action_id) for action_id in self._measured):  # among fewer it is easier to be right
            more = self._taught(self._held_out.windows, synthetic_accuracy_train=self._train)
        return self._without_itself(self._assessed(self._held_out, more))

    def assess_training(self) -> Row:
        """The training clips themselves: the floor of the same people, and of every figure to the held-out clips.

        What compares with the training clips compares one half of them with the other, parted by clip, on average over
        `PARTINGS`; the nearest training motion is that of another clip. `synthetic_accuracy` is that of recognizers
        trained on them (of all actions: the recognizers themselves), whose `accuracy` on these clips is of clips that
        they have seen; `synthetic_accuracy_train` of ones trained on one half, which name the other.
        """
        more = self._taught(self._of_measured(self._shown), synthetic_accuracy=self._held_out)
        if len(self._measured) >= FEWEST_ACTIONS:
            found = []
            for number, (half, other) in zip(range(self._number), self._halves()):
                found.append(self._recognized(self._recognizer(half.windows, number), other))
            more["synthetic_accuracy_train"] = found
        return self._assessed(self._train, more, are_training=True)

    def athletics_values(self, clips: Sequence[Clip] | PosedWindows) -> Measured:
        """The measures of athletes of every window."""
        return measure(self._posed(clips))

    def athletics(self, clips: Sequence[Clip] | PosedWindows) -> dict[str, dict[str, Distance]]:
        """The measures of athletes by action: `motiongan.evaluation.athletics`."""
        return self._athletics(self._posed(clips), self._train.windows, self._held_out)

    def athletics_held_out(self) -> dict[str, dict[str, Distance]]:
        """The held-out people's, against the training clips."""
        return {} if self._held_out is None else self._athletics(self._held_out.windows, self._train.windows, None)

    def athletics_training(self) -> dict[str, dict[str, Distance]]:
        """All training clips, but distances to them are of one half against the other."""
        halves = [self._athletics(one.windows, other.windows, None) for one, other in self._halves()]
        every = self._athletics(self._train.windows, self._train.windows, self._held_out)
        found: dict[str, dict[str, Distance]] = {}
        for action, measures in every.items():
            found[action] = {}
            for name, whole in measures.items():
                parts = [half[action][name].train for half in halves if name in half.get(action, {})]
                found[action][name] = replace(whole, train=mean_of(parts or [Drawn(math.nan)]))
        return found

    def nearest_pairs(self, clips: Sequence[Clip] | PosedWindows) -> list[NearPair]:
        """Of each action the clip that is nearest to a training clip, with that, the nearest first."""
        windows = self._posed(clips)
        return self._training_motion.pairs(windows, self._training_motion.nearest(windows))

    def training_distances(self, clips: Sequence[Clip] | PosedWindows) -> Tensor:
        """Distance in mm of the windows to the nearest training motion; of actions that the held-out clips have too."""
        near = self._training_motion.nearest(self._posed(clips))
        counts = near.distances.isfinite()
        if self._held_out is not None:
            counts &= torch.isin(near.action_ids, self._held_out.windows.action_ids)
        return near.distances[counts]

    @cached_property
    def training_spacing(self) -> dict[str, float]:
        """By action, how far its training windows lie from the nearest motion of another training clip: the median in
        mm; without actions of a single clip."""
        near = self._training_motion.nearest(self._train.windows, are_training=True)
        of_action = {
            self.actions[action_id]: near.distances[(near.action_ids == action_id) & near.distances.isfinite()]
            for action_id in near.action_ids.unique().tolist()
        }
        return {action: distances.median().item() for action, distances in of_action.items() if len(distances)}

    def _of_measured(self, windows: PosedWindows) -> PosedWindows:
        return windows[torch.isin(windows.action_ids, torch.tensor(self._measured)).nonzero()[:, 0]]

    def _posed(self, clips: Sequence[Clip] | PosedWindows) -> PosedWindows:
        return clips if isinstance(clips, PosedWindows) else self.pose(clips)

    def _set(self, windows: PosedWindows) -> WindowSet:
        inputs, mask = windows.inputs(), windows.mask
        seen = (recognizer.features(inputs, mask) for recognizer in self.recognizers)
        return WindowSet(windows, tuple(FeatureSet(each, windows.action_ids, windows.clip_ids) for each in seen))

    def _recognizer(self, windows: PosedWindows, number: int) -> Recognizer:
        return cached_recognizer(
            windows.inputs(),
            windows.mask,
            windows.action_ids,
            self.actions,
            seed=self.seed + number,
            steps=self._steps,
            folder=self._cache,
        )

    def _taught_by(self, windows: PosedWindows) -> list[Recognizer]:
        return [self._recognizer(windows, number) for number in range(self._number)]

    def _taught(self, windows: PosedWindows, **named: WindowSet | None) -> dict[str, list[Sample]]:
        """By figure, whether recognizers trained on these windows name the actions of others; {} for one action."""
        if len(windows.action_ids.unique()) < FEWEST_ACTIONS:
            return {}
        taught = self._taught_by(windows)
        return {
            name: [self._recognized(recognizer, clips) for recognizer in taught]
            for name, clips in named.items()
            if clips is not None
        }

    def _recognized(self, recognizer: Recognizer, clips: WindowSet) -> Sample:
        windows = clips.windows
        right = recognizer(windows.inputs(), windows.mask).argmax(-1) == windows.action_ids
        return Sample(tally(right), windows.action_ids, windows.clip_ids)

    @cached_property
    def _parted(self) -> list[Tensor]:
        """Which training windows are of the first half, by clip at random within each action; `PARTINGS` times."""
        windows = self._train.windows
        generator = torch.Generator().manual_seed(self.seed)
        parted = []
        for _ in range(PARTINGS):
            first = torch.zeros(len(windows), dtype=torch.bool)
            for action_id in range(len(self.actions)):
                rows = (windows.action_ids == action_id).nonzero()[:, 0]
                clips, clip_of = torch.unique(windows.clip_ids[rows], return_inverse=True)
                first[rows] = (torch.randperm(len(clips), generator=generator) % 2 == 0)[clip_of]
            parted.append(first)
        return parted

    def _halves(self) -> list[Compared]:
        """The training clips in two halves, parted in several ways."""
        return [(self._train[first.nonzero()[:, 0]], self._train[(~first).nonzero()[:, 0]]) for first in self._parted]

    @cached_property
    def _phases(self) -> dict[int, Phases]:
        """The phases of each action's training clips."""
        ids = self._train.windows.action_ids
        return {
            action_id: find_phases(self._train.windows[(ids == action_id).nonzero()[:, 0]], seed=self.seed)
            for action_id in ids.unique().tolist()
        }

    def _weighed(self, features: FeatureSet, *, intervals: bool, reference: bool = False) -> ClipWeights:
        return weigh_clips(
            features, seed=self.seed + (500_000 if reference else 0), **({} if intervals else {"draws": 0})
        )

    def _assessed(self, clips: WindowSet, more: Mapping[str, list[Sample]], *, are_training: bool = False) -> Row:
        """As `_measure`, with intervals; nothing by the eye of a recognizer that had nothing to tell apart."""
        row = self._measure(clips, more, intervals=True, are_training=are_training)
        if len(self.actions) >= FEWEST_ACTIONS:
            return row
        unknown = Estimate(math.nan)
        return {
            action: {name: unknown if name in BY_RECOGNIZER else figure for name, figure in figures.items()}
            for action, figures in row.items()
        }

    def _measure(
        self, clips: WindowSet, more: Mapping[str, list[Sample]], *, intervals: bool, are_training: bool = False
    ) -> Row:
        """All figures of these clips; `are_training`: they are the training clips, of which halves compare."""
        pairs = self._halves() if are_training else [(clips, self._train)]
        windows = clips.windows
        near = self._training_motion.nearest(windows, are_training=are_training)
        samples = {name: [sample] for name, sample in measuring.physics(windows).items()} | dict(more)
        samples["accuracy"] = [self._recognized(recognizer, clips) for recognizer in self.recognizers]
        samples |= self._among(pairs, "")
        if self._held_out is not None:
            samples |= self._among([(clips, self._held_out)], "_held_out")
            samples["copy_share"] = [self._copies(near)]
        present = windows.action_ids.unique().tolist()
        by_action = {action_id: ActionFigures(action_id, self.seed, intervals=intervals) for action_id in present}
        for figures in by_action.values():
            figures.add_samples(samples)
            figures.add_nearness(near, self._near_copies)
            figures.add_variety(clips, self._train)
            figures.add_spectrum(pairs)
            figures.add_phases(pairs, self._phases.get(figures.action_id))
        if intervals:
            measuring.add_separability(by_action, pairs, seed=self.seed)
            distances = [self._athletics(one.windows, other.windows, None) for one, other in pairs]
            for figures in by_action.values():
                figures.add_athletics([each.get(self.actions[figures.action_id], {}) for each in distances])
        # Rows compare only over the same actions: those that the held-out clips have too, where there are any.
        shared = [one for one in present if self._held_out is None or self._held_out.has(one)] or present
        together = self._distances(clips, pairs, shared, by_action, intervals=intervals)
        overall = overall_figures([by_action[action_id] for action_id in shared]) | together
        rows = {self.actions[action_id]: figures.estimates for action_id, figures in by_action.items()}
        return {OVERALL: overall, **rows}

    def _views(self, pairs: Sequence[Compared]) -> list[tuple[FeatureSet, FeatureSet]]:
        """Clips and what they are compared with as a recognizer sees them: all recognizers, and all pairs, in turn."""
        views = []
        for number in range(max(self._number, len(pairs))):
            clips, reference = pairs[number % len(pairs)]
            views.append((clips.seen[number % self._number], reference.seen[number % self._number]))
        return views

    def _among(self, pairs: Sequence[Compared], ending: str) -> dict[str, list[Sample]]:
        """Precision, recall, density and coverage, by each view."""
        counts = self._counts()
        found = [
            neighbours.among(one, other, counts, seed=self.seed + number)
            for number, (one, other) in enumerate(self._views(pairs))
        ]
        return {f"{name}{ending}": [samples[name] for samples in found] for name in found[0]}

    def _distances(
        self,
        clips: WindowSet,
        pairs: Sequence[Compared],
        shared: list[int],
        by_action: Mapping[int, ActionFigures],
        *,
        intervals: bool,
    ) -> dict[str, Estimate]:
        """Diversity and the distances to the training and the held-out clips, over all shared actions together.

        Their part of each action, shared or not, goes to `by_action`.
        """
        present = list(by_action)
        overall: dict[str, list[Drawn]] = defaultdict(list)
        alone: dict[tuple[str, int], list[Drawn]] = defaultdict(list)
        places = [present.index(action_id) for action_id in shared]
        for seen in clips.seen:
            weighed = self._weighed(seen, intervals=intervals)
            blocks = mean_distances(weighed, torch.tensor(present))
            overall["diversity"].append(
                drawn(balanced_mean(blocks[:, places][:, :, places]), weighed.clips_of(*shared))
            )
            for place, action_id in enumerate(present):
                alone["multimodality", action_id].append(drawn(blocks[:, place, place], weighed.clips_of(action_id)))
        compared = {"": pairs} | ({} if self._held_out is None else {"_held_out": [(clips, self._held_out)]})
        for ending, several in compared.items():
            counts = torch.zeros(len(self.actions), dtype=torch.long)
            counts[shared] = self._counts()[shared]
            for number, (mine, others) in enumerate(self._views(several)):
                distance = fid(mine, others, counts, seed=self.seed + number, intervals=intervals)
                overall[f"fid{ending}"].append(distance)
                for actions in (
                    shared,
                    [one for one in present if one not in shared],
                ):  # apart: these are in no overall figure
                    common = [one for one in actions if mine.has(one) and others.has(one)]
                    if not common:
                        continue
                    ids = torch.tensor(common)
                    one, other = (
                        self._weighed(part.of(ids), intervals=intervals, reference=place > 0)
                        for place, part in enumerate((mine, others))
                    )
                    together, each = kernel_distances(one, other, ids)
                    if actions is shared:
                        overall[f"kid{ending}"].append(drawn(together, one.clips_of(*common)))
                    for place, action_id in enumerate(common):
                        alone[f"kid{ending}", action_id].append(drawn(each[:, place], one.clips_of(action_id)))
        for (name, action_id), parts in alone.items():
            by_action[action_id].set(name, parts)
        return {name: mean_of(parts).estimate() for name, parts in overall.items()}

    def _counts(self) -> Tensor:
        """Windows of each action that the held-out clips have; few samples raise a distance and lower a coverage.

        Of an action that nobody held out performs, as many as the half of the training clips that makes its floor.
        """
        of_half = torch.bincount(self._train.windows.action_ids[self._parted[0]], minlength=len(self.actions))
        if self._held_out is None:
            return of_half
        counts = torch.bincount(self._held_out.windows.action_ids, minlength=len(self.actions))
        return torch.where(counts > 0, counts, of_half)

    def _copies(self, near: Nearest) -> Sample:
        assert self._near_copies is not None
        scaled = self._near_copies.scaled(near)
        known = ~scaled.isnan() & (not math.isnan(self._near_copies.limit))
        return Sample(tally(scaled < self._near_copies.limit, known), near.action_ids, near.clip_ids)

    def _athletics(
        self, windows: PosedWindows, train: PosedWindows, held_out: WindowSet | None
    ) -> dict[str, dict[str, Distance]]:
        others = None if held_out is None else measure(held_out.windows)
        mine, real = measure(windows), measure(train)
        return {
            self.actions[action_id]: compare(mine, real, others, action_id, seed=self.seed)
            for action_id in windows.action_ids.unique().tolist()
        }

    @staticmethod
    def _without_itself(row: Row) -> Row:
        """The held-out clips' row without what compares them with themselves."""
        unknown = {name: Estimate(math.nan) for name in TO_HELD_OUT}
        return {action: {**figures, **unknown} for action, figures in row.items()}


def _values(row: Row) -> dict[str, Figures]:
    return {action: {name: estimate.value for name, estimate in figures.items()} for action, figures in row.items()}
