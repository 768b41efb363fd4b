"""Generated motion beside held-out real motion, against the training clips: figures per action and overall."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.evaluation import metrics
from motiongan.evaluation.bootstrap import Resampling, interval, resample
from motiongan.evaluation.figures import OVERALL, Estimate, Figures, Row, action_table, overall_table
from motiongan.evaluation.metrics import Tally, tally
from motiongan.evaluation.recognizer import Recognizer, cached_recognizer
from motiongan.evaluation.windows import PosedWindows, Segments, pose_windows, segments
from motiongan.losses.kinematic import jerk
from motiongan.motion.clip import Clip

__all__ = ["OVERALL", "Evaluator", "Figures", "action_table", "evaluate", "overall_table", "pose_windows"]

NUM_DRAWS = 5  # of as many windows as the held-out clips have, for what depends on their number
_MOST_PAIRS = 2000  # windows whose pairs diversity looks at


@dataclass(frozen=True, eq=False)
class Sample:
    """A tally, and the action and clip of each of its samples: windows measured, or real windows found again."""

    tally: Tally
    action_ids: Int64[Tensor, "samples"]
    clip_ids: Int64[Tensor, "samples"]


@dataclass(frozen=True)
class NearPair:
    """A clip's motion and the training motion that is most like it: clip numbers, first frames, RMS distance in mm."""

    clip: int
    begin: int
    train_clip: int
    train_begin: int
    distance_mm: float


class Evaluator:
    """Real motion to measure generated motion by: a recognizer and reference figures, made once for many models.

    train     clips of the training subjects; held_out   clips of other people
    window    frames that clips are cut to, so that real and generated clips compare at one length
    cache     folder that keeps trained recognizers by the hash of what they were trained on; None trains anew
    rows hold figures under `OVERALL` and under each action. Overall is the mean over the actions that the held-out
    clips have too, each counting alike, but for `fid` and `diversity`, which look at these actions together.
    """

    def __init__(
        self,
        train: Sequence[Clip],
        held_out: Sequence[Clip],
        *,
        actions: Sequence[str],
        seed: int,
        body: Body | None = None,
        window: int = 64,
        recognizer_steps: int = 500,
        cache: Path | None = None,
    ) -> None:
        self.actions = tuple(actions)
        self.seed = seed
        self.window = window
        self.body = load_body() if body is None else body
        self._steps, self._cache = recognizer_steps, cache
        self._train = pose_windows(train, self.body, actions=self.actions, frames=window)
        shown = pose_windows(train, self.body, actions=self.actions, frames=window, overlap=True)
        self.recognizer = self._recognizer(shown)
        self._train_features = self._features(self._train)
        self._shown, self._candidates = shown, segments(shown, every_start=True)
        known = [clip for clip in held_out if clip.action in self.actions]
        self._held_out: PosedWindows | None = None
        self._held_out_actions = {clip.action for clip in known}
        self._held_out_near: tuple[Tensor, Tensor] | None = None
        self.held_out: dict[str, Figures] = {}
        if known:
            windows = pose_windows(known, self.body, actions=self.actions, frames=window)
            self._held_out = windows
            self._held_out_features = self._features(windows)
            near, pieces, _ = self._near(windows)
            self._held_out_near = near, windows.action_ids[pieces.rows]
            self.held_out = _values(self._measure(windows, {}, intervals=False))

    def measure(self, clips: Sequence[Clip]) -> dict[str, Figures]:
        """The figures of these clips, overall and per action: the quick part, without intervals and `assess`'s more."""
        return _values(self._measure(self._posed(clips), {}, intervals=False))

    def assess(self, clips: Sequence[Clip]) -> Row:
        """All figures with their intervals; also trains a recognizer on these clips and tests it on the held-out."""
        windows = self._posed(clips)
        more = {}
        if self._held_out is not None:
            more["synthetic_accuracy"] = self._recognized(self._recognizer(windows), self._held_out)
        return self._measure(windows, more, intervals=True)

    def assess_held_out(self) -> Row:
        """The real-against-real row: held-out clips against the training clips, and these against the held-out.

        `synthetic_accuracy` is that of the recognizer trained on the training clips; {} where nothing is held out.
        """
        if self._held_out is None:
            return {}
        more = {"synthetic_accuracy": self._recognized(self.recognizer, self._held_out)}
        return self._measure(self._held_out, more, intervals=True)

    def nearest_pairs(self, clips: Sequence[Clip], count: int) -> list[NearPair]:
        """The clips that are nearest to a training clip, one pair per training clip, the nearest first."""
        windows = self._posed(clips)
        distance, pieces, found = self._near(windows)
        pairs: dict[int, NearPair] = {}
        for piece in distance.argsort(stable=True).tolist():
            row, candidate = int(pieces.rows[piece]), int(found[piece])
            shown_row = int(self._candidates.rows[candidate])
            pair = NearPair(
                clip=int(windows.clip_ids[row]),
                begin=int(windows.starts[row] + pieces.begins[piece]),
                train_clip=int(self._shown.clip_ids[shown_row]),
                train_begin=int(self._shown.starts[shown_row] + self._candidates.begins[candidate]),
                distance_mm=distance[piece].item(),
            )
            pairs.setdefault(pair.train_clip, pair)
            if len(pairs) == count:
                break
        return list(pairs.values())

    def _posed(self, clips: Sequence[Clip]) -> PosedWindows:
        return pose_windows(clips, self.body, actions=self.actions, frames=self.window)

    def _recognizer(self, windows: PosedWindows) -> Recognizer:
        return cached_recognizer(
            windows.inputs(),
            windows.mask,
            windows.action_ids,
            self.actions,
            seed=self.seed,
            steps=self._steps,
            folder=self._cache,
        )

    def _recognized(self, recognizer: Recognizer, windows: PosedWindows) -> Sample:
        right = recognizer(windows.inputs(), windows.mask).argmax(-1) == windows.action_ids
        return Sample(tally(right), windows.action_ids, windows.clip_ids)

    def _measure(self, windows: PosedWindows, more: dict[str, Sample], *, intervals: bool) -> Row:
        features = self._features(windows)
        near, pieces, _ = self._near(windows)
        near_ids, near_clips = windows.action_ids[pieces.rows], windows.clip_ids[pieces.rows]
        samples = {"accuracy": self._recognized(self.recognizer, windows), **self._neighbourhoods(windows, features)}
        samples |= {
            name: Sample(value, windows.action_ids, windows.clip_ids) for name, value in _physics(windows).items()
        }
        samples |= more | {"copy_share": Sample(self._copies(near, near_ids), near_ids, near_clips)}
        rows: Row = {}
        draws: dict[str, dict[str, Tensor]] = {}
        for action_id, action in enumerate(self.actions):
            if not (windows.action_ids == action_id).any():
                continue
            figures = self._plain_figures(windows, features, action_id)
            drawn: dict[str, Tensor] = {}
            resampled: dict[tuple[int, ...], Resampling] = {}
            for name, sample in samples.items():
                rows_of = (sample.action_ids == action_id).nonzero()[:, 0]
                part = sample.tally[rows_of]
                figures[name] = Estimate(part.mean)
                if intervals and len(rows_of):
                    drawn[name] = self._resampling(sample.clip_ids[rows_of], action_id, resampled).means(part)
                    figures[name] = Estimate(part.mean, *interval(drawn[name]), _count(sample.clip_ids[rows_of], part))
            distances = near[near_ids == action_id]
            figures |= self._nearness(distances, action_id)
            if intervals and len(distances):
                clip_ids = near_clips[near_ids == action_id]
                drawn["nn_mm"] = self._resampling(clip_ids, action_id, resampled).medians(distances)
                median = figures["nn_mm"].value
                drawn["nn_ratio"] = drawn["nn_mm"] * (figures["nn_ratio"].value / median if median else math.nan)
                for name in ("nn_mm", "nn_ratio"):
                    figures[name] = Estimate(figures[name].value, *interval(drawn[name]), len(clip_ids.unique()))
            rows[action], draws[action] = figures, drawn
        return {OVERALL: self._overall(windows, features, rows, draws), **rows}

    def _resampling(self, clip_ids: Tensor, action_id: int, known: dict[tuple[int, ...], Resampling]) -> Resampling:
        """One for all figures of an action that come from the same clips; actions are drawn independently."""
        key = tuple(clip_ids.tolist())
        if key not in known:
            known[key] = resample(clip_ids, generator=torch.Generator().manual_seed(1000 * self.seed + action_id))
        return known[key]

    def _plain_figures(self, windows: PosedWindows, features: Tensor, action_id: int) -> dict[str, Estimate]:
        """Figures of an action that are no means over its windows."""
        rows = (windows.action_ids == action_id).nonzero()[:, 0]
        train_rows = (self._train.action_ids == action_id).nonzero()[:, 0]
        return {
            "windows": Estimate(float(len(rows))),
            "multimodality": Estimate(metrics.diversity(features[rows])),
            "pose_diversity": Estimate(_ratio(_deviation(windows, rows), _deviation(self._train, train_rows))),
            "jerk_ratio": Estimate(_ratio(_jerk(windows, rows), _jerk(self._train, train_rows))),
        }

    def _overall(
        self, windows: PosedWindows, features: Tensor, rows: Row, draws: dict[str, dict[str, Tensor]]
    ) -> dict[str, Estimate]:
        # Rows compare only over the same actions: those that the held-out clips have too, where there are any.
        shared = [action for action in rows if self._held_out is None or action in self._held_out_actions] or list(rows)
        overall: dict[str, Estimate] = {}
        for name in dict.fromkeys(name for action in shared for name in rows[action]):
            known = [rows[action][name] for action in shared if name in rows[action]]
            low, high, clips = math.nan, math.nan, 0
            if drawn := [draws[action][name] for action in shared if name in draws[action]]:
                low, high = interval(torch.stack(drawn).nanmean(0))
                clips = sum(estimate.clips for estimate in known)
            overall[name] = Estimate(_mean([estimate.value for estimate in known]), low, high, clips)
        overall["windows"] = Estimate(sum(rows[action]["windows"].value for action in shared))
        ids = torch.tensor([self.actions.index(action) for action in shared])
        seen = features[torch.isin(windows.action_ids, ids)]
        overall["diversity"] = Estimate(metrics.diversity(seen[:: math.ceil(len(seen) / _MOST_PAIRS)]))
        to_train, to_held_out = self._fid(windows, features)
        overall |= {"fid": Estimate(to_train), "fid_held_out": Estimate(to_held_out)}
        return overall

    def _features(self, windows: PosedWindows) -> Tensor:
        return self.recognizer.features(windows.inputs(), windows.mask)

    def _equal_draws(self, windows: PosedWindows) -> tuple[list[Tensor], Tensor]:
        """Rows of the windows, as many of each action as the held-out clips have, drawn anew; and the actions used.

        Few samples raise a distance and lower a coverage, so only equal numbers compare.
        """
        count = torch.bincount(windows.action_ids, minlength=len(self.actions))
        reference = windows if self._held_out is None else self._held_out
        taken = torch.minimum(count, torch.bincount(reference.action_ids, minlength=len(self.actions)))
        used = taken > 0
        generator = torch.Generator().manual_seed(self.seed)
        drawn = []
        for _ in range(1 if bool((taken == count)[used].all()) else NUM_DRAWS):
            order = torch.randperm(len(windows), generator=generator)
            ids = windows.action_ids[order]
            drawn.append(torch.cat([order[ids == action][: int(number)] for action, number in enumerate(taken)]))
        return drawn, used

    def _fid(self, windows: PosedWindows, features: Tensor) -> tuple[float, float]:
        """Fréchet distance to the training and to the held-out windows, every action with the same weight.

        The mean over equal draws. The held-out clips' own distance to the held-out is that of the training clips.
        """
        drawn, used = self._equal_draws(windows)
        if len(drawn[0]) < 2:
            return math.nan, math.nan
        ids = windows.action_ids
        train = self._train_features, self._train.action_ids
        to_train = [_balanced_distance(features[rows], ids[rows], *train, used) for rows in drawn]
        held_out = self._held_out
        if held_out is None:
            return _mean(to_train), math.nan
        others = self._held_out_features, held_out.action_ids
        if windows is held_out:
            (features, ids), (drawn, used) = train, self._equal_draws(self._train)
        return _mean(to_train), _mean([_balanced_distance(features[rows], ids[rows], *others, used) for rows in drawn])

    def _neighbourhoods(self, windows: PosedWindows, features: Tensor) -> dict[str, Sample]:
        """Precision, recall, density and coverage to the training clips and to the held-out ones.

        The held-out clips' own, to the held-out, are those of the training clips.
        """
        held_out = self._held_out
        samples = self._among(windows, features, self._train, self._train_features)
        if held_out is None:
            return samples
        if windows is held_out:
            windows, features = self._train, self._train_features
        among = self._among(windows, features, held_out, self._held_out_features)
        return samples | {f"{name}_held_out": sample for name, sample in among.items()}

    def _among(
        self, windows: PosedWindows, features: Tensor, real: PosedWindows, real_features: Tensor
    ) -> dict[str, Sample]:
        """Each action's windows among the real ones of that action: a rare one's neighbours are not other actions."""
        drawn, used = self._equal_draws(windows)
        values: dict[str, list[Tensor]] = {"precision": [], "density": [], "recall": [], "coverage": []}
        my_rows, real_rows = [], []
        for action_id in used.nonzero()[:, 0].tolist():
            mine = (windows.action_ids == action_id).nonzero()[:, 0]
            theirs = (real.action_ids == action_id).nonzero()[:, 0]
            # Whether a clip lies among the real ones does not depend on the others: all of them count.
            every = metrics.neighbourhoods(real_features[theirs], features[mine])
            values["precision"].append(every.precision)
            values["density"].append(every.density)
            equal = [rows[windows.action_ids[rows] == action_id] for rows in drawn]
            found = [metrics.neighbourhoods(real_features[theirs], features[rows]) for rows in equal]
            values["recall"].append(torch.stack([one.recall for one in found]).mean(0))
            values["coverage"].append(torch.stack([one.coverage for one in found]).mean(0))
            my_rows.append(mine)
            real_rows.append(theirs)
        if not my_rows:
            return {}
        mine, theirs = torch.cat(my_rows), torch.cat(real_rows)
        my_ids = windows.action_ids[mine], windows.clip_ids[mine]
        real_ids = real.action_ids[theirs], real.clip_ids[theirs]
        ids = {"precision": my_ids, "density": my_ids, "recall": real_ids, "coverage": real_ids}
        return {name: Sample(tally(torch.cat(parts)), *ids[name]) for name, parts in values.items()}

    def _near(self, windows: PosedWindows) -> tuple[Tensor, Segments, Tensor]:
        """RMS joint distance (mm on the training bodies) to the nearest training motion, of which pieces, to which."""
        pieces = segments(windows, every_start=False)
        distance, found = metrics.nearest(pieces.values, self._candidates.values)
        joint_frames = pieces.values.shape[1] / 3
        scale = 1000 * self._train.leg_length.mean() / math.sqrt(joint_frames)
        return distance * scale, pieces, found

    def _copies(self, near: Tensor, action_ids: Tensor) -> Tally:
        """Near-copies: pieces nearer to the training clips than 95 % of the held-out pieces of their action."""
        limit = torch.full((len(self.actions),), math.nan)
        if self._held_out_near is not None:
            distances, ids = self._held_out_near
            for action_id in ids.unique().tolist():
                limit[action_id] = distances[ids == action_id].quantile(0.05)
        return tally(near < limit[action_ids], ~limit[action_ids].isnan())

    def _nearness(self, near: Tensor, action_id: int) -> dict[str, Estimate]:
        """Median distance to the training motion, and over that of held-out clips of the action."""
        median = near.median().item() if len(near) else math.nan
        real = torch.empty(0)
        if self._held_out_near is not None:
            distances, ids = self._held_out_near
            real = distances[ids == action_id]
        ratio = median / real.median().item() if len(real) else math.nan
        return {"nn_mm": Estimate(median), "nn_ratio": Estimate(ratio)}


def evaluate(
    generated: Sequence[Clip],
    train: Sequence[Clip],
    held_out: Sequence[Clip],
    *,
    actions: Sequence[str],
    seed: int,
    body: Body | None = None,
    recognizer_steps: int = 500,
) -> dict[str, dict[str, Figures]]:
    """{"generated": rows, "held_out": rows}; rows are figures by name, under "overall" and under every action.

    Real clips are cut to the generated clips' median length. To measure several models against the same real clips,
    make one `Evaluator`.
    """
    if not generated:
        raise MotionganError("no generated clips to evaluate")
    window = sorted(clip.num_frames for clip in generated)[len(generated) // 2]
    evaluator = Evaluator(
        train, held_out, actions=actions, seed=seed, body=body, window=window, recognizer_steps=recognizer_steps
    )
    return {"generated": evaluator.measure(generated), "held_out": evaluator.held_out}


def _physics(windows: PosedWindows) -> dict[str, Tally]:
    mask, rate = windows.mask, windows.frame_rate
    depth = metrics.penetration_tally(windows.soles, mask)
    return {
        **metrics.foot_skate_tallies(windows.soles, mask, rate),
        "penetration_mm": Tally(1000 * depth.total, depth.count),
        **metrics.flight(windows.mass_centre, windows.clearance, mask, rate),
        **metrics.joint_range(windows.violation, mask),
    }


def _jerk(windows: PosedWindows, rows: Tensor) -> float:
    moving = windows.joints[rows][:, :, :NUM_MOVING_JOINTS]
    return metrics.median_jerk(jerk(moving, windows.frame_rate), windows.mask[rows])


def _deviation(windows: PosedWindows, rows: Tensor) -> float:
    return metrics.pose_deviation(windows.root_free_joints()[rows], windows.mask[rows])


def _values(row: Row) -> dict[str, Figures]:
    return {action: {name: estimate.value for name, estimate in figures.items()} for action, figures in row.items()}


def _count(clip_ids: Tensor, part: Tally) -> int:
    return len(clip_ids[part.count > 0].unique())


def _balanced_distance(features: Tensor, ids: Tensor, others: Tensor, other_ids: Tensor, used: Tensor) -> float:
    """Fréchet distance with equal total weight for every used action."""
    mine, theirs = used[ids], used[other_ids]
    return metrics.frechet_distance(
        features[mine], others[theirs], _balanced_weights(ids[mine]), _balanced_weights(other_ids[theirs])
    )


def _balanced_weights(ids: Tensor) -> Tensor:
    return 1 / torch.bincount(ids)[ids].double()


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
