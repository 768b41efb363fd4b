"""When the feet stand, step and fly, from geometry alone: what the measures of athletes are taken from.

A foot stands where its heel or ball is low and slow, not where a contact flag says so: the same rule for recorded and
generated motion, loose enough that a foot which slides a little still stands.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.anatomy import GRAVITY
from motiongan.body.skeleton import JOINT
from motiongan.evaluation.windows import PosedWindows

STANDING_HEIGHT = 0.05  # m: heel or ball below this
# m/s: and slower than the first and the second times the body's own speed together, up to the third
STANDING_SPEED = (0.3, 0.5, 1.0)
SHORTEST_STEP, LONGEST_STEP = 0.15, 1.5  # s between the strikes of two feet
SHORTEST_FLIGHT = 2  # frames
SHORTEST_STRIDE, LONGEST_STRIDE = 0.4, 1.6  # s between the strikes of one foot
_LEAST_REPEATED = 0.4  # s of a window that a repeat must span


@dataclass(frozen=True, eq=False)
class Intervals:
    """Stretches of frames: the window and foot (0 left, 1 right) they are of, first frame, and the frame after the
    last.

    whole   both the beginning and the end lie inside the window, so that the length is known
    """

    rows: Int64[Tensor, "intervals"]
    feet: Int64[Tensor, "intervals"]
    begins: Int64[Tensor, "intervals"]
    ends: Int64[Tensor, "intervals"]
    whole: Bool[Tensor, "intervals"]

    def __getitem__(self, chosen: Tensor) -> "Intervals":
        return Intervals(
            self.rows[chosen], self.feet[chosen], self.begins[chosen], self.ends[chosen], self.whole[chosen]
        )


def body_speed(windows: PosedWindows) -> Float[Tensor, "windows"]:
    """Mean horizontal speed of the centre of mass, m/s."""
    steps = windows.mask[:, 1:]
    speed = windows.mass_centre[..., :2].diff(dim=1).norm(dim=-1) * windows.frame_rate
    return (speed * steps).sum(1) / steps.sum(1).clamp(min=1)


def standing(windows: PosedWindows) -> Bool[Tensor, "windows frames 2"]:
    """Where the left and the right foot stand; gaps and stands of a single frame are filled and dropped."""
    low = windows.soles[..., 2] < STANDING_HEIGHT
    step = windows.soles.diff(dim=1).norm(dim=-1) * windows.frame_rate
    before, after = torch.cat([step[:, :1], step], 1), torch.cat([step, step[:, -1:]], 1)
    least, share, most = STANDING_SPEED
    limit = (least + share * body_speed(windows)).clamp(max=most)[:, None, None]
    down = (low & (torch.minimum(before, after) < limit)).unflatten(2, (2, 2)).any(2)
    for filled in (True, False):  # first gaps, then stands
        inner = down[:, 1:-1]
        alone = (inner != filled) & (down[:, :-2] == filled) & (down[:, 2:] == filled)
        down = torch.cat([down[:, :1], torch.where(alone, filled, inner), down[:, -1:]], 1)
    return down & windows.mask[..., None]


def intervals(where: Bool[Tensor, "windows frames feet"], lengths: Int64[Tensor, "windows"]) -> Intervals:
    """The unbroken stretches of True, by window, then foot, then time."""
    rows = where.transpose(1, 2)
    nothing = torch.zeros_like(rows[..., :1])
    padded = torch.cat([nothing, rows, nothing], -1)
    begins = (padded[..., 1:] & ~padded[..., :-1]).nonzero()
    ends = (~padded[..., 1:] & padded[..., :-1]).nonzero()[:, 2]
    whole = (begins[:, 2] > 0) & (ends < lengths[begins[:, 0]])
    return Intervals(begins[:, 0], begins[:, 1], begins[:, 2], ends, whole)


def flights(windows: PosedWindows, down: Bool[Tensor, "windows frames 2"]) -> Intervals:
    """Whole stretches in which no foot stands and the centre of mass falls, by more than g / 2 on average.

    What hangs, climbs or lies does not fall, and neither does what floats.
    """
    none = ~down.any(-1) & windows.mask
    found = intervals(none[..., None], windows.mask.sum(1))
    found = found[found.whole & (found.ends - found.begins >= SHORTEST_FLIGHT)]
    height = windows.mass_centre[..., 2]
    # The mean acceleration between the frame before and the frame after, from the three heights there and halfway.
    first, last = found.begins - 1, found.ends
    velocity = height.diff(dim=1) * windows.frame_rate
    change = velocity[found.rows, last - 1] - velocity[found.rows, first]
    acceleration = change * windows.frame_rate / (last - 1 - first).clamp(min=1)
    return found[acceleration < -GRAVITY / 2]


@dataclass(frozen=True, eq=False)
class Steps:
    """From the strike of one foot to the next strike of the other: window, seconds, metres between the two places."""

    rows: Int64[Tensor, "steps"]
    seconds: Float[Tensor, "steps"]
    metres: Float[Tensor, "steps"]


def steps_of(windows: PosedWindows, stands: Intervals) -> Steps:
    """Every pair of successive strikes of different feet that are a step's time apart."""
    struck = stands[stands.begins > 0]
    order = (struck.rows * windows.mask.shape[1] + struck.begins).argsort(stable=True)
    struck = struck[order]
    first, second = struck[torch.arange(len(order)) < len(order) - 1], struck[torch.arange(len(order)) > 0]
    seconds = (second.begins - first.begins) / windows.frame_rate
    is_step = (first.rows == second.rows) & (first.feet != second.feet)
    is_step &= (seconds >= SHORTEST_STEP) & (seconds <= LONGEST_STEP)
    places = [
        windows.soles.unflatten(2, (2, 2)).mean(2)[one.rows, _middle(one), one.feet, :2] for one in (first, second)
    ]
    metres = (places[1] - places[0]).norm(dim=-1)
    return Steps(first.rows[is_step], seconds[is_step], metres[is_step])


def stride_regularity(windows: PosedWindows) -> Float[Tensor, "windows"]:
    """How alike successive strides are: 1 where each repeats the last, NaN where a window is too short to tell.

    The correlation of a window's fore-and-aft distance between the ankles with itself one stride later, at the lag
    where it is largest. Source: Moe-Nilssen & Helbostad 2004, J. Biomech. 37:121 (stride regularity), who take the
    trunk's acceleration.
    """
    joints, mask, rate = windows.joints, windows.mask, windows.frame_rate
    across = (joints[:, :, JOINT["left_hip"]] - joints[:, :, JOINT["right_hip"]])[..., :2]
    forward = torch.nn.functional.normalize(torch.stack([across[..., 1], -across[..., 0]], -1), dim=-1)
    apart = (joints[:, :, JOINT["left_ankle"]] - joints[:, :, JOINT["right_ankle"]])[..., :2]
    spread = (apart * forward).sum(-1)
    best = torch.full((len(windows),), -torch.inf)
    for lag in range(round(SHORTEST_STRIDE * rate), round(LONGEST_STRIDE * rate) + 1):
        if lag >= spread.shape[1]:
            break
        both = mask[:, lag:]
        count = both.sum(1, keepdim=True).clamp(min=1)
        now, later = spread[:, :-lag] * both, spread[:, lag:] * both
        now, later = ((values - values.sum(1, keepdim=True) / count) * both for values in (now, later))
        alike = (now * later).sum(1) / (now.square().sum(1) * later.square().sum(1)).sqrt().clamp(min=1e-9)
        best = torch.where(both.sum(1) >= _LEAST_REPEATED * rate, torch.maximum(best, alike), best)
    return torch.where(best.isinf(), torch.nan, best)


def _middle(stands: Intervals) -> Tensor:
    """The middle frame of a stand: where the foot is, whether it strikes with heel or ball."""
    return (stands.begins + stands.ends - 1) // 2
