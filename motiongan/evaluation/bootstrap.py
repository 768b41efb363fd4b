"""95 % intervals by drawing clips anew, with replacement, within each action (the percentile bootstrap).

Windows of one recording are not independent, so whole clips are drawn. What a row is compared with (the training
clips, the recognizer, the held-out quantiles) stays as it is: an interval tells how much the figure would move with
other clips of the same origin, not with another recognizer or other people to compare with.
Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.evaluation.metrics import Tally

DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Sample:
    """A tally, and the action and clip of each of its samples: windows measured, or real windows found again."""

    tally: Tally
    action_ids: Int64[Tensor, "samples"]
    clip_ids: Int64[Tensor, "samples"]


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
