"""Figures of merit of motion, each a function of tensors: distributions of features, feet, ground, flight, variety.

Motion comes as `(windows, frames, ...)` in metres, Z up, with a `mask` of the valid frames, which come first in
a row. A figure that nothing contributes to (flight of a clip that never leaves the ground) is NaN, not 0.
Real recordings do not score 0 either: read every figure beside that of held-out real clips.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.anatomy import GRAVITY

LOW_POINT = 0.03  # m: a ball of the foot below this in two frames is "low", whether it stands or slides
SKATE_SPEED = 0.5  # m/s, as in Guided Motion Diffusion (Karunratanakul et al. 2023, arXiv 2305.12577)
UNSUPPORTED = 0.05  # m: clearance of a body that nothing carries
RANGE_TOLERANCE = math.radians(5)  # a frame violates the joint ranges where a joint is further out than this
NEIGHBOURS = 5  # of a sample, whose distance is the radius of its neighbourhood


@dataclass(frozen=True, eq=False)
class Tally:
    """A mean as the sums that it is made of, a pair per window: it can be taken over any windows, and drawn anew.

    total   of the quantity, count   of what it is divided by (frames, steps, or the window itself)
    """

    total: Float[Tensor, "windows"]
    count: Float[Tensor, "windows"]

    @property
    def mean(self) -> float:
        """Over all windows; NaN where nothing counts."""
        count = self.count.sum().item()
        return self.total.sum().item() / count if count else math.nan

    def __getitem__(self, rows: Tensor) -> "Tally":
        return Tally(self.total[rows], self.count[rows])


def tally(values: Tensor, where: Tensor | None = None) -> Tally:
    """The mean of values, the first axis being windows; `where` says which of them count (default: all)."""
    counted = torch.ones_like(values, dtype=torch.float64) if where is None else where.double().expand(values.shape)
    total = torch.where(counted > 0, values.double() * counted, 0.0)
    inner = tuple(range(1, values.ndim))
    return Tally(total.sum(inner), counted.sum(inner)) if inner else Tally(total, counted)


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """What `neighbourhoods` finds; each figure is the mean of its tensor.

    precision   generated samples that lie in a real sample's neighbourhood
    density     of a generated sample: real neighbourhoods that it lies in, over `NEIGHBOURS`; 1 = as dense as real
    recall      real samples that lie in a generated sample's neighbourhood
    coverage    real samples whose neighbourhood holds a generated sample
    """

    precision: Float[Tensor, "generated"]
    density: Float[Tensor, "generated"]
    recall: Float[Tensor, "real"]
    coverage: Float[Tensor, "real"]


def neighbourhoods(
    real: Float[Tensor, "real features"], generated: Float[Tensor, "generated features"], k: int = NEIGHBOURS
) -> Neighbourhoods:
    """Precision, recall, density and coverage, sample by sample, from each sample's k-th nearest neighbour.

    A neighbourhood is the open ball around a sample that reaches to its k-th nearest fellow (itself not counted), or to
    the farthest where there are fewer than k; `density` is then over their number. A single sample has none: what
    would be told by it is NaN.
    Recall and coverage grow with the number of generated samples: compare at equal numbers.
    Source: Naeem et al. 2020, arXiv 2002.09797, Eqs. 3 to 6 (precision and recall: Kynkäänniemi et al. 2019).
    """
    between = torch.cdist(generated.double(), real.double(), compute_mode="donot_use_mm_for_euclid_dist")
    in_real = between < _radii(real, k)
    in_generated = between < _radii(generated, k)[:, None]

    def told(values: Tensor, by: Tensor) -> Tensor:
        return values.double() if len(by) > 1 else torch.full(values.shape, math.nan, dtype=torch.float64)

    return Neighbourhoods(
        precision=told(in_real.any(1), real),
        density=told(in_real.double().sum(1) / max(1, min(k, len(real) - 1)), real),
        recall=told(in_generated.any(0), generated),
        coverage=told(in_real.any(0), real),
    )


def _radii(samples: Tensor, k: int) -> Tensor:
    """Distance of each sample to its k-th nearest fellow; to the farthest where there are fewer."""
    if len(samples) < 2:
        return torch.zeros(len(samples), dtype=torch.float64)
    distances = torch.cdist(samples.double(), samples.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return distances.fill_diagonal_(0).sort(dim=1).values[:, min(k, len(samples) - 1)]


def frechet_distance(
    features: Float[Tensor, "windows features"],
    others: Float[Tensor, "others features"],
    weights: Float[Tensor, "windows"] | None = None,
    other_weights: Float[Tensor, "others"] | None = None,
) -> float:
    """Fréchet distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) of the Gaussians fitted to two feature sets.

    weights   of the samples, None = equal; they let two sets of unlike action mix be compared at equal mix
    It is biased upwards by few samples: compare only at equal counts.
    Source: Heusel et al. 2017, arXiv 1706.08500, Eq. 6 (FID), over our recognizer's features.
    """
    mean, covariance = _moments(features, weights)
    other_mean, other_covariance = _moments(others, other_weights)
    # tr (C1 C2)^1/2 = tr (S C2 S)^1/2 with S = C1^1/2, which is symmetric: no complex roots, singular C is no trouble.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * cross
    return distance.clamp(min=0).item()


def _moments(features: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and unbiased covariance in double precision."""
    values = features.double()
    share = torch.full_like(values[:, 0], 1 / len(values)) if weights is None else weights.double() / weights.sum()
    mean = share @ values
    centred = values - mean
    return mean, (centred.T * share) @ centred / (1 - share.square().sum())


def pose_deviation(joints: Float[Tensor, "windows frames joints 3"], mask: Bool[Tensor, "windows frames"]) -> float:
    """RMS distance of a joint from its mean over the windows at the same frame number, averaged over the frames.

    joints   root-free: relative to the point under the pelvis, in the heading frame
    Divided by the training clips' own it is the *pose diversity*: two samples of an action that a collapsed generator
    makes are in the same pose at the same frame, which classifier features do not show (docs/log.md).
    The variance is unbiased (n - 1), so that sets of unlike size compare.
    """
    seen = mask[..., None, None].to(joints.dtype)
    count = seen.sum(0)
    mean = (joints * seen).sum(0) / count.clamp(min=1)
    squared = ((joints - mean).square() * seen).sum(0)
    enough = count[:, 0, 0] > 1
    variance = (squared / (count - 1).clamp(min=1)).sum(-1).mean(-1)[enough]
    # Frames that many windows reach count by that number.
    weight = (count[:, 0, 0] - 1)[enough]
    return ((variance * weight).sum() / weight.sum()).sqrt().item() if enough.any() else math.nan


def foot_skate(
    soles: Float[Tensor, "windows frames 4 3"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> dict[str, float]:
    """The figures of `foot_skate_tallies` over all windows."""
    return {name: made.mean for name, made in foot_skate_tallies(soles, mask, frame_rate).items()}


def foot_skate_tallies(
    soles: Float[Tensor, "windows frames 4 3"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> dict[str, Tally]:
    """How the balls of the feet slide, by geometry alone (no contact flags).

    low_toe_share   share of (foot, step) pairs with the ball below `LOW_POINT` before and after the step
    skate_share     share of those in which it moves faster than `SKATE_SPEED` horizontally
    foot_skate      mean horizontal speed in those, m/s
    Lifting the feet lowers skate_share: read it with low_toe_share. Source: the skating ratio of Guided Motion
    Diffusion (arXiv 2305.12577), on the ball's sole point instead of the toe joint, hence the lower height.
    """
    balls = soles[:, :, 2:]
    steps = (mask[:, 1:] & mask[:, :-1])[..., None]
    low = (torch.maximum(balls[:, 1:, :, 2], balls[:, :-1, :, 2]) < LOW_POINT) & steps
    speed = balls[..., :2].diff(dim=1).norm(dim=-1) * frame_rate
    return {
        "low_toe_share": tally(low, steps),
        "skate_share": tally(speed > SKATE_SPEED, low),
        "foot_skate": tally(speed, low),
    }


def penetration(soles: Float[Tensor, "windows frames 4 3"], mask: Bool[Tensor, "windows frames"]) -> float:
    """Depth of the lowest sole point below the ground, metres, over all windows."""
    return penetration_tally(soles, mask).mean


def penetration_tally(soles: Float[Tensor, "windows frames 4 3"], mask: Bool[Tensor, "windows frames"]) -> Tally:
    """Depth of the lowest sole point below the ground, metres, mean over all frames (0 for those above)."""
    return tally((-soles[..., 2].amin(-1)).clamp(min=0), mask)


def with_neighbours(frames: Bool[Tensor, "windows frames"]) -> Bool[Tensor, "windows inner"]:
    """Where a frame and both its neighbours are True: of all frames but the first and the last."""
    return frames[:, 2:] & frames[:, 1:-1] & frames[:, :-2]


def in_air(
    clearance: Float[Tensor, "windows frames"], mask: Bool[Tensor, "windows frames"]
) -> Bool[Tensor, "windows inner"]:
    """Where nothing carries the body: clearance above `UNSUPPORTED` in a frame and both its neighbours."""
    return with_neighbours((clearance > UNSUPPORTED) & mask)


def vertical_acceleration(
    mass_centre: Float[Tensor, "windows frames 3"], frame_rate: float
) -> Float[Tensor, "windows inner"]:
    """Upward acceleration of the centre of mass, m/s^2, in all frames but the first and the last."""
    height = mass_centre[..., 2]
    return (height[:, 2:] - 2 * height[:, 1:-1] + height[:, :-2]) * frame_rate**2


def flight(
    mass_centre: Float[Tensor, "windows frames 3"],
    clearance: Float[Tensor, "windows frames"],
    mask: Bool[Tensor, "windows frames"],
    frame_rate: float,
) -> dict[str, Tally]:
    """How the body behaves where nothing carries it (`in_air`).

    air_share        share of such frames
    flight_error     mean of |a_z + 9.81| of the centre of mass in them, m/s^2
    floating_share   share of frames that are in the air but do not fall: a_z more than g / 2 from -g
    """
    inner = with_neighbours(mask)
    air = in_air(clearance, mask)
    error = (vertical_acceleration(mass_centre, frame_rate) + GRAVITY).abs()
    return {
        "air_share": tally(air, inner),
        "flight_error": tally(error, air),
        "floating_share": tally(air & (error > GRAVITY / 2), inner),
    }


def joint_range(
    violation: Float[Tensor, "windows frames joints"], mask: Bool[Tensor, "windows frames"]
) -> dict[str, Tally]:
    """How far the joints leave their ranges of motion; `violation` is radians outside, per joint.

    range_share     share of frames in which a joint is more than 5 degrees outside
    range_degrees   degrees outside, summed over the joints, mean over the frames
    """
    return {
        "range_share": tally(violation.amax(-1) > RANGE_TOLERANCE, mask),
        "range_degrees": tally(violation.sum(-1) * (180 / math.pi), mask),
    }


def median_jerk(jerk: Float[Tensor, "windows steps joints"], mask: Bool[Tensor, "windows frames"]) -> float:
    """Median over time of the joints' mean jerk, m/s^3. The median, since glitches of a recording rule the mean.

    jerk   magnitude of the third difference: step t needs frames t to t + 3
    """
    inner = mask[:, 3:] & mask[:, 2:-1] & mask[:, 1:-2] & mask[:, :-3]
    values = jerk.mean(-1)[inner]
    return values.median().item() if len(values) else math.nan


def nearest(
    queries: Float[Tensor, "queries values"],
    candidates: Float[Tensor, "candidates values"],
    chunk: int = 256,
    *,
    owners: tuple[Int64[Tensor, "queries"], Int64[Tensor, "candidates"]] | None = None,
) -> tuple[Float[Tensor, "queries"], Int64[Tensor, "queries"]]:
    """Euclidean distance from every query to its nearest candidate, and which candidate that is (-1: there is none).

    owners   whose each query and each candidate is: a query's own candidates do not count; inf where it has only these
    """
    if not len(candidates) or not len(queries):
        return torch.full((len(queries),), math.inf), torch.full((len(queries),), -1)
    squares = candidates.square().sum(-1)
    found, alone = [], []
    for begin in range(0, len(queries), chunk):
        part = squares - 2 * queries[begin : begin + chunk] @ candidates.T
        if owners is not None:
            part = part.masked_fill(owners[0][begin : begin + chunk, None] == owners[1], math.inf)
        nearest_one = part.min(-1)
        found.append(nearest_one.indices)
        alone.append(nearest_one.values.isinf())
    index, none = torch.cat(found), torch.cat(alone)
    # The product above loses the last digits of a small distance: a copy is at 0.
    distance = (queries - candidates[index]).norm(dim=-1)
    return distance.masked_fill(none, math.inf), index.masked_fill(none, -1)
