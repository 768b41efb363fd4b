"""The figures of all rows and what follows from them: gains, gaps closed, and on which side of noise they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.utility.intervals import Comparison, Figure
from motiongan.utility.rows import ALL, ALL_PERTURBED, FEW, PERTURBED, RIVALS

BETTER, WORSE, NOISE = "better", "worse", "within noise"


@dataclass(frozen=True)
class Measure:
    """A figure of every row. scale turns it into what is printed."""

    heading: str
    unit: str
    digits: int = 1
    scale: float = 1.0


LIFTER_MEASURES = {
    "mpjpe": Measure("MPJPE", "mm"),
    "pa_mpjpe": Measure("PA-MPJPE", "mm"),
    "n_mpjpe": Measure("N-MPJPE", "mm"),
    "velocity_error": Measure("velocity", "mm/s", 0),
}
RECOGNITION_MEASURES = {"accuracy": Measure("accuracy", "%", 1, 100.0)}


class Results:
    """Errors of all rows and what is compared: computed once, printed in several ways.

    errors   by measure and row; lower is better but for accuracy
    focus    action that all but the per-action figures look at; None = all
    """

    def __init__(
        self,
        errors: Mapping[str, Mapping[str, Float[Tensor, "seeds clips"]]],
        action_ids: Int64[Tensor, "clips"],
        actions: Sequence[str],
        measures: Mapping[str, Measure],
        *,
        focus: str | None = None,
    ) -> None:
        self.measures, self.actions, self.focus = measures, list(actions), focus
        self.main = next(iter(measures))
        self.rows = list(errors[self.main])
        number = None if focus is None else self.actions.index(focus)
        self.overall = {name: Comparison(errors[name], action_ids, action=number) for name in measures}
        present = action_ids.unique().tolist()
        self.by_action = {
            action: {name: Comparison(errors[name], action_ids, action=index) for name in measures}
            for index, action in enumerate(self.actions)
            if index in present
        }
        self.clips = {action: int((action_ids == index).sum()) for index, action in enumerate(self.actions)}
        self.is_lifter = "mpjpe" in measures
        self.base = PERTURBED if self.is_lifter else FEW  # what generated clips must beat

    def gain(self, row: str, base: str, comparison: Comparison | None = None) -> Figure | None:
        """By what share the row's error is lower than the base's; of accuracy: the row's over the base's.

        None where the row is the base, or one of them is not here.
        """
        if row == base or row not in self.rows or base not in self.rows:
            return None
        comparison = comparison or self.overall[self.main]
        return comparison.gain(row, base) if self.is_lifter else comparison.ratio(row, base)

    def action_gain(self, row: str, action: str, base: str | None = None) -> Figure | None:
        """The gain on one action's test clips, over the rows' common base if no other is named."""
        return self.gain(row, base or self.base, self.by_action[action][self.main])

    def closed(self, row: str, base: str, ceiling: str = ALL_PERTURBED) -> Figure | None:
        """Share of the gap from the base to all real clips that the row closes; None where no gap is clear of zero."""
        if not self.is_lifter or row in (base, ALL, ALL_PERTURBED):
            return None
        return self.overall[self.main].closed(row, base, ceiling)

    def over_rival(self, row: str) -> dict[str, Figure | None]:
        """The row's gain over the same with clips of the PCA-Gaussian, by measure; empty where that is not here."""
        rival = RIVALS.get(row)
        if row not in self.rows or rival not in self.rows:
            return {}
        return {name: self.gain(row, rival, self.overall[name]) for name in self.measures}

    def verdict(self, gain: Figure | None) -> str:
        """BETTER or WORSE where the whole interval says so, or NOISE; empty where there is none to judge by."""
        if gain is None or gain.low == gain.high:
            return ""
        even = 0.0 if self.is_lifter else 1.0
        return BETTER if gain.low > even else WORSE if gain.high < even else NOISE

    def actions_with(self, verdict: str, row: str) -> list[str]:
        """Actions on which the row is better or worse than the base, or within noise of it."""
        return [action for action in self.by_action if self.verdict(self.action_gain(row, action)) == verdict]

    def facts(self) -> dict[str, Any]:
        """For report.json."""
        told: dict[str, Any] = {}
        word = "gain" if self.is_lifter else "ratio"
        for row in self.rows:
            one: dict[str, Any] = {
                name: self.overall[name].figure(row).facts() | {"by_seed": self._by_seed(name, row)}
                for name in self.measures
            }
            for base in (FEW, PERTURBED):
                if gain := self.gain(row, base):
                    one[f"{word}_over_{_key(base)}"] = gain.facts()
                if closed := self.closed(row, base):
                    one[f"gap_closed_from_{_key(base)}"] = closed.facts()
            if closed := self.closed(row, PERTURBED, ALL):
                one[f"gap_closed_from_{_key(PERTURBED)}_to_{_key(ALL)}"] = closed.facts()
            if rival := self.over_rival(row):
                judged = {name: gain.facts() | {"verdict": self.verdict(gain)} for name, gain in rival.items() if gain}
                one[f"{word}_over_rival"] = {"rival": RIVALS[row], **judged}
            one["by_action"] = {}
            for action, comparisons in self.by_action.items():
                figures: dict[str, Any] = {name: comparisons[name].figure(row).facts() for name in self.measures}
                for base in (FEW, PERTURBED):
                    if gain := self.action_gain(row, action, base):
                        figures[f"{word}_over_{_key(base)}"] = gain.facts()
                if verdict := self.verdict(self.action_gain(row, action)):
                    figures[f"against_{_key(self.base)}"] = verdict
                one["by_action"][action] = figures
            if row != self.base:
                one[f"worse_than_{_key(self.base)}"] = self.actions_with(WORSE, row)
            told[row] = one
        return told

    def _by_seed(self, name: str, row: str) -> list[float]:
        """The row's figure, seed by seed."""
        return [round(value, 4) for value in self.overall[name].by_seed[row]]


def percent(figure: Figure | None, *, signed: bool = False) -> str:
    """A share with its interval, both in percent."""
    if figure is None:
        return ""
    form = "+.1f" if signed else ".0f"
    return f"{100 * figure.value:{form}} % [{100 * figure.low:{form}}, {100 * figure.high:{form}}]"


def _key(row: str) -> str:
    return row.replace(" + ", "_and_").replace(" ", "_")
