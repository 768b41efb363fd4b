"""What coaches measure: speed, steps, flight, joint angles and their speeds, as distributions per action.

Every measure is one number per window (NaN where it does not apply: no flight, fewer than two steps), so that real
and generated windows of one length compare. Distributions are compared by their Wasserstein distance, in the unit of
the measure.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.body.skeleton import JOINT
from motiongan.evaluation.bootstrap import Drawn, resample, unbiased
from motiongan.evaluation.figures import Estimate
from motiongan.evaluation.limbs import LIMB_ANGLES, TURNING_JOINTS
from motiongan.evaluation.steps import body_speed, flights, intervals, standing, steps_of, stride_regularity
from motiongan.evaluation.windows import PosedWindows

DRAWS = 200
FEWEST = 5  # windows with a value, in both sets, from which on a distance is told
_TRAVELS = 0.5  # m/s from which on steps are counted


@dataclass(frozen=True)
class Measure:
    """heading with its unit, format of a value, and what it is."""

    heading: str
    form: str
    meaning: str


MEASURES: Mapping[str, Measure] = {
    "speed": Measure("speed, m/s", "{:.2f}", "mean horizontal speed of the centre of mass"),
    "step_frequency": Measure("steps per second", "{:.2f}", "strikes of alternate feet, of bodies that travel"),
    "step_length": Measure("step length, m", "{:.2f}", "between the places of successive feet"),
    "stride_regularity": Measure(
        "stride regularity", "{:.2f}", "correlation of a stride with the next (1: all alike), of bodies that travel"
    ),
    "contact_time": Measure("contact time, s", "{:.3f}", "mean time that a foot stands, of bodies that travel or fly"),
    "flight_time": Measure("flight time, s", "{:.3f}", "mean time between two stands while the body falls"),
    "jump_height": Measure("jump height, m", "{:.2f}", "highest rise of the centre of mass after take-off"),
    "peak_hip_flexion": Measure("peak hip flexion, °", "{:.0f}", "largest angle of the thigh forward from the trunk"),
    "peak_knee_flexion": Measure("peak knee flexion, °", "{:.0f}", "0 is a straight leg"),
    "peak_shoulder_elevation": Measure("peak shoulder elevation, °", "{:.0f}", "0 is a hanging arm"),
    "peak_elbow_flexion": Measure("peak elbow flexion, °", "{:.0f}", "0 is a straight arm"),
    "peak_hip_speed": Measure("peak hip speed, °/s", "{:.0f}", "fastest turning of the joint about any axis"),
    "peak_knee_speed": Measure("peak knee speed, °/s", "{:.0f}", "as for the hip"),
    "peak_shoulder_speed": Measure("peak shoulder speed, °/s", "{:.0f}", "as for the hip"),
    "peak_elbow_speed": Measure("peak elbow speed, °/s", "{:.0f}", "as for the hip"),
    "peak_foot_speed": Measure("peak foot speed, m/s", "{:.1f}", "fastest motion of an ankle"),
    "peak_hand_speed": Measure("peak hand speed, m/s", "{:.1f}", "fastest motion of a wrist"),
}


@dataclass(frozen=True, eq=False)
class Measured:
    """The measures of windows: (windows, measures) in the order of `MEASURES`; and each window's action and clip."""

    values: Float[Tensor, "windows measures"]
    action_ids: Int64[Tensor, "windows"]
    clip_ids: Int64[Tensor, "windows"]

    def of(self, action_id: int, name: str) -> tuple[Tensor, Tensor]:
        """The values that there are of a measure in an action, and the clip of each."""
        column = self.values[:, list(MEASURES).index(name)]
        rows = (self.action_ids == action_id) & ~column.isnan()
        return column[rows], self.clip_ids[rows]

    def __getitem__(self, rows: Tensor) -> "Measured":
        return Measured(self.values[rows], self.action_ids[rows], self.clip_ids[rows])


@dataclass(frozen=True)
class Distance:
    """A measure of an action in a set of clips: median and quartiles, and the distances to real clips, in its unit.

    windows   that have a value
    train     the distance to the training clips, with its draws;  scaled   the same over their standard deviation
    """

    windows: int
    low: float
    median: float
    high: float
    train: Drawn
    scaled: Drawn
    to_held_out: Estimate

    @property
    def to_train(self) -> Estimate:
        return self.train.estimate()


def measure(windows: PosedWindows) -> Measured:
    """The measures of every window."""
    down = standing(windows)
    stands = intervals(down, windows.mask.sum(1))
    steps, flown = steps_of(windows, stands), flights(windows, down)
    speed = body_speed(windows)
    travels = speed[steps.rows] > _TRAVELS
    rows, seconds, metres = steps.rows[travels], steps.seconds[travels], steps.metres[travels]
    enough = torch.bincount(rows, minlength=len(windows)) >= 2
    # A body on the spot shuffles: what its feet do between two shuffles is no contact time.
    moves = speed > _TRAVELS
    moves[flown.rows] = True
    whole = stands[stands.whole & moves[stands.rows]]
    height = windows.mass_centre[..., 2]
    frames = torch.arange(height.shape[1])
    rises = []
    for row, begin, end in zip(flown.rows, flown.begins, flown.ends):
        rises.append(height[row, begin:end].max() - height[row, begin - 1])
    values = {
        "speed": speed,
        "step_frequency": torch.where(enough, 1 / _mean(seconds, rows, len(windows)), math.nan),
        "step_length": torch.where(enough, _mean(metres, rows, len(windows)), math.nan),
        "stride_regularity": torch.where(enough, stride_regularity(windows), math.nan),
        "contact_time": _mean((whole.ends - whole.begins) / windows.frame_rate, whole.rows, len(windows)),
        "flight_time": _mean((flown.ends - flown.begins) / windows.frame_rate, flown.rows, len(windows)),
        "jump_height": _highest(torch.stack(rises) if rises else torch.zeros(0), flown.rows, len(windows)),
    }
    valid = windows.mask[..., None]
    for name in ("hip_flexion", "knee_flexion", "shoulder_elevation", "elbow_flexion"):
        angle = windows.limb_angles[:, :, LIMB_ANGLES.index(name)]
        values[f"peak_{name}"] = angle.masked_fill(~valid, -math.inf).amax((1, 2))
    # The last valid frame's neighbour is padding, which stands still.
    moving = valid & (frames < windows.mask.sum(1, keepdim=True) - 1)[..., None]
    for joint, name in enumerate(TURNING_JOINTS):
        turning = windows.turning_speeds[:, :, joint]
        values[f"peak_{name}_speed"] = turning.masked_fill(~moving, 0.0).amax((1, 2))
    for name, joints in (("foot", ("left_ankle", "right_ankle")), ("hand", ("left_wrist", "right_wrist"))):
        places = windows.joints[:, :, [JOINT[joint] for joint in joints]]
        step = (places[:, 2:] - places[:, :-2]).norm(dim=-1) * windows.frame_rate / 2
        values[f"peak_{name}_speed"] = step.masked_fill(~valid[:, 2:], 0.0).amax((1, 2))
    table = torch.stack([values[name].double() for name in MEASURES], 1)
    return Measured(table, windows.action_ids, windows.clip_ids)


def compare(
    sample: Measured, train: Measured, held_out: Measured | None, action_id: int, *, seed: int
) -> dict[str, Distance]:
    """The measures of one action: how the sample's distributions lie to the training and the held-out clips'."""
    found = {}
    for number, name in enumerate(MEASURES):
        mine = sample.of(action_id, name)
        if not len(mine[0]):
            continue
        key = 1000 * seed + 50 * action_id + number
        to_train, scaled = _distance(mine, train.of(action_id, name), seed=key)
        to_held_out = Estimate(math.nan)
        if held_out is not None:
            to_held_out = _distance(mine, held_out.of(action_id, name), seed=key)[0].estimate()
        low, median, high = mine[0].quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
        found[name] = Distance(len(mine[0]), low, median, high, to_train, scaled, to_held_out)
    return found


def wasserstein(
    values: Float[Tensor, "values"],
    others: Float[Tensor, "others"],
    weights: Float[Tensor, "draws values"],
    other_weights: Float[Tensor, "draws others"],
) -> Float[Tensor, "draws"]:
    """The first Wasserstein distance of two weighted samples: the area between their distribution functions.

    `scipy.stats.wasserstein_distance`, for many sets of weights at once.
    """
    together, order = torch.cat([values, others]).sort()
    nothing = torch.zeros(len(weights), len(others), dtype=weights.dtype)
    nobody = torch.zeros(len(weights), len(values), dtype=weights.dtype)
    first = torch.cat([weights / weights.sum(1, keepdim=True), nothing], 1)[:, order].cumsum(1)
    second = torch.cat([nobody, other_weights / other_weights.sum(1, keepdim=True)], 1)[:, order].cumsum(1)
    return ((first - second).abs()[:, :-1] * together.diff()).sum(1)


def _distance(mine: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor], *, seed: int) -> tuple[Drawn, Drawn]:
    """The distance, the clips of both drawn anew; and the same over the real ones' standard deviation."""
    if min(len(mine[0]), len(real[0])) < FEWEST:
        return Drawn(math.nan), Drawn(math.nan)
    generator = torch.Generator().manual_seed(seed)
    weights = []
    for values, clips in (mine, real):
        drawn = resample(clips, generator=generator, draws=DRAWS).weights
        weights.append(torch.cat([torch.ones(1, len(values), dtype=drawn.dtype), drawn]))
    distances = wasserstein(mine[0], real[0], *weights)
    scaled = distances / real[0].std().clamp(min=1e-9)
    count = len(mine[1].unique())
    plain, over = (unbiased(rows[0].item(), rows[1:], count, 0.0, math.inf) for rows in (distances, scaled))
    return plain, over


def _mean(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """The mean of each row's values, NaN where a row has none."""
    total = torch.zeros(count).index_add_(0, rows, values.float())
    return total / torch.bincount(rows, minlength=count)


def _highest(values: Tensor, rows: Tensor, count: int) -> Tensor:
    highest = torch.full((count,), -math.inf).scatter_reduce_(0, rows, values.float(), "amax")
    return torch.where(highest.isinf(), math.nan, highest)
