"""How near clips come to the training clips: copies show here and in no distance of distributions."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.evaluation import metrics
from motiongan.evaluation.windows import PosedWindows, Segments, segments

NEAR_SHARE = 0.05  # of held-out pieces, by which nearness a near-copy is told
FEWEST_PIECES = 10  # held-out ones, below which nobody can tell


@dataclass(frozen=True)
class NearPair:
    """A clip's motion and the training motion that is most like it: clip numbers, first frames, RMS distance in mm.

    mirrored   it is the training motion's mirror image that is so near
    """

    clip: int
    begin: int
    train_clip: int
    train_begin: int
    distance_mm: float
    mirrored: bool = False


@dataclass(frozen=True, eq=False)
class Nearest:
    """Of every piece of some windows: distance to the nearest training motion in mm, which that is, action and clip.

    mirrored   whether it is that motion's mirror image
    """

    distances: Float[Tensor, "pieces"]
    found: Int64[Tensor, "pieces"]
    rows: Int64[Tensor, "pieces"]
    begins: Int64[Tensor, "pieces"]
    action_ids: Int64[Tensor, "pieces"]
    clip_ids: Int64[Tensor, "pieces"]
    mirrored: Bool[Tensor, "pieces"]


class TrainingMotion:
    """All pieces of the training clips and their mirror images, to look for the nearest one in.

    Training shows clips in a mirror too: what copies these is a copy.
    shown   windows of the training clips that overlap, so that every time shift is there
    """

    def __init__(self, shown: PosedWindows) -> None:
        self._shown = shown
        self._candidates: Segments = segments(shown, every_start=True)
        self._owners = shown.clip_ids[self._candidates.rows]
        self._leg_length = shown.leg_length.mean()

    def nearest(self, windows: PosedWindows, *, are_training: bool = False) -> Nearest:
        """RMS joint distance (mm on the training bodies) of the middle of each window to the nearest training motion.

        are_training   they are training windows themselves: of each, its own clip does not count
        """
        pieces = segments(windows, every_start=False)
        clip_ids = windows.clip_ids[pieces.rows]
        owners = (clip_ids, self._owners) if are_training else None
        (distance, found), (other, other_found) = (
            metrics.nearest(values, self._candidates.values, owners=owners)
            for values in (pieces.values, pieces.mirrored())  # instead of twice as many candidates
        )
        mirrored = other < distance
        scale = 1000 * self._leg_length / math.sqrt(pieces.values.shape[1] / 3)
        action_ids = windows.action_ids[pieces.rows]
        return Nearest(
            torch.where(mirrored, other, distance) * scale,
            torch.where(mirrored, other_found, found),
            pieces.rows,
            pieces.begins,
            action_ids,
            clip_ids,
            mirrored,
        )

    def pairs(self, windows: PosedWindows, near: Nearest) -> list[NearPair]:
        """Of each action the window that is nearest to a training clip, the nearest first."""
        pairs: dict[int, NearPair] = {}
        for piece in near.distances.argsort(stable=True).tolist():
            if (action_id := int(near.action_ids[piece])) in pairs:
                continue
            row, candidate = int(near.rows[piece]), int(near.found[piece])
            shown_row = int(self._candidates.rows[candidate])
            pairs[action_id] = NearPair(
                clip=int(windows.clip_ids[row]),
                begin=int(windows.starts[row] + near.begins[piece]),
                train_clip=int(self._shown.clip_ids[shown_row]),
                train_begin=int(self._shown.starts[shown_row] + self._candidates.begins[candidate]),
                distance_mm=near.distances[piece].item(),
                mirrored=bool(near.mirrored[piece]),
            )
        return list(pairs.values())


@dataclass(frozen=True, eq=False)
class NearCopies:
    """When a piece counts as a near-copy: its distance over the median of held-out people in the action is below
    `limit`, which all held-out pieces together, of whatever action, stay above but for `NEAR_SHARE` of them.

    medians   mm by action; NaN where the action has no held-out piece
    One limit for all actions, since a 5 % quantile of a handful of pieces is one piece.
    """

    medians: Float[Tensor, "actions"]
    limit: float

    def scaled(self, near: Nearest) -> Float[Tensor, "pieces"]:
        """Distances over the held-out people's median in the action; NaN where there is none."""
        return near.distances / self.medians[near.action_ids]


def near_copies(held_out: Nearest, num_actions: int) -> NearCopies:
    """The definition of a near-copy by these held-out pieces: by construction about 5 % of them are.

    Too few pieces define nothing: the limit is then NaN.
    """
    medians = torch.full((num_actions,), math.nan)
    for action_id in held_out.action_ids.unique().tolist():
        medians[action_id] = held_out.distances[held_out.action_ids == action_id].median()
    scaled = (held_out.distances / medians[held_out.action_ids]).sort().values
    if len(scaled) < FEWEST_PIECES:
        return NearCopies(medians, math.nan)
    return NearCopies(medians, scaled[round(NEAR_SHARE * len(scaled))].item())
