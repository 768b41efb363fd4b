"""Figures with paired 95 % intervals over seeds and test clips.

A figure is the mean over seeds of the mean over actions of the mean over an action's test clips. In every draw as many
seeds as there are, and within each action as many clips as there are, are taken anew with replacement; all rows share
the draws, so differences are paired by seed and by clip. Both kinds of deviation are first widened by
sqrt(n / (n - 1)), since the bootstrap's variance of a mean of n is too small by (n - 1) / n: with five seeds that
matters. Where there is one seed, or an action has one clip, that part of the doubt is missing. The test people stay
the same: what other people would show is not in the interval.
Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 13.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

DRAWS = 2000


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def facts(self) -> dict[str, float | None]:
        """For JSON, which has no NaN."""
        return {name: None if value != value else round(value, 4) for name, value in vars(self).items()}


class Comparison:
    """One error of every row, of each seed and test clip, and what follows from it."""

    def __init__(
        self,
        errors: Mapping[str, Float[Tensor, "seeds clips"]],
        action_ids: Int64[Tensor, "clips"],
        *,
        seed: int = 0,
        action: int | None = None,
    ) -> None:
        """Prepare the draws; `action` looks at the clips of one action alone."""
        some = next(iter(errors.values()))
        rows = torch.arange(some.shape[1]) if action is None else (action_ids == action).nonzero()[:, 0]
        ids = action_ids[rows]
        num_seeds = len(some)
        random = torch.Generator().manual_seed(seed)
        seed_weights = _counts(num_seeds, random) / num_seeds
        clip_weights = torch.zeros(DRAWS, len(rows), dtype=torch.float64)
        plain = torch.zeros(len(rows), dtype=torch.float64)
        present = ids.unique()
        for number in present.tolist():
            of_action = (ids == number).nonzero()[:, 0]
            share = 1 / (len(present) * len(of_action))
            clip_weights[:, of_action] = _counts(len(of_action), random) * share
            plain[of_action] = share
        self._values: dict[str, float] = {}
        self._draws: dict[str, Tensor] = {}
        self.by_seed: dict[str, list[float]] = {}
        for name, whole in errors.items():
            table = whole[:, rows].double()
            self._values[name] = float(table.mean(0) @ plain)
            self.by_seed[name] = (table @ plain).tolist()
            wide = _widened(table, 0)
            for number in present.tolist():
                of_action = ids == number
                wide[:, of_action] = _widened(wide[:, of_action], 1)
            self._draws[name] = ((seed_weights @ wide) * clip_weights).sum(1)

    def figure(self, row: str) -> Figure:
        """The row's error."""
        return _figure(self._values[row], self._draws[row])

    def gain(self, row: str, base: str) -> Figure:
        """By what share the row's error is lower than the base's; above 0 is better."""
        return _figure(1 - self._values[row] / self._values[base], 1 - self._draws[row] / self._draws[base])

    def ratio(self, row: str, base: str) -> Figure | None:
        """The row's figure over the base's; None where that is 0."""
        if not self._values[base]:
            return None
        return _figure(self._values[row] / self._values[base], self._draws[row] / self._draws[base])

    def closed(self, row: str, base: str, ceiling: str) -> Figure | None:
        """Share of the gap from `base` to `ceiling` that the row closes; None where that gap is not clear of zero."""
        if self.gain(ceiling, base).low <= 0:
            return None
        value = (self._values[base] - self._values[row]) / (self._values[base] - self._values[ceiling])
        draws = (self._draws[base] - self._draws[row]) / (self._draws[base] - self._draws[ceiling])
        return _figure(value, draws)


def _counts(count: int, random: torch.Generator) -> Float[Tensor, "draws count"]:
    """How often each of `count` is taken in every draw."""
    drawn = torch.randint(count, (DRAWS, count), generator=random)
    return torch.zeros(DRAWS, count, dtype=torch.float64).scatter_add_(1, drawn, torch.ones(DRAWS, count).double())


def _widened(table: Float[Tensor, "rows columns"], axis: int) -> Float[Tensor, "rows columns"]:
    """Deviations from the mean along an axis, times sqrt(n / (n - 1))."""
    count = table.shape[axis]
    if count < 2:
        return table.clone()
    mean = table.mean(axis, keepdim=True)
    return mean + (table - mean) * (count / (count - 1)) ** 0.5


def _figure(value: float, draws: Float[Tensor, "draws"]) -> Figure:
    low, high = draws[draws.isfinite()].quantile(torch.tensor([0.025, 0.975], dtype=draws.dtype)).tolist()
    return Figure(value, low, high)
