"""The figures of one action of one set of clips, with their draws, and how actions add up to overall figures."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.evaluation import metrics, plausibility, two_sample
from motiongan.evaluation.athletics import Distance
from motiongan.evaluation.bootstrap import Drawn, Resampling, Sample, drawn, interval, mean_of, resample, unbiased
from motiongan.evaluation.figures import Estimate
from motiongan.evaluation.metrics import Tally
from motiongan.evaluation.nearness import NearCopies, Nearest
from motiongan.evaluation.pairs import FeatureSet
from motiongan.evaluation.phases import Phases
from motiongan.evaluation.spectrum import spectrum_distance, velocity_power
from motiongan.evaluation.windows import PosedWindows
from motiongan.losses.kinematic import jerk

# Overall these are shares of all windows, and no mean over the actions: a near-copy is defined over all actions.
POOLED = ("copy_share",)
_DEAR_DRAWS = 200  # of figures that look at every frame
_EVERY = 4  # frames that these look at


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows, and their features as each of the recognizers sees them."""

    windows: PosedWindows
    seen: tuple[FeatureSet, ...]

    def __getitem__(self, rows: Tensor) -> "WindowSet":
        return WindowSet(self.windows[rows], tuple(features[rows] for features in self.seen))

    def has(self, action_id: int) -> bool:
        return bool((self.windows.action_ids == action_id).any())

    def of_action(self, action_id: int) -> PosedWindows:
        """The windows of one action."""
        return self.windows[(self.windows.action_ids == action_id).nonzero()[:, 0]]


Compared = tuple[WindowSet, WindowSet]  # clips, and those that they are compared with


class ActionFigures:
    """The figures of one action; clips are drawn anew once, for all figures that are taken from the same clips.

    draws   of each figure that has them, by name; of `POOLED` figures the pairs (sum, count) too
    """

    def __init__(self, action_id: int, seed: int, *, intervals: bool) -> None:
        self.action_id = action_id
        self.estimates: dict[str, Estimate] = {}
        self.draws: dict[str, Float[Tensor, "draws"]] = {}
        self.pooled: dict[str, tuple[Tally, Tensor, Tensor]] = {}
        self._seed = 1000 * seed + action_id
        self._intervals = intervals
        self._known: dict[tuple[int, ...], Resampling] = {}

    def set(self, name: str, parts: Sequence[Drawn]) -> None:
        """Keep a figure as the mean of what several recognizers, or partings of the clips, say."""
        figure = mean_of(parts)
        self.estimates[name] = figure.estimate()
        if figure.draws is not None and len(figure.draws):
            self.draws[name] = figure.draws

    def add_samples(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        """Figures that are means of tallies, each by one or several samples."""
        for name, several in samples.items():
            self.set(name, [self._mean(sample) for sample in several])
            if name in POOLED:
                (sample,) = several
                rows = (sample.action_ids == self.action_id).nonzero()[:, 0]
                part, drawn = sample.tally[rows], torch.empty(0, len(rows), dtype=torch.float64)
                if self._intervals and len(rows):
                    drawn = self._resampling(sample.clip_ids[rows]).weights
                self.pooled[name] = part, drawn @ part.total, drawn @ part.count

    def add_nearness(self, near: Nearest, copies: NearCopies | None) -> None:
        """Median distance to the training motion, and over that of held-out clips of the action."""
        rows = near.action_ids == self.action_id
        rows &= ~near.distances.isinf()
        distances, clip_ids = near.distances[rows], near.clip_ids[rows]
        median = distances.median().item() if len(distances) else math.nan
        # Held-out clips that are copies of training clips give no measure: 0 / 0.
        real = (0.0 if copies is None else copies.medians[self.action_id].item()) or math.nan
        drawn = self._resampling(clip_ids).medians(distances) if self._intervals and len(distances) else None
        clips = len(clip_ids.unique())
        self.set("nn_mm", [Drawn(median, drawn, clips)])
        self.set("nn_ratio", [Drawn(median / real, None if drawn is None else drawn / real, clips)])

    def add_variety(self, clips: WindowSet, train: WindowSet) -> None:
        """Numbers of clips and windows, and what is a ratio to the training clips' own: pose diversity and jerk."""
        windows, real = clips.of_action(self.action_id), train.of_action(self.action_id)
        count = len(windows.clip_ids.unique())
        self.estimates |= {"clips": Estimate(float(count)), "windows": Estimate(float(len(windows)))}
        drawn = self._resampling(windows.clip_ids).first(_DEAR_DRAWS) if self._intervals else None
        values, references = (_deviation(windows), _jerk(windows)), (_deviation(real), _jerk(real))
        varied, jerked = (a / b if b > 0 else math.nan for a, b in zip(values, references))
        if drawn is None:
            self.set("pose_diversity", [Drawn(varied)])
            self.set("jerk_ratio", [Drawn(jerked)])
            return
        self.set("pose_diversity", [unbiased(varied, _drawn_deviation(windows, drawn) * varied, count, 0.0, math.inf)])
        self.set("jerk_ratio", [Drawn(jerked, _drawn_jerk(windows, drawn) * jerked, count)])

    def add_spectrum(self, pairs: Sequence[Compared]) -> None:
        """Spectrum distance of joint velocities to the reference."""
        self.set("spectrum", [self._spectrum(*pair) for pair in pairs])

    def add_phases(self, pairs: Sequence[Compared], phases: Phases | None) -> None:
        """Share of the real phases that the clips visit."""
        self.set("phase_coverage", [self._visited(clips.of_action(self.action_id), phases) for clips, _ in pairs])

    def add_athletics(self, several: Sequence[Mapping[str, Distance]]) -> None:
        """The measures of athletes in one number: mean distance to real, in standard deviations of the real."""
        parts = []
        for distances in several:
            known = [(one.scaled, one.scaled.draws) for one in distances.values() if one.scaled.draws is not None]
            if not known:
                parts.append(Drawn(math.nan))
                continue
            value = sum(one.value for one, _ in known) / len(known)
            parts.append(
                Drawn(value, torch.stack([draws for _, draws in known]).mean(0), max(o.clips for o, _ in known))
            )
        self.set("athletics", parts)

    def _mean(self, sample: Sample) -> Drawn:
        rows = (sample.action_ids == self.action_id).nonzero()[:, 0]
        part, clip_ids = sample.tally[rows], sample.clip_ids[rows]
        if not self._intervals or not len(rows):
            return Drawn(part.mean)
        return Drawn(part.mean, self._resampling(clip_ids).means(part), len(clip_ids[part.count > 0].unique()))

    def _spectrum(self, clips: WindowSet, reference: WindowSet) -> Drawn:
        power, clip_ids = self._power(clips)
        real = self._power(reference)[0]
        if not len(power) or not len(real):
            return Drawn(math.nan)
        value = spectrum_distance(power.mean(0), real.mean(0)).item()
        if not self._intervals:
            return Drawn(value)
        draws = spectrum_distance(self._resampling(clip_ids).sums(power), real.mean(0).double())
        return unbiased(value, draws, len(clip_ids.unique()), 0.0, math.inf)

    def _visited(self, windows: PosedWindows, phases: Phases | None) -> Drawn:
        if phases is None or not len(windows):
            return Drawn(math.nan)
        visits = phases.visits(windows)
        value = phases.coverage(visits.sum(0)).item()
        if not self._intervals:
            return Drawn(value)
        draws = phases.coverage(self._resampling(windows.clip_ids).sums(visits))
        return unbiased(value, draws, len(windows.clip_ids.unique()), 0.0, 1.0)

    def _power(self, clips: WindowSet) -> tuple[Tensor, Tensor]:
        windows = clips.of_action(self.action_id)
        if not len(windows):
            return torch.empty(0), torch.empty(0, dtype=torch.long)
        power = velocity_power(windows)
        there = power.flatten(1).sum(1) > 0
        return power[there], windows.clip_ids[there]

    def _resampling(self, clip_ids: Tensor) -> Resampling:
        """One for all figures of the action that come from the same clips; actions are drawn independently."""
        key = tuple(clip_ids.tolist())
        if key not in self._known:
            self._known[key] = resample(clip_ids, generator=torch.Generator().manual_seed(self._seed))
        return self._known[key]


def overall_figures(actions: Sequence[ActionFigures]) -> dict[str, Estimate]:
    """Of every figure the mean over the actions, and of its draws; sums of counts; `POOLED` ones over all windows."""
    overall: dict[str, Estimate] = {}
    for name in dict.fromkeys(name for action in actions for name in action.estimates):
        known = [action.estimates[name] for action in actions if name in action.estimates]
        values = [estimate.value for estimate in known if not math.isnan(estimate.value)]
        low, high, clips = math.nan, math.nan, 0
        drawn = [action.draws[name] for action in actions if name in action.draws]
        if drawn:
            low, high = interval(torch.stack(drawn).nanmean(0))
            clips = sum(estimate.clips for estimate in known)
        value = sum(values) / len(values) if values else math.nan
        if name in ("clips", "windows"):
            value = sum(values)
        if name in POOLED:
            pooled = [action.pooled[name] for action in actions if name in action.pooled]
            total, count = (sum(getattr(part, of).sum().item() for part, _, _ in pooled) for of in ("total", "count"))
            value = total / count if count else math.nan
            if drawn:
                some = [part for part in pooled if len(part[1])]  # an action may have no piece to compare
                sums, counts = (torch.stack(parts).sum(0) for parts in list(zip(*some))[1:])
                low, high = interval(sums / counts)
        overall[name] = Estimate(value, low, high, clips)
    return overall


def physics(windows: PosedWindows) -> dict[str, Sample]:
    """Tallies of the body on the ground, by figure."""
    mask, rate = windows.mask, windows.frame_rate
    depth = metrics.penetration_tally(windows.soles, mask)
    tallies = {
        **metrics.foot_skate_tallies(windows.soles, mask, rate),
        "skating_ratio": plausibility.skating_ratio(windows.joints, mask, rate),
        "penetration_mm": Tally(1000 * depth.total, depth.count),
        "floating_mm": plausibility.floating(windows.mass_centre, windows.clearance, mask, rate),
        **metrics.flight(windows.mass_centre, windows.clearance, mask, rate),
        "fall": plausibility.fall(windows.mass_centre, windows.clearance, mask, rate),
        "off_balance_mm": plausibility.off_balance_mm(windows.mass_centre, windows.soles, mask, rate),
        "self_penetration_mm": plausibility.self_penetration_mm(windows.joints, mask),
        **metrics.joint_range(windows.violation, mask),
        "bone_drift_mm": plausibility.bone_drift(windows.joints, windows.bone_lengths, mask),
        "asymmetry": plausibility.asymmetry(windows.limb_angles, mask),
    }
    return {name: Sample(value, windows.action_ids, windows.clip_ids) for name, value in tallies.items()}


def add_separability(by_action: Mapping[int, ActionFigures], pairs: Sequence[Compared], *, seed: int) -> None:
    """How well a classifier tells these clips from the reference, action by action; draws of both sets' clips."""
    parts: dict[int, list[Drawn]] = defaultdict(list)
    for clips, reference in pairs:
        first, second = reference.windows, clips.windows
        scores, others, folds, other_folds = two_sample.out_of_fold_scores(first, second, seed=seed)
        for action_id in by_action:
            mine = ((second.action_ids == action_id) & ~others.isnan()).nonzero()[:, 0]
            real = ((first.action_ids == action_id) & ~scores.isnan()).nonzero()[:, 0]
            if not len(mine) or not len(real):
                parts[action_id].append(Drawn(math.nan))
                continue
            weights = []
            for number, ids in enumerate((first.clip_ids[real], second.clip_ids[mine])):
                random = torch.Generator().manual_seed(1000 * seed + 2 * action_id + number)
                times = resample(ids, generator=random, draws=300).weights
                weights.append(torch.cat([torch.ones(1, len(ids), dtype=times.dtype), times]))
            area = two_sample.separability(scores[real], others[mine], folds[real], other_folds[mine], *weights)
            parts[action_id].append(drawn(area, len(second.clip_ids[mine].unique())))
    for action_id, several in parts.items():
        by_action[action_id].set("separability", several)


def _deviation(windows: PosedWindows) -> float:
    return metrics.pose_deviation(windows.root_free_joints(), windows.mask) if len(windows) else math.nan


def _drawn_deviation(windows: PosedWindows, drawn: Resampling) -> Tensor:
    """Pose deviation in every draw over that of the windows themselves, both at every fourth frame."""
    seen = windows.mask[:, ::_EVERY].double()
    joints = windows.root_free_joints()[:, ::_EVERY].flatten(2).double() * seen[..., None]
    plain = Resampling(torch.ones(1, len(windows), dtype=torch.float64), drawn.clips)

    def variances(weights: Resampling) -> Tensor:
        count = weights.sums(seen)
        mean = weights.sums(joints) / count.clamp(min=1)[..., None]
        squares = weights.sums(joints.square().sum(-1)) - count * mean.square().sum(-1)
        return squares.clamp(min=0).sum(1) / (count - 1).clamp(min=0).sum(1)

    return (variances(drawn) / variances(plain)).sqrt()


def _jerk(windows: PosedWindows) -> float:
    moving = windows.joints[:, :, :NUM_MOVING_JOINTS]
    return metrics.median_jerk(jerk(moving, windows.frame_rate), windows.mask) if len(windows) else math.nan


def _drawn_jerk(windows: PosedWindows, drawn: Resampling) -> Tensor:
    """Median jerk in every draw over that of the windows themselves, both at every fourth step."""
    values = jerk(windows.joints[:, :, :NUM_MOVING_JOINTS], windows.frame_rate).mean(-1)[:, ::_EVERY]
    rows, steps = windows.mask[:, 3:][:, ::_EVERY].nonzero(as_tuple=True)
    if not len(rows):
        return torch.full((len(drawn.weights),), torch.nan)
    values = values[rows, steps]
    return Resampling(drawn.weights[:, rows], drawn.clips).medians(values) / values.median()
