"""Which poses and phases of an action a set of clips visits: variety inside clips, which no feature distance shows."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.evaluation.windows import PosedWindows

NUM_PHASES = 24
VISITED = 0.25  # of a phase's share of the real frames, from which on it counts as visited
_VELOCITY_TIME = 0.15  # s: how much a difference of velocity counts beside one of position
_EVERY = 2  # frames


@dataclass(frozen=True, eq=False)
class Phases:
    """Clusters of an action's real frames by pose and velocity, and the share of the real frames in each."""

    centres: Float[Tensor, "phases values"]
    shares: Float[Tensor, "phases"]

    def visits(self, windows: PosedWindows) -> Float[Tensor, "windows phases"]:
        """How many frames of every window are nearest to each phase."""
        values, rows = _frames(windows)
        nearest = torch.cdist(values, self.centres).argmin(1)
        flat = rows * len(self.centres) + nearest
        return torch.bincount(flat, minlength=len(windows) * len(self.centres)).view(len(windows), -1).double()

    def coverage(self, visits: Float[Tensor, "*draws phases"]) -> Float[Tensor, "*draws"]:
        """Share of the phases that hold at least `VISITED` of the share of frames that they hold in real motion."""
        share = visits / visits.sum(-1, keepdim=True)
        covered = (share >= VISITED * self.shares).double().mean(-1)
        return torch.where(visits.sum(-1) > 0, covered, torch.nan)


def find_phases(windows: PosedWindows, *, seed: int) -> Phases:
    """k-means (Lloyd) on the frames of an action's real windows; equal for equal windows and seed."""
    import warnings

    from scipy.cluster.vq import kmeans2

    values = _frames(windows)[0].double().numpy()
    order = np.random.default_rng(seed).permutation(len(values))
    first = values[order[: min(NUM_PHASES, len(values))]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a cluster that has become empty: it is dropped
        centres, labels = kmeans2(values, first, iter=30, minit="matrix", missing="warn")
    used = np.unique(labels)
    shares = np.bincount(labels, minlength=len(centres))[used] / len(values)
    return Phases(torch.from_numpy(centres[used]).float(), torch.from_numpy(shares))


def _frames(windows: PosedWindows) -> tuple[Tensor, Tensor]:
    """Pose and velocity of every second valid frame, from the point under the pelvis; and the window of each."""
    joints = windows.root_free_joints()
    velocity = joints.diff(dim=1) * windows.frame_rate * _VELOCITY_TIME
    values = torch.cat([joints[:, :-1], velocity], 2)[:, ::_EVERY].flatten(2)
    valid = windows.mask[:, 1:][:, ::_EVERY]
    return values[valid], valid.nonzero()[:, 0]
