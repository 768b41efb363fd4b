"""How a run stands: what a finished checkpoint's motion is worth, which checkpoint is kept, and what has gone wrong.

The trainer knows no evaluation: whoever starts a run may hand it an `OnAssess`, which generates from a checkpoint's
model file and measures.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from motiongan.losses.adversarial import Game, wasserstein_discriminator_loss

# Shares of the GAN steps. Before the first, motion of every run is poor and alike; of what comes before the second
# nothing is kept: the average is young, and the recognizer's few held-out clips cannot tell luck from skill.
_SETTLED = 0.2
_CANDIDATE = 0.4
_TIE = 0.02  # of score, 2 % of one of its terms: less is chance, and the longer trained model is kept

# What is told as trouble; of too little variety a run has collapsed where half of its actions have. In healthy runs of
# 500 steps and more pose diversity was 0.45 to 0.9, in collapsed ones 0.18 to 0.22 (docs/log.md). With three updates of
# the discriminator pairs were right in 0.96 to 0.994 of runs that came out well; in 0.997 of one whose clips served
# little.
_COLLAPSED = 0.3  # variety of an action's poses over the training clips'
_COPIES = 0.5  # distance to the nearest training motion over the held-out people's, and over training clips' own
_OVERTAKEN = 0.996  # share of pairs in which the discriminator finds the real clip
_DIVERGED = 3.0  # FID over the lowest of the run
_LOW = 0.5  # a FID to measure divergence from: below, chance multiplies it


@dataclass(frozen=True)
class Assessment:
    """Figures of a checkpoint's motion, overall and by action; those that cannot be told are left out.

    fid              to held-out people (to the training clips where nobody is held out)
    pose_diversity   variety of the poses of an action over the training clips' own: near 0 the generator has collapsed
    nn_ratio         distance to the nearest training motion over that of held-out people: near 0 it copies
    nn_spacing       the same over the distance of training clips to one another: a good student's is about 1
    can_choose       whether there are held-out clips enough to choose a checkpoint by `score`
    """

    figures: dict[str, float]
    by_action: dict[str, dict[str, float]] = field(default_factory=dict)
    can_choose: bool = True

    @property
    def score(self) -> float:
        """Lower is better: ln FID + what variety is short of the training clips' + what distance is short of held-out.

        All three are logarithms of ratios: a tenth more of FID weighs as much as a tenth less of variety, which FID
        hardly sees, or a tenth nearer to the training clips than other people are, which FID rewards. More variety or
        distance than real motion has is no gain; FID sees what is too far out.
        """
        shortfalls = (max(0.0, -_log(self.figures.get(name, 1.0))) for name in ("pose_diversity", "nn_ratio"))
        return _log(self.figures.get("fid", math.nan)) + sum(shortfalls)


OnAssess = Callable[[Path, int], Assessment]  # (model file, GAN step); raises what it likes, training goes on


@dataclass
class Standing:
    """What the assessments of a run have shown so far: part of its state, so that a resumed run chooses alike.

    kept_step     GAN step of the checkpoint that is kept, 0: none yet, the newest serves
    kept_score, lowest_score, lowest_fid   of the candidates so far
    trouble       kind of what was told last, "" for none
    """

    kept_step: int = 0
    kept_score: float = math.inf
    lowest_score: float = math.inf
    lowest_fid: float = math.inf
    trouble: str = ""

    def take(self, assessment: Assessment, step: int, steps: int) -> bool:
        """Note an assessment at a GAN step of so many; whether its checkpoint is to be kept from now on.

        The best of the last 60 % of the steps; of those within a tie of the best, the last.
        """
        score = assessment.score
        if not assessment.can_choose or step < _CANDIDATE * steps or math.isnan(score):
            return False
        keep = score <= self.lowest_score + _TIE
        if keep:
            self.kept_step, self.kept_score = step, score
        self.lowest_score = min(self.lowest_score, score)
        return keep

    def diagnose(self, assessment: Assessment, pairs_right: float, game: Game, step: int, steps: int) -> str:
        """What has gone wrong in one sentence, "" where nothing has; `trouble` then holds its kind."""
        if step < _SETTLED * steps:
            return ""
        self.trouble, sentence = self._diagnosis(assessment, pairs_right, game)
        fid = assessment.figures.get("fid", math.nan)
        if not math.isnan(fid):
            self.lowest_fid = min(self.lowest_fid, fid)
        return sentence

    def _diagnosis(self, assessment: Assessment, pairs_right: float, game: Game) -> tuple[str, str]:
        figures = assessment.figures
        varieties = [values["pose_diversity"] for values in assessment.by_action.values() if "pose_diversity" in values]
        alike = sum(variety < _COLLAPSED for variety in varieties)
        named = f"{_worst(assessment, 'pose_diversity', _COLLAPSED)} (variety of poses over the training clips')"
        if alike and 2 * alike >= len(varieties):
            return "collapsed", f"collapsed: nearly one and the same clip per action: {named}"
        fid = figures.get("fid", math.nan)
        if fid > _DIVERGED * max(self.lowest_fid, _LOW):
            return "diverging", f"diverging: FID {fid:.3g}, which was {self.lowest_fid:.3g} before"
        if not math.isfinite(fid) and figures:
            return "diverging", "diverging: its motion cannot be measured (FID is not a finite number)"
        # Other people may be far from all training clips: then these, too, are much nearer to one another.
        beside = {"nn_ratio": "those of held-out people", "nn_spacing": "these from one another"}
        known = {name: figures[name] for name in beside if name in figures}
        if known and max(known.values()) < _COPIES:
            times = " and ".join(f"{ratio:.2f} times as far as {beside[name]}" for name, ratio in known.items())
            return "copying", f"copying: its clips are from the training clips {times}"
        if not is_critic(game) and pairs_right >= _OVERTAKEN:
            return "overtaken", (
                f"overtaken: the discriminator finds the real clip in {pairs_right:.1%} of pairs, and the generator"
                " learns little from it; lower training.learning_rate or raise losses.gamma"
            )
        if alike:
            return "alike", f"little variety: nearly one and the same clip of {named}"
        return "", ""


def is_critic(game: Game) -> bool:
    """Whether the game's discriminator is right in nearly all pairs of a healthy run: it measures a distance."""
    return game.balanced or game.discriminator_loss is wasserstein_discriminator_loss


def log_figures(assessment: Assessment) -> dict[str, float]:
    """The finite figures of an assessment under the names of the log: assessment/fid, assessment/nn_ratio/walk."""
    values = {**assessment.figures, "score": assessment.score}
    for action, figures in assessment.by_action.items():
        values |= {f"{name}/{action}": value for name, value in figures.items()}
    return {f"assessment/{name}": value for name, value in values.items() if math.isfinite(value)}


def _worst(assessment: Assessment, name: str, limit: float) -> str:
    """The actions whose figure is below the limit, the worst first, as "squat 0.12, kick 0.2"; at most four."""
    known = {action: figures[name] for action, figures in assessment.by_action.items() if name in figures}
    found = [
        f"{action} {value:.2f}" for action, value in sorted(known.items(), key=lambda item: item[1]) if value < limit
    ]
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def _log(value: float) -> float:
    return math.nan if math.isnan(value) else math.log(max(value, 1e-6))
