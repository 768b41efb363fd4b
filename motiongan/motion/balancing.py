"""Generated motion, balanced: the body moves over its feet until the ground under them can carry it.

Who changes speed pushes against the ground, and the ground is only where the feet are. A generator's root wavers by a
centimetre or two, which the eye takes for swimming: 2 cm at 1.5 Hz need a force from 16 cm beside the feet. Another
centimetre or two mend it.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from motiongan.body.anatomy import (
    GRAVITY,
    LEAST_LOAD,
    SOLE_HEIGHT,
    SOLE_MARGIN,
    centre_of_mass,
    to_supports,
    zero_moment_point,
)
from motiongan.body.kinematics import PosedSkeleton
from motiongan.body.skeleton import JOINT
from motiongan.motion.banded import DIFFERENCES, BandedLeastSquares

_ROUNDS = 8  # of finding where within the base of support the force should act, and moving the body for it
_STAY = 2.0  # weight of a metre that the body moves, against 1 for a metre that the force acts beside its place
_INSIDE = 0.02  # m: so far within the rim of the base of support the force is put
_UPRIGHT = 0.15  # m: a body of which more than the feet is lower kneels, lies or leans on its hands
_FEET = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")]


def balancing_shift(posed: PosedSkeleton, frame_rate: float) -> Float[Tensor, "batch frames 2"]:
    """Metres on the level by which the body's mass moves, its feet staying where they are, so that it is in balance.

    Least squares over curves: where a foot carries, the force of the ground acts within the base of support (the
    cart-table model of `zero_moment_point`); where nothing does, the centre of mass does not change its speed; and
    little way. A body that kneels, lies or leans on its hands is left alone.
    """
    mass_centre = centre_of_mass(posed.joints)
    if mass_centre.shape[1] < len(DIFFERENCES[2]):
        return torch.zeros_like(mass_centre[..., :2])
    others = [joint for joint in range(posed.joints.shape[2]) if joint not in _FEET]
    upright = posed.joints[:, :, others, 2].amin(-1) > _UPRIGHT
    low = (posed.soles[..., 2] < SOLE_HEIGHT).any(-1)
    _, load = zero_moment_point(mass_centre, frame_rate)
    lever = _array(mass_centre[..., 2] / (GRAVITY * load.clamp(min=LEAST_LOAD)))[:, 1:-1] * frame_rate**2
    carried, flies = (_array(upright & each)[:, 1:-1] for each in (low, ~low & (load < LEAST_LOAD)))
    centre = _array(mass_centre[..., :2])
    own = centre.copy()  # where the force acts as long as nothing moves
    own[:, 1:-1] -= lever[..., None] * np.diff(centre, 2, axis=1)
    # Without `carried` the rows ask for the push alone: none in the air, elsewhere (on hands, on stairs) as it was.
    stencil = [-lever, carried + 2 * lever, -lever]
    shift = np.zeros_like(own)
    for _ in range(_ROUNDS):
        force = own + shift
        force[:, 1:-1] -= lever[..., None] * np.diff(shift, 2, axis=1)
        wanted = _array(_into_support(mass_centre.new_tensor(force), posed.soles)) - own
        target = carried[..., None] * wanted[:, 1:-1] - flies[..., None] * (own - centre)[:, 1:-1]
        problem = BandedLeastSquares(*shift.shape)
        problem.add(stencil, target, 1.0)
        problem.add(DIFFERENCES[0], 0.0, _STAY)
        shift = problem.solve()
    return mass_centre.new_tensor(shift)


def _into_support(
    force: Float[Tensor, "batch frames 2"], soles: Float[Tensor, "batch frames points 3"]
) -> Float[Tensor, "batch frames 2"]:
    """The nearest place within the base of support; any where no sole point is low."""
    distance, height, nearest = to_supports(force, soles)
    best = torch.where(height < SOLE_HEIGHT, distance, torch.inf).argmin(-1, keepdim=True)
    nearest = nearest.gather(-2, best[..., None].expand(*best.shape, 2))[..., 0, :]
    away = force - nearest
    return nearest + away * ((SOLE_MARGIN - _INSIDE) / away.norm(dim=-1, keepdim=True).clamp(min=1e-9)).clamp(max=1)


def _array(values: Tensor) -> ndarray:
    return values.double().cpu().numpy()
