"""Which windows show which action, of a MotionDataset and of what Subset and ConcatDataset make of some."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from torch.utils.data import ConcatDataset, Subset

from motiongan.augmentation.dataset import MotionDataset


class Parts:
    """Windows that Subset and ConcatDataset took from MotionDatasets, by action as a MotionDataset tells them.

    Holds 8 bytes for each window. Raises ValueError where the data sets differ in what all windows must share.
    """

    def __init__(self, source: Any, sets: list[MotionDataset]) -> None:
        for name in (*alike(sets[0].fields), "actions"):
            values = list(dict.fromkeys(getattr(each, name) for each in sets))
            if len(values) > 1:
                raise ValueError(
                    f"the parts of the {type(source).__name__} differ in {name}: {values[0]} and {values[1]};"
                    " one MotionDataset reads several files alike"
                )
        self.window, self.frame_rate, self.fields = sets[0].window, sets[0].frame_rate, sets[0].fields
        self.actions, self.body_model = sets[0].actions, sets[0].body_model
        ids = _action_ids(source)
        self._numbers = {name: np.flatnonzero(ids == number) for number, name in enumerate(self.actions)}

    def windows_of(self, action: str) -> int:
        """How many windows show an action."""
        return len(self._numbers.get(action, ()))

    def numbers_of(self, action: str, which: ndarray) -> ndarray:
        """The windows numbered 0, 1, ... among those of an action -> their numbers among all windows."""
        return np.asarray(self._numbers[action][which])


def alike(fields: Sequence[str]) -> tuple[str, ...]:
    """Attributes in which data sets of one batch must agree; betas are numbers of one body model alone."""
    return ("window", "frame_rate", "fields", *(("body_model",) if "betas" in fields else ()))


def labelled(source: Any) -> MotionDataset | Parts | None:
    """What tells the actions of a data set's windows; None for one of another kind."""
    if isinstance(source, MotionDataset):
        return source
    sets = _sets(source)
    return Parts(source, sets) if sets else None


def _sets(source: Any) -> list[MotionDataset]:
    """The MotionDatasets that a data set is made of; none where it has parts of another kind."""
    if isinstance(source, MotionDataset):
        return [source]
    if isinstance(source, Subset):
        return _sets(source.dataset)
    parts = [_sets(each) for each in source.datasets] if isinstance(source, ConcatDataset) else []
    return [each for part in parts for each in part] if all(parts) else []


def _action_ids(source: Any) -> ndarray:
    """Index of every window's action, -1 = no label."""
    if isinstance(source, Subset):
        return np.asarray(_action_ids(source.dataset)[np.asarray(source.indices, dtype=np.int64)])
    if isinstance(source, ConcatDataset):
        return np.concatenate([_action_ids(each) for each in source.datasets])
    return np.asarray(source.index.action_ids.repeat(np.diff(source.index.ends, prepend=0)))
