"""The ground and gravity: where the root must be, and how the legs give way, so that a posture sequence is physical.

The joint-angle curves say what the body does; this module finds the root's path from it. A planted foot is a rocker: it
rolls on its heel or on its ball, whichever its pitch says, about a fixed place on the ground. The root follows from the
planted feet, from free fall while no foot is down, and from balance while one is (the centre of pressure of the
cart-table model, Kajita et al. 2003, stays near the feet); all of it is one linear least-squares problem per clip.
Then both legs are set by two-bone inverse kinematics, so that feet neither slide nor sink. A few rounds of both agree.
"""

from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from motiongan.athletes.banded import DIFFERENCES, BandedLeastSquares, spread
from motiongan.body.anatomy import centre_of_mass
from motiongan.body.kinematics import PosedSkeleton, Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT

GRAVITY = 9.81  # m/s^2

_HIPS = (JOINT["left_hip"], JOINT["right_hip"])
_KNEES = (JOINT["left_knee"], JOINT["right_knee"])
_ANKLES = (JOINT["left_ankle"], JOINT["right_ankle"])
_TOES = (JOINT["left_foot"], JOINT["right_foot"])  # SMPL calls the joint at the ball of the foot "foot"
_HEELS_OF_SOLES = (0, 1)
_BALLS_OF_SOLES = (2, 3)

_ROUNDS = 6
_STRAIGHT_KNEE = np.deg2rad(2)  # no knee is straighter than this
_STRETCH = 0.006  # metres before its reach at which a swinging leg begins to resist
_REACHING_KNEE = np.deg2rad(9)  # flexion at which a leg counts as stretched: nearer to straight, knees snap
_TOE_LIMIT = np.deg2rad(66)  # extension of the toes beyond which they leave the ground too
_HEEL_RISE_LIMIT = np.deg2rad(70)  # pitch of a standing foot beyond which it would stand on the tips of its toes
_TOE_LENGTH = 0.06  # metres from the ball's sole point to the tip of the toes, which must not dip either
_SWING_CLEARANCE = 0.03  # metres between sole and ground in the middle of a swing

# Tolerances of the least-squares terms: what one standard deviation costs.
_SLACK = 0.003  # metres of reach to spare from which the root is let go again
_STANCE_TOLERANCE = 0.03  # metres between the curves' root height or place and the solution's
_VELOCITY_TOLERANCE = 0.15  # m/s of sliding while the places of the feet are not yet known
_FLIGHT_TOLERANCE = 0.02  # m/s^2 away from free fall
# m/s^3 of the centre of mass, in clips with and without flight: the forces of walking change more gently.
_JERK_TOLERANCE = (350.0, 50.0)
_ANYWHERE = 1e-2  # weight that only keeps the first guess from being undetermined
_REACH_TOLERANCE = (0.002, 0.0007)  # metres that a planted foot may be out of reach, with and without flight

# Seconds before and after a low point of the swinging foot over which it is lifted.
_LIFT_TIME = 0.05
# Seconds in which corrections of the legs fade out after a contact.
_FADE = 0.045
_YAW_FADE = 0.12
# Seconds in which a foot takes on or gives off the body's weight.
_LOADING = 0.08
# Seconds over which the path of a traveller is evened out before the steps are laid along it.
_EVEN_TIME = 0.35


@dataclass(frozen=True)
class Contacts:
    """Which foot stands when; last axis left, right.

    down   the foot touches the ground
    flat   heel and ball both do
    """

    down: Bool[ndarray, "clips frames 2"]
    flat: Bool[ndarray, "clips frames 2"]


def ground(
    rotations: Float[Tensor, "clips frames 24 3 3"],
    contacts: Contacts,
    skeleton: Skeleton,
    *,
    balance: float,
    is_travelling: bool,
    frame_rate: float,
) -> tuple[Float[Tensor, "clips frames 24 3 3"], Float[Tensor, "clips frames 3"]]:
    """Local rotations with mended legs and the root translation that puts the body on the ground.

    rotations   local joint rotations, root upright in the Z-up world; float64
    balance     metres that the centre of pressure may stray from the feet
    is_travelling   the steps lie along an even path, as in walking and running
    """
    nominal = forward_kinematics(rotations, torch.zeros_like(rotations[..., 0, :, 0]), skeleton.unsqueeze(1))
    feet = [_Foot(index, nominal, contacts, skeleton, frame_rate) for index in (0, 1)]
    mass_centre = centre_of_mass(nominal.joints).numpy()
    solver = _RootSolver(feet, balance, frame_rate)
    root = solver.first_guess(mass_centre)
    for foot in feet:
        foot.choose_places(_even_path(root, frame_rate) if is_travelling else root)
    lift = [np.zeros(foot.down.shape) for foot in feet]
    mended = rotations
    for _ in range(_ROUNDS):
        root = solver.solve(mass_centre, root)
        mended = rotations.clone()
        for foot in feet:
            foot.place(mended, nominal, root, lift[foot.index])
        posed = forward_kinematics(mended, torch.from_numpy(root), skeleton.unsqueeze(1))
        mass_centre = centre_of_mass(posed.joints).numpy() - root
        for foot in feet:
            solver.limit_reach(foot, root)
            lift[foot.index] += foot.clearance_deficit(posed)
    return mended, torch.from_numpy(solver.free_fall(mass_centre, root))


class _Foot:
    """One foot of every clip: its orientation, the places it stands on, and the leg that brings it there."""

    def __init__(
        self, index: int, nominal: PosedSkeleton, contacts: Contacts, skeleton: Skeleton, frame_rate: float
    ) -> None:
        self.index = index
        self.frame_rate = frame_rate
        self.down = contacts.down[..., index]
        self.flat = contacts.flat[..., index]
        rest, soles = skeleton.rest_joints, skeleton.rest_soles
        hip, knee, ankle, toe = _HIPS[index], _KNEES[index], _ANKLES[index], _TOES[index]
        self.thigh = (rest[:, knee] - rest[:, hip])[:, None]
        self.shin = (rest[:, ankle] - rest[:, knee])[:, None]
        self.heel = (soles[:, _HEELS_OF_SOLES[index]] - rest[:, ankle])[:, None]
        self.toe = (rest[:, toe] - rest[:, ankle])[:, None]
        self.ball = (soles[:, _BALLS_OF_SOLES[index]] - rest[:, toe])[:, None]
        straight = _straight_knee(self.thigh, self.shin)
        self.reach = (self.thigh + _turn(_about_x(straight + _REACHING_KNEE), self.shin)).norm(dim=-1)
        self.to_ankle = torch.zeros(*self.down.shape, 3, dtype=rest.dtype)
        self.ankle_relative = nominal.joints[..., ankle, :].numpy()
        self._orient(nominal.rotations[..., ankle, :, :])
        self._rock()
        self.stance = _runs(self.down)
        self.places = np.zeros((*self.down.shape, 3))

    def _orient(self, nominal: Tensor) -> None:
        """Orientation of the foot: as the curves say in the air, level sideways and with a fixed yaw on the ground."""
        yaw, roll, pitch = _yaw_roll_pitch(nominal)
        sole = self.toe + self.ball - self.heel
        # Pitch counts from the flat foot, toes up positive.
        self.level = -torch.atan2(sole[..., 1], sole[..., 2]).numpy()
        pitch = np.unwrap(pitch, axis=1) - self.level
        mid = np.round(np.median(pitch, axis=1, keepdims=True) / (2 * np.pi))
        pitch = pitch - 2 * np.pi * mid

        pitch = pitch + self._spread(-pitch, self.flat, _FADE)
        roll = roll + self._spread(-roll, self.down, _FADE)
        yaw = np.unwrap(yaw, axis=1)
        # The foot may turn while it stands on its ball alone.
        fixed = self.down & (pitch > np.deg2rad(-4))
        steady = _mean_over_runs(yaw, _runs(fixed))
        yaw = yaw + self._spread(steady - yaw, fixed, _YAW_FADE)

        limited = -_HEEL_RISE_LIMIT + _soft_positive(pitch + _HEEL_RISE_LIMIT, np.deg2rad(5))
        pitch = pitch + self._spread(limited - pitch, self.down, _FADE)

        toes = np.clip(-pitch, 0, _TOE_LIMIT)
        self.toe_extension = self._spread(toes, self.down, _FADE)
        self.pitch = pitch
        self.rotation = _foot_rotation(yaw, roll, pitch + self.level)
        self.flat_rotation = _foot_rotation(yaw, roll * 0, np.broadcast_to(self.level, yaw.shape))

    def _rock(self) -> None:
        """The ankle above the place of the ball: the standing foot turns about its ball, or its heel if toes are up."""
        toes = self.rotation @ _about_x(-torch.from_numpy(self.toe_extension))
        on_ball = -_turn(toes, self.ball) - _turn(self.rotation, self.toe)
        on_heel = -_turn(self.flat_rotation, self.toe + self.ball - self.heel) - _turn(self.rotation, self.heel)
        self.rocker = np.where((self.pitch > 0)[..., None], on_heel.numpy(), on_ball.numpy())

    def choose_places(self, root: ndarray) -> None:
        """Fix the spot of the ball for every stance: where the first guess of the root puts it on average."""
        implied = root + self.ankle_relative - self.rocker
        implied[..., 2] = 0
        self.places = _mean_over_runs(implied, self.stance)

    def pressure_point(self) -> ndarray:
        """Where the standing foot is pressed: under its middle when flat, near the heel or the ball when it rolls."""
        along = 0.5 + 0.4 * np.tanh(-self.pitch / np.deg2rad(10))
        sole = _turn(self.flat_rotation, self.toe + self.ball - self.heel).numpy()
        return self.places + (along - 1)[..., None] * sole

    def place(self, rotations: Tensor, nominal: PosedSkeleton, root: ndarray, lift: ndarray) -> None:
        """Set the leg in `rotations`: planted on its place when down, near the curves' path in the air."""
        swing = root + self.ankle_relative
        correction = self.places + self.rocker - swing
        target = swing + self._spread(correction, self.down, _FADE)
        target[..., 2] += lift
        hip = torch.from_numpy(root) + nominal.joints[..., _HIPS[self.index], :]
        self.to_ankle = torch.from_numpy(target) - hip

        knee = _knee_angle(self.thigh, self.shin, self._leg_length(self.to_ankle.norm(dim=-1)))
        flexed = _about_x(knee)
        leg = self.thigh + _turn(flexed, self.shin)
        nominal_hip = nominal.rotations[..., _HIPS[self.index], :, :]
        hip_rotation = _shortest_turn(_turn(nominal_hip, leg), self.to_ankle) @ nominal_hip
        knee_rotation = hip_rotation @ flexed
        pelvis = nominal.rotations[..., 0, :, :]
        rotations[..., _HIPS[self.index], :, :] = pelvis.mT @ hip_rotation
        rotations[..., _KNEES[self.index], :, :] = flexed
        rotations[..., _ANKLES[self.index], :, :] = knee_rotation.mT @ self.rotation
        rotations[..., _TOES[self.index], :, :] = _about_x(-torch.from_numpy(self.toe_extension))

    def _leg_length(self, distance: Tensor) -> Tensor:
        """The hip's distance from the ankle; a swinging leg stops short of stretching fully."""
        swinging = self.reach - _STRETCH * torch.nn.functional.softplus((self.reach - distance) / _STRETCH)
        return torch.lerp(distance, swinging, torch.from_numpy(_swing_window(self.down, self.frame_rate, 0.03)))

    def overreach(self) -> tuple[ndarray, ndarray]:
        """How far the planted ankle was out of comfortable reach (negative: to spare; metres), and its direction."""
        distance = self.to_ankle.norm(dim=-1)
        missing = (distance - self.reach).numpy()
        return np.where(self.down, missing, -np.inf), (self.to_ankle / distance[..., None]).numpy()

    def clearance_deficit(self, posed: PosedSkeleton) -> ndarray:
        """Metres by which the swinging foot must be lifted, smooth in time and 0 on the ground."""
        ball = posed.soles[..., _BALLS_OF_SOLES[self.index], :]
        tip = torch.tensor([0.0, 0.0, _TOE_LENGTH], dtype=ball.dtype)
        lowest = torch.stack(
            [
                posed.soles[..., _HEELS_OF_SOLES[self.index], 2],
                ball[..., 2],
                (ball + _turn(posed.rotations[..., _TOES[self.index], :, :], tip))[..., 2],
            ]
        ).amin(0)
        window = _swing_window(self.down, self.frame_rate, _LOADING)
        deficit = np.maximum(_SWING_CLEARANCE * window - lowest.numpy(), 0)
        return _smooth_envelope(deficit, round(_LIFT_TIME * self.frame_rate)) * window

    def _spread(self, correction: ndarray, pinned: ndarray, time_constant: float) -> ndarray:
        columns = correction if correction.ndim == 3 else correction[..., None]
        result = spread(columns, pinned, time_constant=time_constant, frame_rate=self.frame_rate)
        return result if correction.ndim == 3 else result[..., 0]


class _RootSolver:
    """The root's path by least squares: planted feet, free fall, balance, smoothness."""

    def __init__(self, feet: list[_Foot], balance: float, frame_rate: float) -> None:
        self.feet = feet
        self.balance = balance
        self.rate = frame_rate
        self.airborne = ~(feet[0].down | feet[1].down)
        has_flight = self.has_flight = self.airborne.any(1, keepdims=True)
        self.jerk_tolerance = np.where(has_flight, *_JERK_TOLERANCE)
        self.reach_tolerance = np.where(has_flight, *_REACH_TOLERANCE)
        self.load = [_loading(foot.down, frame_rate) for foot in feet]
        self.reach_target = [np.zeros((*foot.down.shape, 3)) for foot in feet]
        self.reach_active = [np.zeros(foot.down.shape, dtype=bool) for foot in feet]

    def first_guess(self, mass_centre: ndarray) -> ndarray:
        """The root's path from the standing feet's motion alone; starts over the origin."""
        level = self._problem(mass_centre, axes=slice(0, 2))
        for foot, load in zip(self.feet, self.load):
            both = foot.down[:, 1:] & foot.down[:, :-1]
            relative = (foot.rocker - foot.ankle_relative)[..., :2]
            weight = both * load[:, 1:] * (self.rate / _VELOCITY_TOLERANCE) ** 2
            level.add(DIFFERENCES[1], np.diff(relative, axis=1), weight)
        level.add(DIFFERENCES[0], 0.0, _ANYWHERE)
        height = self._problem(mass_centre, axes=slice(2, 3))
        self._add_stance(height, slice(2, 3))
        root = np.concatenate([level.solve(), height.solve()], -1)
        root[..., :2] -= root[:, :1, :2]
        return root

    def solve(self, mass_centre: ndarray, before: ndarray) -> ndarray:
        """The root's path once the feet have their places; `before` is the last round's."""
        level = self._problem(mass_centre, axes=slice(0, 2))
        self._add_stance(level, slice(0, 2))
        self._add_reach(level, slice(0, 2))
        self._add_balance(level, mass_centre, before)
        height = self._problem(mass_centre, axes=slice(2, 3))
        self._add_stance(height, slice(2, 3))
        self._add_reach(height, slice(2, 3))
        return np.concatenate([level.solve(), height.solve()], -1)

    def free_fall(self, mass_centre: ndarray, before: ndarray) -> ndarray:
        """The root moved, in flight only, by what the last change of the legs did to the parabola."""
        problem = BandedLeastSquares(*before.shape)
        problem.add(DIFFERENCES[0], before, np.where(self.airborne, 1e-2, 1e8))
        self._add_flight(problem, mass_centre, slice(0, 3))
        return problem.solve()

    def limit_reach(self, foot: _Foot, root: ndarray) -> None:
        """Hold the root, next time, where a planted foot that is out of reach can be reached; let go where it can."""
        missing, direction = foot.overreach()
        over = missing > 0
        held = self.reach_active[foot.index]
        self.reach_active[foot.index] = over | (held & (missing > -_SLACK))
        self.reach_target[foot.index][over] = (root + missing[..., None] * direction)[over]

    def _problem(self, mass_centre: ndarray, axes: slice) -> BandedLeastSquares:
        """Smoothness of the centre of mass, and its free fall while no foot is down."""
        relative = mass_centre[..., axes]
        problem = BandedLeastSquares(*relative.shape)
        problem.add(DIFFERENCES[3], -np.diff(relative, 3, axis=1), (self.rate**3 / self.jerk_tolerance) ** 2)
        self._add_flight(problem, relative, axes)
        return problem

    def _add_flight(self, problem: BandedLeastSquares, relative: ndarray, axes: slice) -> None:
        fall = np.array([0.0, 0.0, -GRAVITY])[axes] / self.rate**2
        strength = (self.rate**2 / _FLIGHT_TOLERANCE) ** 2
        problem.add(DIFFERENCES[2], fall - np.diff(relative, 2, axis=1), self.airborne[:, 1:-1] * strength)

    def stance_tolerance(self, axes):
        return np.where(self.has_flight, TT, _STANCE_TOLERANCE) if axes.start == 2 else _STANCE_TOLERANCE

    def _add_stance(self, problem: BandedLeastSquares, axes: slice) -> None:
        for foot, load in zip(self.feet, self.load):
            wanted = (foot.places + foot.rocker - foot.ankle_relative)[..., axes]
            problem.add(
                DIFFERENCES[0], wanted, foot.down * (1 if axes.start == 2 else load) / self.stance_tolerance(axes) ** 2
            )

    def _add_reach(self, problem: BandedLeastSquares, axes: slice) -> None:
        for target, active in zip(self.reach_target, self.reach_active):
            problem.add(DIFFERENCES[0], target[..., axes], active / self.reach_tolerance**2)

    def _add_balance(self, problem: BandedLeastSquares, mass_centre: ndarray, before: ndarray) -> None:
        """Rows of the cart-table: centre of pressure = c - c'' height / (g + height''), c the centre of mass."""
        total = self.load[0] + self.load[1]
        support = self.load[0][..., None] * self.feet[0].pressure_point()
        support = support + self.load[1][..., None] * self.feet[1].pressure_point()
        support = support / np.maximum(total, 1e-6)[..., None]
        height = (mass_centre + before)[..., 2]
        lift = np.zeros_like(height)
        lift[:, 1:-1] = np.diff(height, 2, axis=1) * self.rate**2
        inner = slice(1, -1)
        factor = height[:, inner] / np.maximum(GRAVITY + lift[:, inner], 0.3 * GRAVITY) * self.rate**2
        relative = mass_centre[..., :2]
        target = support[:, inner, :2] - (relative[:, inner] - factor[..., None] * np.diff(relative, 2, axis=1))
        weight = np.minimum(total[:, inner], 1.0) / self.balance**2
        problem.add([-factor, 1 + 2 * factor, -factor], target, weight)


def _even_path(root: ndarray, frame_rate: float) -> ndarray:
    """The path without its swaying from step to step."""
    problem = BandedLeastSquares(*root.shape)
    problem.add(DIFFERENCES[0], root, 1.0)
    problem.add(DIFFERENCES[3], 0.0, (_EVEN_TIME * frame_rate) ** 6)
    return problem.solve()


def _yaw_roll_pitch(rotation: Tensor) -> tuple[ndarray, ndarray, ndarray]:
    """World rotation of a foot = yaw about the vertical, stand up, roll about forward, then -pitch about its own X.

    Taken from the foot's lateral axis, so that only a foot lying on its side is singular; pitch is in (-pi, pi].
    """
    lateral = rotation[..., :, 0]
    yaw = torch.atan2(lateral[..., 1], lateral[..., 0])
    roll = torch.atan2(lateral[..., 2], lateral[..., :2].norm(dim=-1))
    frame = roma.euler_to_rotmat("Z", [yaw]) @ roma.euler_to_rotmat("X", [torch.full_like(yaw, np.pi / 2)])
    turned = (frame @ roma.euler_to_rotmat("Z", [roll])).mT @ rotation
    pitch = -torch.atan2(turned[..., 2, 1], turned[..., 2, 2])
    return yaw.numpy(), roll.numpy(), pitch.numpy()


def _foot_rotation(yaw: ndarray, roll: ndarray, pitch: ndarray) -> Tensor:
    """The inverse of `_yaw_roll_pitch`."""
    angles = [torch.from_numpy(np.ascontiguousarray(angle)) for angle in (yaw, roll, pitch)]
    upright = torch.full_like(angles[0], np.pi / 2)
    result = roma.euler_to_rotmat("Z", [angles[0]]) @ roma.euler_to_rotmat("X", [upright])
    return result @ roma.euler_to_rotmat("Z", [angles[1]]) @ _about_x(-angles[2])


def _about_x(angle: Tensor) -> Tensor:
    return roma.euler_to_rotmat("X", [angle])


def _turn(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation * vector.unsqueeze(-2)).sum(-1)


def _knee_angle(thigh: Tensor, shin: Tensor, distance: Tensor) -> Tensor:
    """Flexion (about X) that puts the ankle at `distance` from the hip; stops short of a locked knee.

    |thigh + Rx(angle) shin|^2 = |thigh|^2 + |shin|^2 + 2 (x-part + length cos(angle - straight)).
    """
    cosine, sine = _hinge(thigh, shin)
    wanted = (distance**2 - thigh.square().sum(-1) - shin.square().sum(-1)) / 2 - thigh[..., 0] * shin[..., 0]
    bent = torch.acos((wanted / torch.hypot(sine, cosine)).clamp(-1, 1))
    return _straight_knee(thigh, shin) + bent.clamp(min=_STRAIGHT_KNEE)


def _straight_knee(thigh: Tensor, shin: Tensor) -> Tensor:
    """Flexion at which the ankle is farthest from the hip: the rest pose's leg is not quite straight."""
    cosine, sine = _hinge(thigh, shin)
    return torch.atan2(sine, cosine)


def _hinge(thigh: Tensor, shin: Tensor) -> tuple[Tensor, Tensor]:
    """thigh . Rx(angle) shin = x-part + cosine cos(angle) + sine sin(angle)."""
    cosine = thigh[..., 1] * shin[..., 1] + thigh[..., 2] * shin[..., 2]
    return cosine, thigh[..., 2] * shin[..., 1] - thigh[..., 1] * shin[..., 2]


def _shortest_turn(start: Tensor, end: Tensor) -> Tensor:
    """Rotation matrix of the shortest turn from one direction to another (not opposite) one."""
    first, second = (vector / vector.norm(dim=-1, keepdim=True) for vector in (start, end))
    axis = torch.linalg.cross(first, second)
    cosine = (first * second).sum(-1)
    return roma.rotvec_to_rotmat(
        axis / axis.norm(dim=-1, keepdim=True).clamp(min=1e-12) * torch.atan2(axis.norm(dim=-1), cosine)[..., None]
    )


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


def _loading(down: ndarray, frame_rate: float) -> ndarray:
    """Share of its full load that a foot carries: 0 in the air, 1 once it has stood for a while."""
    return _smoothstep(_seconds_to(~down, frame_rate) / _LOADING)


def _swing_window(down: ndarray, frame_rate: float, seconds: float) -> ndarray:
    """0 on the ground, 1 after that many seconds of a swing and until as long before its end."""
    return _smoothstep(_seconds_to(down, frame_rate) / seconds)


def _soft_positive(value: ndarray, width: float) -> ndarray:
    """The value where it is clearly positive, 0 where clearly negative, rounded in between."""
    return width * np.logaddexp(0, value / width)


def _smooth_envelope(values: ndarray, reach: int) -> ndarray:
    """A smooth curve that is nowhere below the values: running maximum, then running (Hann) mean."""
    from scipy.ndimage import convolve1d, maximum_filter1d

    kernel = np.hanning(2 * reach + 3)[1:-1]
    highest = maximum_filter1d(values, 2 * reach + 1, axis=1)
    return convolve1d(highest, kernel / kernel.sum(), axis=1)
