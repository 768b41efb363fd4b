"""95 % intervals by drawing clips anew, with replacement, within each action (the percentile bootstrap).

Windows of one recording are not independent, so whole clips are drawn. A figure that hangs on the recognizer is a mean
over several, and its draws are those of all: the interval tells how much the figure would move with other clips of the
same origin and by a single recognizer, and so is wider than that of their mean. What a row is compared with (the
training clips, the held-out quantiles) stays as it is: other people are in no interval.
Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.evaluation.figures import Estimate
from motiongan.evaluation.metrics import Tally

DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Sample:
    """A tally, and the action and clip of each of its samples: windows measured, or real windows found again."""

    tally: Tally
    action_ids: Int64[Tensor, "samples"]
    clip_ids: Int64[Tensor, "samples"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure, its draws (None where there are none) and the number of clips that these were drawn from.

    bias   by how much the draws lay above the figure on average, where that was taken off them
    """

    value: float
    draws: Float[Tensor, "draws"] | None = None
    clips: int = 0
    bias: float = math.nan

    def estimate(self) -> Estimate:
        """The figure with its interval."""
        if self.draws is None or not len(self.draws):
            return Estimate(self.value)
        low, high = interval(self.draws)
        # Draws that reach a bound of the figure may lie to one side of it.
        return Estimate(self.value, min(low, self.value), max(high, self.value), self.clips, self.bias)


def drawn(values: Float[Tensor, "rows"], clips: int) -> Drawn:
    """A figure that is its value and its draws, if any, in one tensor."""
    return Drawn(values[0].item(), values[1:] if len(values) > 1 else None, clips)


def unbiased(value: float, draws: Float[Tensor, "draws"] | None, clips: int, low: float, high: float) -> Drawn:
    """A figure between `low` and `high` that repeated clips raise or lower: a distance, a variety.

    The mean excess of the draws over the figure is taken off them.
    """
    if draws is None or not len(draws):
        return Drawn(value)
    bias = draws.nanmean().item() - value
    return Drawn(value, (draws - bias).clamp(low, high), clips, bias)


def mean_of(parts: Sequence[Drawn]) -> Drawn:
    """One figure as several recognizers, or several partings of the clips, have it: the mean, with the draws of all."""
    values, biases = (
        [each for each in some if not math.isnan(each)] for some in zip(*((p.value, p.bias) for p in parts))
    )
    draws = [part.draws for part in parts if part.draws is not None]
    if draws:  # for a part without, another's: figures of several actions are added up draw by draw
        draws = [draws[number % len(draws)] if part.draws is None else part.draws for number, part in enumerate(parts)]
    return Drawn(
        sum(values) / len(values) if values else math.nan,
        torch.cat(draws) if draws else None,
        max(part.clips for part in parts),
        sum(biases) / len(biases) if biases else math.nan,
    )


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each of some clips is taken in every draw.

    weights   (draws, samples) of each sample: that of the clip it is from
    clips     how many clips there are to draw from
    """

    weights: Float[Tensor, "draws samples"]
    clips: int

    def means(self, tally: Tally) -> Float[Tensor, "draws"]:
        """The tally's mean in every draw; NaN where nothing counts in it."""
        return (self.weights @ tally.total) / (self.weights @ tally.count)

    def sums(self, values: Float[Tensor, "samples *values"]) -> Float[Tensor, "draws *values"]:
        """The sum of the samples in every draw."""
        return (self.weights @ values.double().flatten(1)).unflatten(1, values.shape[1:])

    def first(self, draws: int) -> "Resampling":
        """Some of the draws, for figures that are dear."""
        return Resampling(self.weights[:draws], self.clips)

    def medians(self, values: Float[Tensor, "samples"]) -> Float[Tensor, "draws"]:
        """The lower median of the values in every draw."""
        order = values.argsort()
        reached = self.weights[:, order].cumsum(1)
        return values[order][(reached >= reached[:, -1:] / 2).double().argmax(1)].double()


def resample(clip_ids: Int64[Tensor, "samples"], *, generator: torch.Generator, draws: int = DRAWS) -> Resampling:
    """Draws of as many clips as there are; a clip brings all its samples."""
    numbers = torch.unique(clip_ids, return_inverse=True)[1]
    clips = int(numbers.max()) + 1 if len(numbers) else 0
    if not clips:
        return Resampling(torch.zeros(draws, 0, dtype=torch.float64), 0)
    drawn = torch.randint(clips, (draws, clips), generator=generator)
    counts = torch.zeros(draws, clips, dtype=torch.float64).scatter_add_(1, drawn, torch.ones(draws, clips).double())
    return Resampling(counts[:, numbers], clips)


def interval(draws: Float[Tensor, "draws"]) -> tuple[float, float]:
    """The 2.5 and 97.5 % quantiles of the draws that are not NaN; NaN where more than a tenth are."""
    known = draws[~draws.isnan()]
    if len(known) < 0.9 * len(draws):
        return float("nan"), float("nan")
    low, high = known.quantile(torch.tensor([0.025, 0.975], dtype=known.dtype)).tolist()
    return low, high
