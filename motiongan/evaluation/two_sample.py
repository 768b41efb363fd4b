"""A classifier two-sample test: can a fresh classifier tell one set of clips from another on clips it has not seen?"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.evaluation.spectrum import velocity_power
from motiongan.evaluation.windows import PosedWindows

FOLDS = 5
_MOST = 3  # windows of the larger set for each window of the smaller one, by action
_FEWEST_CLIPS = 2  # of an action in each set
_HIDDEN = 32
_STEPS = 80
_LEARNING_RATE = 5e-3
_DECAY = 1e-2


def summaries(windows: PosedWindows) -> Float[Tensor, "windows values"]:
    """What the classifier sees of a window: mean and deviation over its frames of positions and velocities of all
    joints in the heading frame, deviation of the accelerations, and the logarithm of the velocities' power spectra."""
    valid = windows.mask[..., None].float()
    count = valid.sum(1)
    values = windows.inputs()
    mean = (values * valid).sum(1) / count
    deviation = (((values - mean[:, None]) * valid).square().sum(1) / count).sqrt()
    velocity = values[..., 3 * NUM_MOVING_JOINTS :]
    change = velocity.diff(dim=1) * valid[:, 1:] * windows.frame_rate
    roughness = (change.square().sum(1) / count).sqrt()
    power = (velocity_power(windows).flatten(1) + 1e-4).log()
    return torch.cat([mean, deviation, roughness, power], 1)


def out_of_fold_scores(
    first: PosedWindows, second: PosedWindows, *, seed: int
) -> tuple[Float[Tensor, "first"], Float[Tensor, "second"], Int64[Tensor, "first"], Int64[Tensor, "second"]]:
    """How much each window looks like the second set, by a classifier that has not seen its clip; and its fold.

    Folds are made of whole clips, and each holds its share of every action. NaN where a window is not used: of an
    action of which either set has less than two clips (to learn from one and to judge another), or beyond three times
    the other set's number.
    """
    first_rows, second_rows = _chosen(first, second)
    values = torch.cat([summaries(first)[first_rows], summaries(second)[second_rows]])
    actions = torch.cat([first.action_ids[first_rows], second.action_ids[second_rows]])
    is_second = torch.arange(len(values)) >= len(first_rows)
    folds = torch.cat([_folds(first, first_rows, seed), _folds(second, second_rows, seed + 1)])
    # Every action weighs alike in both sets, so that the mix of actions tells nothing.
    cells = 2 * actions + is_second
    weights = 1 / torch.bincount(cells)[cells].float()
    scores = torch.zeros(0)
    if len(values):
        scores = _classify(values, is_second.float(), weights, folds, seed)

    def parted(found: Tensor, unused: float) -> tuple[Tensor, Tensor]:
        """Of each set's windows, `unused` where a window was not."""
        mine, others = (torch.full((len(windows),), unused, dtype=found.dtype) for windows in (first, second))
        return mine.index_put((first_rows,), found[~is_second]), others.index_put((second_rows,), found[is_second])

    return *parted(scores, torch.nan), *parted(folds, -1)


def separability(
    scores: Float[Tensor, "first"],
    others: Float[Tensor, "second"],
    folds: Int64[Tensor, "first"],
    other_folds: Int64[Tensor, "second"],
    weights: Float[Tensor, "draws first"],
    other_weights: Float[Tensor, "draws second"],
) -> Float[Tensor, "draws"]:
    """Area under the ROC curve: how often a window of the second set scores above one of the first.

    0.5 = nobody can tell, 1 = always. Only windows judged by the same classifier are paired. Source of the test:
    Lopez-Paz and Oquab 2017, arXiv 1610.06545.
    """
    paired = ((folds[:, None] == other_folds) & (folds >= 0)[:, None]).double()
    paired *= ~(scores.isnan()[:, None] | others.isnan())
    higher = (others > scores[:, None]).double() + 0.5 * (others == scores[:, None]).double()
    right = ((weights @ (higher * paired)) * other_weights).sum(1)
    return right / ((weights @ paired) * other_weights).sum(1)


def _chosen(first: PosedWindows, second: PosedWindows) -> tuple[Tensor, Tensor]:
    """Rows of the actions of which both sets have two clips, the larger set's evenly thinned."""
    rows: tuple[list[Tensor], list[Tensor]] = ([], [])
    for action in sorted(set(first.action_ids.tolist()) & set(second.action_ids.tolist())):
        own = [(windows.action_ids == action).nonzero()[:, 0] for windows in (first, second)]
        if any(len(windows.clip_ids[one].unique()) < _FEWEST_CLIPS for windows, one in zip((first, second), own)):
            continue
        most = _MOST * min(len(one) for one in own)
        for kept, one in zip(rows, own):
            kept.append(one[:: -(-len(one) // most)])
    none = torch.zeros(0, dtype=torch.long)
    return torch.cat([none, *rows[0]]), torch.cat([none, *rows[1]])


def _folds(windows: PosedWindows, rows: Tensor, seed: int) -> Tensor:
    """A fold for each of the rows: the clips of an action are shuffled and dealt out in turn."""
    folds = torch.zeros(len(rows), dtype=torch.long)
    generator = torch.Generator().manual_seed(seed)
    dealt = 0
    for action in windows.action_ids[rows].unique().tolist():
        own = (windows.action_ids[rows] == action).nonzero()[:, 0]
        clip_of = torch.unique(windows.clip_ids[rows[own]], return_inverse=True)[1]
        clips = int(clip_of.max()) + 1
        places = torch.randperm(clips, generator=generator) + dealt
        folds[own] = places[clip_of] % FOLDS
        dealt += clips
    return folds


def _classify(values: Tensor, labels: Tensor, weights: Tensor, folds: Tensor, seed: int) -> Tensor:
    """Logits of every row by a network with one hidden layer that was trained on the rows of all other folds.

    The networks of all folds learn side by side, each on all its rows at once, from the same first weights.
    """
    values = ((values - values.mean(0)) / values.std(0).clamp(min=1e-6)).clamp(-6, 6)
    shown = (folds != torch.arange(FOLDS)[:, None]) * weights
    shown = shown / shown.mean(1, keepdim=True).clamp(min=1e-12)
    generator = torch.Generator().manual_seed(seed)
    size = values.shape[1]
    hidden = (torch.randn(size, _HIDDEN, generator=generator) / size**0.5).repeat(1, FOLDS).requires_grad_()
    bias = torch.zeros(FOLDS, _HIDDEN, requires_grad=True)
    out = (torch.randn(_HIDDEN, generator=generator) / _HIDDEN**0.5).repeat(FOLDS, 1).requires_grad_()

    def logits() -> Tensor:
        inner = functional.gelu((values @ hidden).unflatten(1, (FOLDS, _HIDDEN)) + bias)
        return (inner * out).sum(-1).T

    optimiser = torch.optim.AdamW([hidden, bias, out], lr=_LEARNING_RATE, weight_decay=_DECAY)
    for _ in range(_STEPS):
        loss = functional.binary_cross_entropy_with_logits(logits(), labels.expand(FOLDS, -1), shown, reduction="sum")
        optimiser.zero_grad()
        (loss / len(labels)).backward()
        optimiser.step()
    with torch.no_grad():
        return logits()[folds, torch.arange(len(folds))]
