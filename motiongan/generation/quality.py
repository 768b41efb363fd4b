"""The quality gate: which drawn clips to keep by their scores, and what is drawn anew."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from motiongan.generation.generate import DEFAULT_BATCH, Draw
from motiongan.motion.clip import Clip

Scores = Mapping[str, float]
Scorer = Callable[[Sequence[Clip]], Sequence[Scores]]
Drawer = Callable[..., Iterator[Clip]]  # (draws, batch) -> their clips; `seed` takes another than the run's

ATTEMPTS = 16
PILOT_CLIPS = 256
# The pilot's clips are the same whatever the run's seed, and none of any run's: none gets as far as to this attempt.
_PILOT_SEED, _PILOT_ATTEMPT = 0, 2**32 - 1

# The scores that `keep` looks at, and what is good enough that nobody would draw a clip anew for it.
_LEAST: Scores = {"recognized": 0.5}
_MOST: Scores = {
    "foot_skate": 0.1,  # m/s; a standing foot rolls
    "penetration": 0.005,  # m, the tolerance of PhysDiff (Yuan et al. 2023, arXiv 2212.02500)
    "floating": 0.02,  # about one frame of a window
    "off_balance": 0.05,  # m; twice the mean of real kicks and dances (docs/log.md)
    "self_penetration": 0.002,  # m; four times the mean of real dances and karate, who have most (docs/log.md)
    "joint_range_violation": math.radians(5),
    "flight_error": 2.0,  # m/s^2
}
# Not bad by itself: it counts only where it is known what real clips of the action show.
_COMPARED = ("jerk",)


@dataclass(frozen=True)
class Bounds:
    """What the scores of a clip may be, at least and at most. A score that it does not have breaks no bound."""

    least: Scores = field(default_factory=dict)
    most: Scores = field(default_factory=dict)

    def broken(self, scores: Scores) -> dict[str, float]:
        """The scores out of their bounds, and how far out they are, as a share of the bound."""
        short = {name: bound - scores[name] for name, bound in self.least.items() if name in scores}
        over = {name: scores[name] - bound for name, bound in self.most.items() if name in scores}
        return {
            name: excess / max(abs(bounds[name]), 1e-9)
            for bounds, found in ((self.least, short), (self.most, over))
            for name, excess in found.items()
            if not excess <= 0
        }

    def tightened(self, other: "Bounds") -> "Bounds":
        """Both bounds at once."""
        least, most = dict(self.least), dict(self.most)
        for name, bound in other.least.items():
            least[name] = max(bound, least.get(name, bound))
        for name, bound in other.most.items():
            most[name] = min(bound, most.get(name, bound))
        return Bounds(least, most)


def good_enough(typical: Scores) -> Bounds:
    """What `keep` takes for faultless; `typical` is what real clips of the action typically score, {} = unknown."""
    most = {name: max(bound, typical.get(name, bound)) for name, bound in _MOST.items()}
    return Bounds(_LEAST, most | {name: typical[name] for name in _COMPARED if name in typical})


def calibrate(scores: Sequence[Scores], keep: float, faultless: Bounds) -> Bounds:
    """Bounds that the share `keep` of these clips pass: one quantile for every score, and never stricter than needed.

    A clip is as bad as its worst score: the share of the clips that are better in it. The bounds are where the clips
    with the highest such shares, 1 - keep of all, fall out. What is faultless is as good as the best, so fewer fall
    out where more than `keep` of the clips are faultless in everything. Between two clips' scores a bound is half
    way, so that other clips of the same kind pass as often.
    """
    if not scores:
        return Bounds()
    columns = [(name, -1.0, bound) for name, bound in faultless.least.items()]
    columns += [(name, 1.0, bound) for name, bound in faultless.most.items()]
    worst, levels = [0] * len(scores), []  # number of clips that are better in the clip's worst score
    for name, sign, bound in columns:
        # Larger is worse from here on.
        values = [max(sign * one[name], sign * bound) if name in one else sign * bound for one in scores]
        ordered = sorted(values)
        first: dict[float, int] = {}
        for place, value in enumerate(ordered):
            first.setdefault(value, place)
        worst = [max(old, first[value]) for old, value in zip(worst, values)]
        levels.append((name, sign, sorted(first.items())))
    # Several clips may share a place; the one whose number of passing clips is nearest to what was asked.
    level = min(sorted(set(worst)), key=lambda place: abs(sum(one <= place for one in worst) - keep * len(scores)))
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    for name, sign, places in levels:
        passing = [value for value, place in places if place <= level]
        failing = [value for value, place in places if place > level]
        if failing:
            (least if sign < 0 else most)[name] = sign * (passing[-1] + failing[0]) / 2
    return Bounds(least, most)


class QualityGate:
    """Scores clips, keeps those within the bounds and draws the others anew, each from its own seeds.

    scorer        gives clips their scores
    keep          share of the draws to keep, of those within `bounds`; 1 refuses none. The bounds that do it are found
                  per action on `PILOT_CLIPS` clips of seeds that belong to the model and no run (`calibrate`)
    bounds        what is asked for besides, of every action
    novel_from    least training_distance (m) by action; None asks for none
    typical       by action: what real clips of it typically score, see `good_enough`
    attempts      draws of a clip before the best of them is kept: fewest broken bounds, then least beyond them

    Which draw of a clip is kept depends on (seed, i), its action, the model, the gate and what clips are asked for, not
    on the other clips or the batch. `Clip.quality` holds its scores, `attempts`, the draws that it took, and
    `accepted`, 0 where none of them passed.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        keep: float = 1.0,
        bounds: Bounds | None = None,
        novel_from: Mapping[str, float] | None = None,
        typical: Mapping[str, Scores] | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        assert 0 < keep <= 1, f"keep is {keep}, expected more than 0, at most 1"
        assert attempts >= 1, f"{attempts} attempts, expected at least 1"
        self.scorer, self.keep, self.asked, self.attempts = scorer, keep, bounds or Bounds(), attempts
        self.novel_from, self._typical = novel_from, typical or {}
        self.bounds: dict[str, Bounds] = {}  # of the actions of the run, once it has begun
        self.drawn: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()

    def stream(self, draw: Drawer, actions: Sequence[str], n: int, batch: int) -> Iterator[Clip]:
        """`n` clips of each action in the order of their numbers, with their scores.

        draw   makes the clips of draws, computing `batch` at once
        """
        self.drawn, self.passed = Counter(), Counter()
        self.bounds = {action: self._bounds(draw, action) for action in actions}
        fresh = (Draw(number, actions[number // n]) for number in range(n * len(actions)))
        again: list[Draw] = []
        best: dict[int, tuple[tuple[float, float], Clip]] = {}
        done: dict[int, Clip] = {}
        following = 0
        while wanted := again + list(islice(fresh, batch - len(again))):
            again = []
            clips = list(draw(wanted, batch))
            for one, clip, scores in zip(wanted, clips, self.scorer(clips), strict=True):
                broken = self.bounds[one.action].broken(scores)
                self.drawn[one.action] += 1
                self.passed[one.action] += not broken
                fault = (float(len(broken)), sum(broken.values()))
                if one.number not in best or fault < best[one.number][0]:
                    best[one.number] = fault, replace(clip, quality=scores)
                if broken and one.attempt + 1 < self.attempts:
                    again.append(replace(one, attempt=one.attempt + 1))
                    continue
                _, kept = best.pop(one.number)
                told = {"attempts": one.attempt + 1.0, "accepted": float(not broken)}
                done[one.number] = replace(kept, quality={**kept.quality, **told})
            while following in done:
                yield done.pop(following)
                following += 1

    def report(self) -> dict[str, Any]:
        """What was asked, the bounds by action, and how many draws passed: plain values for a file's attribute."""
        return {
            "keep": self.keep,
            "least": dict(self.asked.least),
            "most": dict(self.asked.most),
            "novel": self.novel_from is not None,
            "attempts": self.attempts,
            "acceptance_rate": self.acceptance_rate(),
            "actions": {
                action: {
                    "drawn": self.drawn[action],
                    "passed": self.passed[action],
                    "least": dict(bounds.least),
                    "most": dict(bounds.most),
                }
                for action, bounds in self.bounds.items()
            },
        }

    def acceptance_rate(self, action: str | None = None) -> float:
        """Share of the draws that passed, of one action or all."""
        if action is None:
            return self.passed.total() / max(1, self.drawn.total())
        return self.passed[action] / max(1, self.drawn[action])

    def _bounds(self, draw: Drawer, action: str) -> Bounds:
        bounds = self.asked
        if self.novel_from is not None:
            bounds = bounds.tightened(Bounds(least={"training_distance": self.novel_from[action]}))
        if self.keep == 1:
            return bounds
        # Always in batches of one size: the last bits of the bounds must not depend on that of the run.
        pilot = (Draw(number, action, _PILOT_ATTEMPT) for number in range(PILOT_CLIPS))
        trials = draw(pilot, DEFAULT_BATCH, seed=_PILOT_SEED)
        scores: list[Scores] = []
        while clips := list(islice(trials, DEFAULT_BATCH)):
            scores += [one for one in self.scorer(clips) if not bounds.broken(one)]
        return bounds.tightened(calibrate(scores, self.keep, good_enough(self._typical.get(action, {}))))
