"""Precision, recall, density and coverage of one set of clips among another, action by action."""

import torch
from torch import Tensor

from motiongan.evaluation.bootstrap import Sample
from motiongan.evaluation.frechet import equal_rows
from motiongan.evaluation.metrics import neighbourhoods, tally
from motiongan.evaluation.pairs import FeatureSet

NAMES = ("precision", "density", "recall", "coverage")


def among(sample: FeatureSet, real: FeatureSet, counts: Tensor, *, seed: int) -> dict[str, Sample]:
    """The figures of `NAMES`: each action's windows among the real ones of that action.

    Within the action, since a rare one's nearest neighbours are otherwise other actions. Recall and coverage grow with
    the number of windows, so they are means over draws of `counts` windows of each action.
    """
    there = torch.bincount(real.action_ids, minlength=len(counts)) > 0
    drawn = equal_rows(sample.action_ids, torch.where(there, counts, 0), seed=seed)
    values: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    my_rows, real_rows = [], []
    for action_id in torch.unique(sample.action_ids[drawn[0]]).tolist():
        mine = (sample.action_ids == action_id).nonzero()[:, 0]
        theirs = (real.action_ids == action_id).nonzero()[:, 0]
        # Whether a window lies among the real ones does not depend on the others: all of them count.
        every = neighbourhoods(real.features[theirs], sample.features[mine])
        values["precision"].append(every.precision)
        values["density"].append(every.density)
        equal = [rows[sample.action_ids[rows] == action_id] for rows in drawn]
        found = [neighbourhoods(real.features[theirs], sample.features[rows]) for rows in equal]
        values["recall"].append(torch.stack([one.recall for one in found]).mean(0))
        values["coverage"].append(torch.stack([one.coverage for one in found]).mean(0))
        my_rows.append(mine)
        real_rows.append(theirs)
    if not my_rows:
        return {}
    mine, theirs = torch.cat(my_rows), torch.cat(real_rows)
    my_ids = sample.action_ids[mine], sample.clip_ids[mine]
    real_ids = real.action_ids[theirs], real.clip_ids[theirs]
    ids = {"precision": my_ids, "density": my_ids, "recall": real_ids, "coverage": real_ids}
    return {name: Sample(tally(torch.cat(parts)), *ids[name]) for name, parts in values.items()}
