"""Figures that are means over pairs of clips: diversity, multimodality, and the kernel distance (KID).

Windows of one recording are alike, so only pairs from two different clips count; this also keeps a clip that a
bootstrap draw takes twice from being its own neighbour. In figures over all actions, every action counts alike.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.evaluation.bootstrap import resample

DRAWS = 300
_MOST_WINDOWS = 1500  # that pairs are made of, evenly spaced; the matrices grow with their square


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Recognizer features of windows, with each window's action and clip."""

    features: Float[Tensor, "windows features"]
    action_ids: Int64[Tensor, "windows"]
    clip_ids: Int64[Tensor, "windows"]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Tensor) -> "FeatureSet":
        return FeatureSet(self.features[rows], self.action_ids[rows], self.clip_ids[rows])

    def has(self, action_id: int) -> bool:
        return bool((self.action_ids == action_id).any())

    def of(self, action_ids: Tensor) -> "FeatureSet":
        """The windows of some actions."""
        return self[torch.isin(self.action_ids, action_ids).nonzero()[:, 0]]


@dataclass(frozen=True, eq=False)
class ClipWeights:
    """Windows thinned out for pairing, and how often each of their clips counts: once in the first row, then drawn."""

    windows: FeatureSet
    clip_of: Int64[Tensor, "windows"]
    action_of: Int64[Tensor, "clips"]
    sizes: Float[Tensor, "clips"]
    weights: Float[Tensor, "rows clips"]

    def clips_of(self, *action_ids: int) -> int:
        """How many clips of these actions there are."""
        return int(torch.isin(self.action_of, torch.tensor(action_ids)).sum())


def weigh_clips(windows: FeatureSet, *, seed: int, draws: int = DRAWS) -> ClipWeights:
    """Clips drawn anew within each action; `draws` = 0 leaves the plain row alone."""
    actions = windows.action_ids.unique().tolist()
    most = max(2, _MOST_WINDOWS // max(1, len(actions)))
    rows = []
    for action in actions:
        own = (windows.action_ids == action).nonzero()[:, 0]
        rows.append(own[:: -(-len(own) // most)])
    windows = windows[torch.cat(rows)]
    # A clip is one recording with one action: number (action, clip) pairs.
    keys = torch.stack([windows.action_ids, windows.clip_ids], 1)
    found, clip_of = torch.unique(keys, dim=0, return_inverse=True)
    action_of = found[:, 0]
    weights = torch.ones(draws + 1, len(found), dtype=torch.float64)
    for action in actions:
        own = (action_of == action).nonzero()[:, 0]
        if draws:
            random = torch.Generator().manual_seed(1000 * seed + action)
            weights[1:, own] = resample(torch.arange(len(own)), generator=random, draws=draws).weights
    return ClipWeights(windows, clip_of, action_of, torch.bincount(clip_of).double(), weights)


def pair_means(
    values: Float[Tensor, "windows others"], first: ClipWeights, second: ClipWeights, actions: Int64[Tensor, "actions"]
) -> Float[Tensor, "rows actions actions"]:
    """Mean of a symmetric function of two windows over the pairs of every two actions, per row of the weights.

    Where both sets are the same object, pairs within a clip are left out. NaN where no pair is left.
    """
    sums = torch.zeros(len(first.sizes), values.shape[1], dtype=torch.float64).index_add_(0, first.clip_of, values)
    sums = torch.zeros(len(second.sizes), len(first.sizes), dtype=torch.float64).index_add_(0, second.clip_of, sums.T)
    counts = second.sizes[:, None] * first.sizes
    if first is second:
        sums.fill_diagonal_(0)
        counts.fill_diagonal_(0)
    members = (second.action_of[:, None] == actions).double()
    blocks = []
    for action in actions:
        own = (first.action_of == action).nonzero()[:, 0]
        total, count = (
            ((first.weights[:, own] @ table[:, own].T) * second.weights) @ members for table in (sums, counts)
        )
        blocks.append(total / count)
    return torch.stack(blocks, 1)


def mean_distances(clips: ClipWeights, actions: Int64[Tensor, "actions"]) -> Float[Tensor, "rows actions actions"]:
    """Mean distance of two clips' features: over two clips of one action (the diagonal) it is multimodality.

    Source: Guo et al. 2020 (Action2Motion), arXiv 2007.15240, who draw 200 random pairs; here all of them count.
    """
    features = clips.windows.features.double()
    return pair_means(torch.cdist(features, features), clips, clips, actions)


def balanced_mean(blocks: Float[Tensor, "rows actions actions"]) -> Float[Tensor, "rows"]:
    """Mean over the blocks of `pair_means`, each counting alike; NaN where the plain row lacks one of them.

    An action of a single clip has no pair of its own. A mean over the other blocks would be one of other pairs, which
    nothing compares with. A draw without a pair (it took one clip again and again) has the plain row's value instead.
    """
    return torch.where(blocks.isnan(), blocks[:1], blocks).flatten(1).mean(1)


def kernel_distances(
    first: ClipWeights, second: ClipWeights, actions: Int64[Tensor, "actions"]
) -> tuple[Float[Tensor, "rows"], Float[Tensor, "rows actions"]]:
    """Squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, over all actions together and action by action.

    Unbiased: unlike the Fréchet distance it does not grow when there are few clips, and it may fall below 0. NaN where
    a set has a single clip of an action, and over all actions where it has a single one of any.
    Source: Bińkowski et al. 2018, arXiv 1801.01401 (KID), section 4; here every action has the same weight.
    """

    def means(one: ClipWeights, other: ClipWeights) -> Tensor:
        product = one.windows.features.double() @ other.windows.features.double().T
        return pair_means((product / one.windows.features.shape[1] + 1) ** 3, one, other, actions)

    inside, outside, between = means(first, first), means(second, second), means(first, second)
    overall = [balanced_mean(block) for block in (inside, outside, between)]
    each = [block.diagonal(dim1=1, dim2=2) for block in (inside, outside, between)]
    return overall[0] + overall[1] - 2 * overall[2], each[0] + each[1] - 2 * each[2]
