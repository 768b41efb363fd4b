"""The ground and gravity: where the root must be, and how the legs give way, so that a posture sequence is physical.

The joint-angle curves say what the body does; this module finds the root's path from it. The root follows from the
planted feet, from free fall while no foot is down, and from balance while one is (the centre of pressure of the
cart-table model, Kajita et al. 2003, ICRA, stays near the feet); all of it is one linear least-squares problem per
clip. Then both legs are set by inverse kinematics (`stepping.py`), so that feet neither slide nor sink. A few rounds
of both agree.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from motiongan.athletes.spec import SIDES
from motiongan.athletes.stepping import Contacts, Foot
from motiongan.body.anatomy import GRAVITY, centre_of_mass
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.motion.banded import DIFFERENCES, BandedLeastSquares

_ROUNDS = 7
_SETTLED = 4  # rounds after which the legs reach the ground nearly everywhere

# Tolerances of the least-squares terms: what one standard deviation costs. Pairs: in clips with and without flight,
# since the forces of walking change more gently than those of a jump.
_STANCE_TOLERANCE = 0.03  # metres between the curves' root height or place and the solution's
_VELOCITY_TOLERANCE = 0.15  # m/s of sliding while the places of the feet are not yet known
_FLIGHT_TOLERANCE = 0.02  # m/s^2 away from free fall
_JERK_TOLERANCE = (350.0, 50.0)  # m/s^3 of the centre of mass
_REACH_TOLERANCE = (0.002, 0.0007)  # metres that a planted foot may be out of reach
_ANYWHERE = 10.0  # metres from the origin: only keeps the first guess from being undetermined

_SLACK = 0.003  # metres of reach to spare from which the root is let go again
# Seconds over which the path of a traveller is evened out before the steps are laid along it.
_EVEN_TIME = 0.35
_LEAST_SUPPORT = 0.3  # of gravity: below that much force the centre of pressure says nothing

_PULL = 1.02  # of gravity: the ground cannot pull; a body that would have to be pulled down falls instead

_LEVEL, _HEIGHT = slice(0, 2), slice(2, 3)


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
    feet = [Foot(side, nominal, contacts, skeleton, frame_rate) for side in SIDES]
    nominal_mass_centre = centre_of_mass(nominal.joints)
    mass_centre = nominal_mass_centre.numpy()
    solver = _RootSolver(feet, balance, frame_rate)
    root = solver.first_guess(mass_centre)
    for foot in feet:
        foot.choose_places(_even_path(root, frame_rate) if is_travelling else root)
    for number in range(_ROUNDS):
        root = solver.solve(mass_centre, root, settled=number >= _SETTLED)
        shift = sum((foot.mass_shift(foot.place(root)) for foot in feet), start=torch.zeros_like(nominal.joints))
        mass_centre = (nominal_mass_centre + centre_of_mass(shift)).numpy()
        solver.limit_reach(root)
    mended = rotations.clone()
    for foot in feet:
        foot.write(mended)
    return mended, torch.from_numpy(solver.free_fall(mass_centre, root))


class _RootSolver:
    """The root's path by least squares: planted feet, free fall, balance, smoothness."""

    def __init__(self, feet: list[Foot], balance: float, frame_rate: float) -> None:
        self.feet = feet
        self.balance = balance
        self.rate = frame_rate
        self.airborne = ~(feet[0].down | feet[1].down)
        has_flight = self.airborne.any(1, keepdims=True)
        self.jerk_tolerance = np.where(has_flight, *_JERK_TOLERANCE)
        self.reach_tolerance = np.where(has_flight, *_REACH_TOLERANCE)
        self.falling = self.airborne[:, 1:-1]  # and, once found, where only a pull could keep the body on the ground
        self.reach_target = [np.zeros_like(foot.places) for foot in feet]
        self.reach_active = [np.zeros_like(foot.down) for foot in feet]

    def first_guess(self, mass_centre: Float[ndarray, "clips frames 3"]) -> Float[ndarray, "clips frames 3"]:
        """The root's path from the standing feet's motion alone; starts over the origin.

        mass_centre   the centre of mass relative to the root translation, here and below
        """
        level = self._problem(mass_centre, _LEVEL)
        for foot in self.feet:
            both = foot.down[:, 1:] & foot.down[:, :-1]
            relative = (foot.rocker - foot.ankle)[..., _LEVEL]
            weight = both * foot.load[:, 1:] * (self.rate / _VELOCITY_TOLERANCE) ** 2
            level.add(DIFFERENCES[1], np.diff(relative, axis=1), weight)
        level.add(DIFFERENCES[0], 0.0, _ANYWHERE**-2)
        height = self._problem(mass_centre, _HEIGHT)
        self._add_stance(height, _HEIGHT)
        root = np.concatenate([level.solve(), height.solve()], -1)
        root[..., :2] -= root[:, :1, :2]
        return root

    def solve(
        self, mass_centre: Float[ndarray, "clips frames 3"], before: Float[ndarray, "clips frames 3"], settled: bool
    ) -> Float[ndarray, "clips frames 3"]:
        """The root's path once the feet have their places; `before` is the last round's.

        settled   the legs reach the ground by now, so that what still looks like a pull of the ground is one
        """
        if settled:
            fall = np.diff((mass_centre + before)[..., 2], 2, axis=1) * self.rate**2
            self.falling = self.falling | (fall < -_PULL * GRAVITY)
        level, height = self._problem(mass_centre, _LEVEL), self._problem(mass_centre, _HEIGHT)
        self._add_balance(level, mass_centre, before)
        for problem, axes in ((level, _LEVEL), (height, _HEIGHT)):
            self._add_stance(problem, axes)
            for target, active in zip(self.reach_target, self.reach_active):
                problem.add(DIFFERENCES[0], target[..., axes], active / self.reach_tolerance**2)
        return np.concatenate([level.solve(), height.solve()], -1)

    def limit_reach(self, root: Float[ndarray, "clips frames 3"]) -> None:
        """Hold the root, next time, where a planted foot that is out of reach can be reached; let go where it can."""
        for index, foot in enumerate(self.feet):
            missing, direction = foot.overreach()
            over = missing > 0
            self.reach_active[index] = over | (self.reach_active[index] & (missing > -_SLACK))
            self.reach_target[index][over] = root[over] + missing[over][:, None] * direction[over]

    def free_fall(
        self, mass_centre: Float[ndarray, "clips frames 3"], before: Float[ndarray, "clips frames 3"]
    ) -> Float[ndarray, "clips frames 3"]:
        """The root moved, in flight only, by what the last change of the legs did to the parabola."""
        problem = BandedLeastSquares(*before.shape)
        problem.add(DIFFERENCES[0], before, np.where(self.airborne, 1e-2, 1e8))
        self._add_flight(problem, mass_centre, slice(0, 3))
        return problem.solve()

    def _problem(self, mass_centre: ndarray, axes: slice) -> BandedLeastSquares:
        """Smoothness of the centre of mass, and its free fall while no foot is down."""
        relative = mass_centre[..., axes]
        problem = BandedLeastSquares(*relative.shape)
        problem.add(DIFFERENCES[3], -np.diff(relative, 3, axis=1), (self.rate**3 / self.jerk_tolerance) ** 2)
        self._add_flight(problem, mass_centre, axes)
        return problem

    def _add_flight(self, problem: BandedLeastSquares, mass_centre: ndarray, axes: slice) -> None:
        fall = np.array([0.0, 0.0, -GRAVITY])[axes] / self.rate**2
        falling = self.falling if axes is _HEIGHT else self.airborne[:, 1:-1]
        weight = falling * (self.rate**2 / _FLIGHT_TOLERANCE) ** 2
        problem.add(DIFFERENCES[2], fall - np.diff(mass_centre[..., axes], 2, axis=1), weight)

    def _add_stance(self, problem: BandedLeastSquares, axes: slice) -> None:
        for foot in self.feet:
            wanted = (foot.places + foot.rocker - foot.ankle)[..., axes]
            # On the level the root follows the foot that bears it; in height every foot on the ground counts in full.
            weight = foot.down if axes is _HEIGHT else foot.down * foot.load
            problem.add(DIFFERENCES[0], wanted, weight / _STANCE_TOLERANCE**2)

    def _add_balance(self, problem: BandedLeastSquares, mass_centre: ndarray, before: ndarray) -> None:
        """Rows of the cart-table: centre of pressure = c - c'' height / (g + height''), c the centre of mass."""
        left, right = self.feet
        load = left.load + right.load
        pressed = left.load[..., None] * left.pressure_point() + right.load[..., None] * right.pressure_point()
        support = (pressed / np.maximum(load, 1e-6)[..., None])[:, 1:-1, :2]
        height = (mass_centre + before)[..., 2]
        force = np.maximum(GRAVITY + np.diff(height, 2, axis=1) * self.rate**2, _LEAST_SUPPORT * GRAVITY)
        factor = height[:, 1:-1] / force * self.rate**2
        relative = mass_centre[..., :2]
        own = relative[:, 1:-1] - factor[..., None] * np.diff(relative, 2, axis=1)
        weight = np.minimum(load[:, 1:-1], 1.0) / self.balance**2
        problem.add([-factor, 1 + 2 * factor, -factor], support - own, weight)


def _even_path(root: ndarray, frame_rate: float) -> ndarray:
    """The path without its swaying from step to step."""
    problem = BandedLeastSquares(*root.shape)
    problem.add(DIFFERENCES[0], root, 1.0)
    problem.add(DIFFERENCES[3], 0.0, (_EVEN_TIME * frame_rate) ** 6)
    return problem.solve()
