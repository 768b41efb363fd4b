"""What the page draws over a motion: flights and their parabolas, paths, the clip's own frame, places of marks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from motiongan.body.anatomy import GRAVITY
from motiongan.evaluation.metrics import UNSUPPORTED

_SHORTEST = 0.08  # s: less time off the ground is noise of the contact, not a flight
_LONGEST = 1.5  # s: who stays up longer hangs on something that is not in the data


@dataclass(frozen=True)
class Flight:
    """A time in the air: frames start to stop (exclusive), and the free flight that fits it best.

    launch     (3,) where the centre of mass is at frame `start` on that parabola, metres
    velocity   (3,) its velocity there, m/s
    residual   RMS distance (m) of the centre of mass from the parabola: 0 for a body that nothing carries
    """

    start: int
    stop: int
    launch: Float[ndarray, "3"]
    velocity: Float[ndarray, "3"]
    residual: float

    def path(self, frame_rate: float, num_points: int = 24) -> Float[ndarray, "points 3"]:
        """Points of the parabola from the flight's first frame to its last, metres."""
        seconds = np.linspace(0, (self.stop - 1 - self.start) / frame_rate, num_points)[:, None]
        return self.launch + self.velocity * seconds - _fall(seconds)


def find_flights(
    mass_centre: Float[ndarray, "frames 3"],
    clearance: Float[ndarray, "frames"],
    frame_rate: float,
) -> list[Flight]:
    """Every run of three frames or more, 0.08 to 1.5 s long, in which the body's lowest part is above `UNSUPPORTED`.

    mass_centre   of the whole body, metres, Z up;  clearance   height of the body's lowest part
    The parabola is the least-squares fit with gravity given: launch and velocity are free, g is not.
    """
    flights = []
    for start, stop in runs(clearance > UNSUPPORTED):
        seconds = np.arange(stop - start)[:, None] / frame_rate
        count = stop - start
        if count < 3 or not _SHORTEST * frame_rate - 1e-6 <= count <= _LONGEST * frame_rate + 1e-6:
            continue
        design = np.concatenate([np.ones_like(seconds), seconds], axis=1)
        straight = mass_centre[start:stop].astype(np.float64) + _fall(seconds)
        (launch, velocity), *_ = np.linalg.lstsq(design, straight, rcond=None)
        error = straight - design @ np.stack([launch, velocity])
        flights.append(Flight(start, stop, launch, velocity, float(np.sqrt((error**2).sum(1).mean()))))
    return flights


def runs(active: Bool[ndarray, "frames"]) -> list[tuple[int, int]]:
    """(start, stop) of every unbroken run of True, stop exclusive."""
    steps = np.diff(np.concatenate([[0], active.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def polyline(points: Float[ndarray, "points 3"]) -> Float[ndarray, "segments 2 3"]:
    """The line through the points as segments from each to the next; none for a single point."""
    return np.stack([points[:-1], points[1:]], axis=1)


def smoothed_path(points: Float[ndarray, "frames 2"], frame_rate: float, sigma: float = 0.25) -> ndarray:
    """(frames, 2) a path without its sway: Gaussian mean over `sigma` seconds. What the camera follows.

    The ends are reflected about themselves, so that a straight walk stays as it is up to its ends.
    """
    reach = min(len(points) - 1, round(3 * sigma * frame_rate))
    if reach < 1:
        return points.copy()
    before = 2 * points[0] - points[reach:0:-1]
    after = 2 * points[-1] - points[-2 : -reach - 2 : -1]
    padded = np.concatenate([before, points, after])
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (sigma * frame_rate)) ** 2)
    kernel /= kernel.sum()
    return np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in range(2)], axis=1)


def lane_lines(
    offset: Float[ndarray, "2"],
    middle: float,
    *,
    width: float,
    length: float,
    step: float = 0.5,
) -> Float[ndarray, "lines 2 3"]:
    """The lines of a ground grid within a strip along X, when the ground has moved by `offset`: a treadmill's belt.

    The strip is `width` wide about y = middle and `length` long about x = 0; lines lie `step` metres apart and pass
    through `offset`. Their number does not depend on the offset, except where a line meets the strip's border.
    """
    half_length, half_width = length / 2, width / 2
    x = _grid_values(offset[0], -half_length, half_length, step)
    y = _grid_values(offset[1], middle - half_width, middle + half_width, step)
    across = [[[value, middle - half_width, 0], [value, middle + half_width, 0]] for value in x]
    along = [[[-half_length, value, 0], [half_length, value, 0]] for value in y]
    border = [[[-half_length, middle + side, 0], [half_length, middle + side, 0]] for side in (-half_width, half_width)]
    return np.array([*across, *along, *border], dtype=np.float32)


def _grid_values(through: float, lowest: float, highest: float, step: float) -> ndarray:
    """All values through + k step in [lowest, highest], for whole k."""
    return through + step * np.arange(np.ceil((lowest - through) / step), np.floor((highest - through) / step) + 1)


def turned(points: Float[ndarray, "points 2"], angle: float) -> Float[ndarray, "points 2"]:
    """Points of the ground turned by an angle (radians, counter-clockwise seen from above) about the origin."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def _fall(seconds: Float[ndarray, "frames 1"]) -> Float[ndarray, "frames 3"]:
    """How far gravity pulls down in so many seconds from rest, as a vector up: add it, and flight is straight."""
    return np.concatenate([0 * seconds, 0 * seconds, 0.5 * GRAVITY * seconds**2], axis=1)
