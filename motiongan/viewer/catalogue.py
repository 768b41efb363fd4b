"""Which clips of a motion file are listed: those of an action, whose person, source or seed contains a text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    from motiongan.motion.store import MotionFile

NO_LABEL = "(no label)"


class Catalogue:
    """The list of a motion file's clips, made from its clip table alone: no frames are read.

    Clips without frames are not listed. Raises MotionganError where that leaves none.
    """

    def __init__(self, file: "MotionFile") -> None:
        self._action_ids = file.action_ids
        self._actions = file.actions
        self._texts: tuple[Sequence[str], ...] = (file.subjects, file.sources)
        self._seeds = file.seeds
        self._listed = np.flatnonzero(file.lengths > 0)
        if not len(self._listed):
            raise MotionganError(f"{file.path}: holds no clips to show")

    def counts(self) -> dict[str, int]:
        """Number of listed clips of every action that has any, in alphabetical order; NO_LABEL comes last."""
        ids, counts = np.unique(self._action_ids[self._listed], return_counts=True)
        named = {self._actions[index]: int(count) for index, count in zip(ids, counts) if index >= 0}
        unlabelled = int(counts[ids < 0].sum())
        return dict(sorted(named.items())) | ({NO_LABEL: unlabelled} if unlabelled else {})

    def select(self, action: str | None = None, text: str = "") -> Int64[ndarray, "clips"]:
        """Numbers of the clips of an action (None: of all; NO_LABEL: of none) that contain the text, ascending.

        text   part of subject or source, in any case; or a whole seed
        """
        chosen = self._listed
        if action is not None:
            wanted = -1 if action == NO_LABEL else self._actions.index(action)
            chosen = chosen[self._action_ids[chosen] == wanted]
        part = text.strip().casefold()
        if part:
            hits = [any(part in column[index].casefold() for column in self._texts) for index in chosen.tolist()]
            if self._seeds is not None and part.isdecimal():
                hits = [hit or int(self._seeds[index]) == int(part) for hit, index in zip(hits, chosen)]
            chosen = chosen[np.array(hits, dtype=bool)]
        return chosen
