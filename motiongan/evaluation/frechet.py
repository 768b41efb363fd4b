"""The Fréchet distance of two sets of clips at equal numbers of windows and equal weight of actions, with an interval.

The distance is biased upwards by few samples, so sets compare only where as many windows of each action are taken.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.evaluation.bootstrap import Drawn, unbiased
from motiongan.evaluation.metrics import frechet_distance
from motiongan.evaluation.pairs import FeatureSet

NUM_DRAWS = 5  # of as many windows as the held-out clips have; the figure is their mean
BOOTSTRAP_DRAWS = 300


def equal_rows(
    action_ids: Int64[Tensor, "windows"], counts: Int64[Tensor, "actions"], *, seed: int
) -> list[Int64[Tensor, "taken"]]:
    """Rows of as many windows of each action as `counts` says, drawn without replacement; one set if all are taken."""
    there = torch.bincount(action_ids, minlength=len(counts))
    taken = torch.minimum(there, counts)
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in range(1 if bool((taken == there)[taken > 0].all()) else NUM_DRAWS):
        order = torch.randperm(len(action_ids), generator=generator)
        ids = action_ids[order]
        drawn.append(torch.cat([order[ids == action][: int(number)] for action, number in enumerate(taken)]))
    return drawn


def fid(sample: FeatureSet, reference: FeatureSet, counts: Tensor, *, seed: int, intervals: bool) -> Drawn:
    """Fréchet distance of `counts` windows of each action of the sample to all of the reference.

    Only actions that both have and that `counts` is not 0 for; each has the same weight.
    The interval draws the clips of both sets anew. A draw repeats clips and so lies too high; the mean excess over
    the figure is taken off again and told as its `bias`.
    """
    known = torch.bincount(reference.action_ids, minlength=len(counts)) > 0
    counts = torch.where(known, counts, 0)
    drawn = equal_rows(sample.action_ids, counts, seed=seed)
    if len(drawn[0]) < 2:
        return Drawn(math.nan)
    used = torch.zeros(len(counts), dtype=torch.bool)
    used[sample.action_ids[drawn[0]]] = True
    reference = reference[used[reference.action_ids]]
    distances = [
        frechet_distance(
            sample.features[rows],
            reference.features,
            _balanced(sample.action_ids[rows]),
            _balanced(reference.action_ids),
        )
        for rows in drawn
    ]
    value = sum(distances) / len(distances)
    if not intervals:
        return Drawn(value)
    sample = sample[used[sample.action_ids]]
    generator = torch.Generator().manual_seed(seed)
    everything = torch.bincount(reference.action_ids, minlength=len(counts))
    draws = _distances(
        *_moments(sample, _drawn_windows(sample, counts, generator)),
        *_moments(reference, _drawn_windows(reference, everything, generator)),
    )
    clips = len(torch.unique(torch.stack([sample.action_ids, sample.clip_ids], 1), dim=0))
    return unbiased(value, draws, clips, 0.0, math.inf)


def _balanced(ids: Tensor) -> Tensor:
    return 1 / torch.bincount(ids)[ids].double()


def _drawn_windows(windows: FeatureSet, counts: Tensor, generator: torch.Generator) -> Float[Tensor, "draws windows"]:
    """How often each window counts: clips are drawn until `counts` windows of their action are there.

    The last clip counts by the part that is still wanted.
    """
    weights = torch.zeros(BOOTSTRAP_DRAWS, len(windows), dtype=torch.float64)
    for action in windows.action_ids.unique().tolist():
        own = (windows.action_ids == action).nonzero()[:, 0]
        clip_of = torch.unique(windows.clip_ids[own], return_inverse=True)[1]
        sizes = torch.bincount(clip_of)
        wanted = min(int(counts[action]), len(own))
        drawn = torch.randint(len(sizes), (BOOTSTRAP_DRAWS, wanted), generator=generator)
        before = sizes[drawn].cumsum(1) - sizes[drawn]
        part = ((wanted - before) / sizes[drawn]).clamp(0, 1).double()
        clips = torch.zeros(BOOTSTRAP_DRAWS, len(sizes), dtype=torch.float64).scatter_add_(1, drawn, part)
        weights[:, own] = clips[:, clip_of]
    return weights


def _moments(windows: FeatureSet, times: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance in every draw, each action having the same weight."""
    values = windows.features.double()
    member = torch.nn.functional.one_hot(windows.action_ids).double()
    present = member.any(0)
    totals = (times @ member).clamp(min=1e-12)[:, windows.action_ids]
    share = times / totals / present.sum()
    mean = share @ values
    second = (share @ (values[:, :, None] * values[:, None]).flatten(1)).unflatten(1, (values.shape[1], -1))
    squares = (share / totals / present.sum()).sum(1)  # each copy of a window counts as a sample of its own
    return mean, (second - mean[:, :, None] * mean[:, None]) / (1 - squares)[:, None, None]


def _distances(mean: Tensor, covariance: Tensor, other_mean: Tensor, other: Tensor) -> Float[Tensor, "draws"]:
    """As `metrics.frechet_distance`, for many draws at once."""
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp(min=0).sqrt()[:, None]) @ vectors.mT
    cross = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum(-1)
    traces = covariance.diagonal(dim1=1, dim2=2).sum(-1) + other.diagonal(dim1=1, dim2=2).sum(-1)
    return ((mean - other_mean).square().sum(-1) + traces - 2 * cross).clamp(min=0)
