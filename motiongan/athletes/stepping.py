"""One foot of every clip: where it stands, how it rolls there, and the leg that brings it from place to place.

A planted foot is a rocker: it rolls on its heel or on its ball, whichever its pitch says, about a fixed place on the
ground, so that it cannot slide. Between two places it follows the joint-angle curves, mended smoothly at both ends.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from motiongan.athletes.spec import SIDES
from motiongan.body.kinematics import PosedSkeleton, Skeleton
from motiongan.body.legs import (
    about_x,
    foot_angles,
    foot_rotation,
    knee_angle,
    shortest_turn,
    straight_knee,
    turn,
)
from motiongan.body.skeleton import JOINT, SOLE_NAMES
from motiongan.motion.banded import spread

_REACHING_KNEE = np.deg2rad(9)  # flexion at which a leg counts as stretched: nearer to straight, knees snap
_STRETCH = 0.006  # metres before its reach at which a swinging leg begins to resist
_TOE_LIMIT = np.deg2rad(66)  # extension of the toes beyond which they leave the ground too
_HEEL_RISE_LIMIT = np.deg2rad(70)  # pitch of a standing foot beyond which it would stand on the tips of its toes
_TOE_LENGTH = 0.06  # metres from the ball's sole point to the tip of the toes, which must not dip either
_SWING_CLEARANCE = 0.03  # metres between sole and ground in the middle of a swing

# Seconds.
_LIFT_TIME = 0.05  # before and after a low point of the swinging foot, over which it is lifted
_FADE = 0.045  # in which corrections of the leg fade out after a contact
_YAW_FADE = 0.12
_STRETCH_FADE = 0.03  # before and after a contact, where the leg is as long as the contact wants
_LOADING = 0.08  # in which a foot takes on or gives off the body's weight


@dataclass(frozen=True)
class Contacts:
    """Which foot stands when; last axis left, right.

    down   the foot touches the ground
    flat   heel and ball both do
    """

    down: Bool[ndarray, "clips frames 2"]
    flat: Bool[ndarray, "clips frames 2"]


class Foot:
    """One foot of every clip, with its leg.

    down       (clips, frames) whether it stands
    load       (clips, frames) the share of its full load that it carries
    rocker     (clips, frames, 3) from the place it stands on to its ankle, metres
    places     (clips, frames, 3) that place, the spot of the ball on the ground; 0 in the air
    ankle      (clips, frames, 3) the ankle by the joint-angle curves, relative to the root translation
    """

    def __init__(
        self, side: str, nominal: PosedSkeleton, contacts: Contacts, skeleton: Skeleton, frame_rate: float
    ) -> None:
        self.frame_rate = frame_rate
        index = SIDES.index(side)
        self.down = contacts.down[..., index]
        self.load = _smoothstep(_seconds_to(~self.down, frame_rate) / _LOADING)
        self._flat = contacts.flat[..., index]
        # SMPL calls the joint at the ball of the foot "foot".
        self._joints = [JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "foot")]
        rest = skeleton.rest_joints[:, self._joints].unsqueeze(1)  # (clips, 1, 4, 3)
        soles = skeleton.rest_soles.unsqueeze(1)
        self._thigh, self._shin, self._toe = (rest[..., i + 1, :] - rest[..., i, :] for i in range(3))
        self._heel = soles[..., SOLE_NAMES.index(f"{side}_heel"), :] - rest[..., 2, :]
        self._ball = soles[..., SOLE_NAMES.index(f"{side}_ball"), :] - rest[..., 3, :]
        self._sole = self._toe + self._ball - self._heel
        stretched = about_x(straight_knee(self._thigh, self._shin) + _REACHING_KNEE)
        self._reach = (self._thigh + turn(stretched, self._shin)).norm(dim=-1)

        self._nominal_joints = nominal.joints[..., self._joints, :]
        self._nominal_hip = nominal.rotations[..., self._joints[0], :, :]
        self._pelvis = nominal.rotations[..., 0, :, :]
        self.ankle = self._nominal_joints[..., 2, :].numpy()
        self._lift = np.zeros(self.down.shape)
        self.places = np.zeros((*self.down.shape, 3))
        self._orient(nominal.rotations[..., self._joints[2], :, :])

    def choose_places(self, root: Float[ndarray, "clips frames 3"]) -> None:
        """Fix the place of every stance: where this path of the root puts the ball on average."""
        implied = root + self.ankle - self.rocker
        implied[..., 2] = 0
        self.places = _mean_over_runs(implied, _runs(self.down))

    def pressure_point(self) -> Float[ndarray, "clips frames 3"]:
        """Where the standing foot is pressed: under its middle when flat, near the heel or the ball when it rolls."""
        along = 0.5 + 0.4 * np.tanh(-self._pitch / np.deg2rad(10))
        return self.places + (along - 1)[..., None] * turn(self._level_rotation, self._sole).numpy()

    def place(self, root: Float[ndarray, "clips frames 3"]) -> Float[Tensor, "clips frames 4 3"]:
        """Bring the foot to its place, or near the curves' path in the air; hip, knee, ankle and ball joint.

        The positions are relative to the root translation.
        """
        swing = root + self.ankle
        target = swing + self._spread(self.places + self.rocker - swing, self.down, _FADE)
        target[..., 2] += self._lift
        hip = self._nominal_joints[..., 0, :]
        self._to_ankle = torch.from_numpy(target - root) - hip

        self._knee = about_x(knee_angle(self._thigh, self._shin, self._leg_length(self._to_ankle.norm(dim=-1))))
        shin = turn(self._knee, self._shin)
        # The shortest turn of the thigh that points the leg at its target keeps the knee's side of it.
        aim = shortest_turn(turn(self._nominal_hip, self._thigh + shin), self._to_ankle)
        self._hip = aim @ self._nominal_hip
        knee = hip + turn(self._hip, self._thigh)
        ankle = knee + turn(self._hip, shin)
        self._lift += self._clearance_deficit(ankle[..., 2] + torch.from_numpy(root[..., 2]))
        return torch.stack([hip, knee, ankle, ankle + turn(self._rotation, self._toe)], -2)

    def write(self, rotations: Float[Tensor, "clips frames 24 3 3"]) -> None:
        """Put the leg's local rotations, as last placed, into those of the body."""
        hip, knee, ankle, toe = self._joints
        rotations[..., hip, :, :] = self._pelvis.mT @ self._hip
        rotations[..., knee, :, :] = self._knee
        rotations[..., ankle, :, :] = (self._hip @ self._knee).mT @ self._rotation
        rotations[..., toe, :, :] = self._toe_bend

    def mass_shift(self, joints: Float[Tensor, "clips frames 4 3"]) -> Float[Tensor, "clips frames 24 3"]:
        """How far the leg's joints were moved from where the curves have them, among all joints."""
        shift = torch.zeros(*joints.shape[:2], 24, 3, dtype=joints.dtype)
        shift[..., self._joints, :] = joints - self._nominal_joints
        return shift

    def overreach(self) -> tuple[Float[ndarray, "clips frames"], Float[ndarray, "clips frames 3"]]:
        """How far the planted ankle was out of comfortable reach (negative: to spare; metres), and its direction."""
        distance = self._to_ankle.norm(dim=-1)
        missing = (distance - self._reach).numpy()
        return np.where(self.down, missing, -np.inf), (self._to_ankle / distance[..., None]).numpy()

    def _orient(self, nominal: Tensor) -> None:
        """Orientation and rocker: as the curves say in the air, level sideways and with a fixed yaw on the ground."""
        yaw, roll, pitch = foot_angles(nominal)
        # Pitch counts from the flat foot, toes up positive.
        level = -torch.atan2(self._sole[..., 1], self._sole[..., 2]).numpy()
        pitch = np.unwrap(pitch, axis=1) - level
        pitch = pitch - 2 * np.pi * np.round(np.median(pitch, axis=1, keepdims=True) / (2 * np.pi))
        pitch = pitch + self._spread(-pitch, self._flat, _FADE)
        roll = roll + self._spread(-roll, self.down, _FADE)
        yaw = np.unwrap(yaw, axis=1)
        # The foot may turn while it stands on its ball alone.
        fixed = self.down & (pitch > np.deg2rad(-4))
        yaw = yaw + self._spread(_mean_over_runs(yaw, _runs(fixed)) - yaw, fixed, _YAW_FADE)
        limited = -_HEEL_RISE_LIMIT + _soft_positive(pitch + _HEEL_RISE_LIMIT, np.deg2rad(5))
        pitch = pitch + self._spread(limited - pitch, self.down, _FADE)
        # Under a raised heel the toes stay flat.
        toes = self._spread(np.clip(-pitch, 0, _TOE_LIMIT), self.down, _FADE)

        self._pitch = pitch
        self._rotation = foot_rotation(yaw, roll, pitch + level)
        self._level_rotation = foot_rotation(yaw, roll * 0, np.broadcast_to(level, yaw.shape))
        self._toe_bend = about_x(-torch.from_numpy(toes))
        self._toe_rotation = self._rotation @ self._toe_bend
        on_ball = -turn(self._toe_rotation, self._ball) - turn(self._rotation, self._toe)
        on_heel = -turn(self._level_rotation, self._sole) - turn(self._rotation, self._heel)
        self.rocker = np.where((pitch > 0)[..., None], on_heel.numpy(), on_ball.numpy())

    def _leg_length(self, distance: Tensor) -> Tensor:
        """The hip's distance from the ankle; a swinging leg stops short of stretching fully."""
        swinging = self._reach - _STRETCH * torch.nn.functional.softplus((self._reach - distance) / _STRETCH)
        return torch.lerp(distance, swinging, torch.from_numpy(self._swing_window(_STRETCH_FADE)))

    def _clearance_deficit(self, ankle_height: Tensor) -> ndarray:
        """Metres by which the swinging foot must be lifted, smooth in time and 0 on the ground."""
        heel = ankle_height + turn(self._rotation, self._heel)[..., 2]
        ball = ankle_height + (turn(self._rotation, self._toe) + turn(self._toe_rotation, self._ball))[..., 2]
        tip = ball + _TOE_LENGTH * self._toe_rotation[..., 2, 2]  # the toes point along Z at rest
        window = self._swing_window(_LOADING)
        lowest = torch.minimum(torch.minimum(heel, ball), tip).numpy()
        deficit = np.maximum(_SWING_CLEARANCE * window - lowest, 0)
        return _smooth_envelope(deficit, round(_LIFT_TIME * self.frame_rate)) * window

    def _swing_window(self, seconds: float) -> ndarray:
        """0 on the ground, 1 after that many seconds of a swing and until as long before its end."""
        return _smoothstep(_seconds_to(self.down, self.frame_rate) / seconds)

    def _spread(self, correction: ndarray, pinned: ndarray, time_constant: float) -> ndarray:
        columns = correction if correction.ndim == 3 else correction[..., None]
        result = spread(columns, pinned, time_constant=time_constant, frame_rate=self.frame_rate)
        return result if correction.ndim == 3 else result[..., 0]


def _runs(mask: ndarray) -> ndarray:
    """A number for each unbroken stretch of True along the frames, over all clips; -1 where False."""
    starts = mask.copy()
    starts[:, 1:] &= ~mask[:, :-1]
    return np.where(mask, np.cumsum(starts.ravel()).reshape(mask.shape) - 1, -1)


def _mean_over_runs(values: ndarray, runs: ndarray) -> ndarray:
    """The mean of the values over each frame's run; 0 outside the runs."""
    if values.ndim == runs.ndim + 1:
        return np.stack([_mean_over_runs(column, runs) for column in np.moveaxis(values, -1, 0)], -1)
    if runs.max() < 0:
        return np.zeros_like(values)
    inside = runs >= 0
    sums = np.bincount(runs[inside], weights=values[inside])
    means = sums / np.bincount(runs[inside])
    return np.where(inside, means[np.maximum(runs, 0)], 0.0)


def _seconds_to(mask: ndarray, frame_rate: float) -> ndarray:
    """Seconds from each frame to the nearest frame where the mask is True; large where there is none."""
    frames = np.arange(mask.shape[1])
    far = 10 * mask.shape[1]
    last = np.maximum.accumulate(np.where(mask, frames, -far), axis=1)
    following = np.minimum.accumulate(np.where(mask, frames, far)[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(frames - last, following - frames) / frame_rate


def _smoothstep(fraction: ndarray) -> ndarray:
    clipped = np.clip(fraction, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def _soft_positive(value: ndarray, width: float) -> ndarray:
    """The value where it is clearly positive, 0 where clearly negative, rounded in between."""
    return width * np.logaddexp(0, value / width)


def _smooth_envelope(values: ndarray, reach: int) -> ndarray:
    """A smooth curve that is nowhere below the values: running maximum, then running (Hann) mean."""
    from scipy.ndimage import convolve1d, maximum_filter1d

    kernel = np.hanning(2 * reach + 3)[1:-1]
    highest = maximum_filter1d(values, 2 * reach + 1, axis=1)
    return convolve1d(highest, kernel / kernel.sum(), axis=1)
