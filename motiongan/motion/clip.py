"""Clip: one labelled motion, the noun that every part of motiongan shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from motiongan.body.skeleton import NUM_JOINTS

NUM_BETAS = 10

# The scores that a quality gate gives a clip, and their units; docs/format.md tells what they mean.
SCORE_UNITS: Mapping[str, str] = {
    "recognized": "1",
    "foot_skate": "m/s",
    "penetration": "m",
    "floating": "1",
    "off_balance": "m",
    "self_penetration": "m",
    "joint_range_violation": "rad",
    "jerk": "m/s^3",
    "flight_error": "m/s^2",
    "training_distance": "m",
    "attempts": "1",
    "accepted": "1",
}
LESS_IS_BETTER = frozenset(SCORE_UNITS) - {"recognized", "training_distance", "accepted"}


def _zero_betas() -> ndarray:
    return np.zeros(NUM_BETAS, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Clip:
    """One motion of one person. Metres, radians, seconds; Z up, ground at z = 0.

    poses        (frames, 24, 3) local joint rotations, axis-angle, SMPL joint order; joint 0 is the root orientation
    trans        (frames, 3) SMPL/AMASS root translation: pelvis = rest pelvis of the body + trans
    frame_rate   Hz
    action       label such as "squat"; None = unlabelled
    betas        (10,) body shape of the file's body model
    gender       "neutral", "female" or "male"
    subject      the person, by which splits are made
    source       where it comes from: file and time range, or the generator
    seed         generated clips only: the seed this clip depends on
    quality      scores by name, in the units of `SCORE_UNITS`; what was not or cannot be measured is absent
    """

    poses: Float32[ndarray, "frames 24 3"]
    trans: Float32[ndarray, "frames 3"]
    frame_rate: float
    action: str | None = None
    betas: Float32[ndarray, "10"] = field(default_factory=_zero_betas)
    gender: str = "neutral"
    subject: str = ""
    source: str = ""
    seed: int | None = None
    quality: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Convert the arrays to float32 and check their shapes. Raises ValueError where they do not fit."""
        for name, shape in (("poses", (-1, NUM_JOINTS, 3)), ("trans", (-1, 3)), ("betas", (NUM_BETAS,))):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape, array.shape)):
                raise ValueError(f"{name} has shape {array.shape}, expected {shape} with -1 for frames")
            object.__setattr__(self, name, array)
        if len(self.poses) != len(self.trans):
            raise ValueError(f"{len(self.poses)} frames of poses but {len(self.trans)} of trans")
        if not self.frame_rate > 0:
            raise ValueError(f"frame_rate is {self.frame_rate}, expected a positive number of Hz")

    @property
    def num_frames(self) -> int:
        return len(self.poses)

    @property
    def duration(self) -> float:
        """Seconds covered by the frames, each lasting 1 / frame_rate."""
        return self.num_frames / self.frame_rate

    @property
    def is_finite(self) -> bool:
        """No NaN and no infinity in poses, trans and betas."""
        return all(bool(np.isfinite(array).all()) for array in (self.poses, self.trans, self.betas))

    def crop(self, start: int, stop: int) -> "Clip":
        """The frames start to stop (exclusive) as a clip of their own, without the scores of the whole."""
        return replace(self, poses=self.poses[start:stop], trans=self.trans[start:stop], quality={})
