"""Joint regressors: the joints as weighted means of the skin around them."""

import numpy as np
from numpy import ndarray
from scipy.optimize import nnls

from motiongan.body.skeleton import JOINT_NAMES, MIRROR_JOINTS, NUM_JOINTS, PARENTS

PULL = 0.005  # metres of joint error worth one unit of weight: draws a regressor to equal weights


def fit_regressor(vertices: ndarray, joints: ndarray, weights: ndarray, mirror: ndarray) -> ndarray:
    """(24, V) convex combinations of the vertices in a ring round each joint that give its position.

    Non-negative least squares over all adults, drawn towards equal weights, so that a body far from the average
    cannot throw a joint off: it is always the weighted mean of the skin around it.
    """
    num_vertices = vertices.shape[1]
    mean, mean_joints = vertices.mean(0), joints.mean(0)
    regressor = np.zeros((NUM_JOINTS, num_vertices))
    for joint in range(NUM_JOINTS):
        if JOINT_NAMES[joint].startswith("right_"):
            continue
        candidates = _ring(mean, mean_joints, weights, joint)
        # Rows: every third adult's three coordinates, relative to the joint; the sum; the pull to equal weights.
        count = len(candidates)
        relative = (vertices[::3, candidates] - joints[::3, None, joint]).transpose(0, 2, 1).reshape(-1, count)
        scale = np.sqrt(len(relative))
        rows = np.concatenate([relative, np.full((1, count), 10 * scale), PULL * scale * np.eye(count)])
        wanted = np.concatenate([np.zeros(len(relative)), [10 * scale], np.full(count, PULL * scale / count)])
        solution, _ = nnls(rows, wanted, maxiter=20 * count)
        regressor[joint, candidates] = solution
    for joint, other in enumerate(MIRROR_JOINTS):
        if JOINT_NAMES[joint].startswith("right_"):
            regressor[joint] = regressor[other][mirror]
        elif joint == other:
            regressor[joint] = (regressor[joint] + regressor[joint][mirror]) / 2
    regressor[regressor < 1e-4] = 0
    return regressor / regressor.sum(1, keepdims=True)


def _ring(points: ndarray, joints: ndarray, weights: ndarray, joint: int) -> ndarray:
    """Vertices near the joint that its bones carry, in a slab across the limb."""
    name = JOINT_NAMES[joint].removeprefix("left_")
    child = next((c for c in range(NUM_JOINTS) if PARENTS[c] == joint and c not in (1, 2, 13, 14)), PARENTS[joint])
    axis = joints[child] - joints[joint]
    if name in ("pelvis", "hip", "spine1", "spine2", "spine3", "neck", "head"):
        axis = np.array([0.0, 1.0, 0.0])
    elif name in ("foot", "collar", "shoulder"):
        axis = np.array({"foot": (0.0, 0.0, 1.0), "collar": (1.0, 0.0, 0.0), "shoulder": (1.0, 0.3, 0.0)}[name])
    axis = axis / np.linalg.norm(axis)
    relative = points - joints[joint]
    along = np.abs(relative @ axis)
    carried = weights[:, joint] + (weights[:, PARENTS[joint]] if joint else 0) > 0.25
    if name in ("pelvis", "hip"):
        carried = weights[:, [0, 1, 2, 3]].sum(1) > 0.5
    if name == "hip":
        carried &= points[:, 0] > -0.01
    for half_width in (0.02, 0.025, 0.03, 0.04, 0.05, 0.06):
        near = np.flatnonzero(carried & (along < half_width) & (np.linalg.norm(relative, axis=1) < 0.30))
        if len(near) >= 40:
            break
    assert len(near) >= 12, (name, len(near))
    return near


PULL_BACK = 1e-6  # metres of miss worth one unit of weight
SPREAD = 0.05  # metres: skin this much further from the point than its regressor's own may help to reproduce it


def reproduce(
    regressor: ndarray, points: ndarray, directions: ndarray, wanted: ndarray, wanted_directions: ndarray
) -> ndarray:
    """The regressor (rows, V), changed as little as possible so that it gives the wanted points for every shape.

    wanted, wanted_directions  (rows, 3), (rows, 3, betas) what it has to make of `points` and `directions`
    """
    exact = np.zeros_like(regressor)
    for row in range(len(regressor)):
        distance = np.linalg.norm(points - wanted[row], axis=1)
        used = np.flatnonzero(distance < distance[regressor[row] > 0].max() + SPREAD)
        conditions = np.concatenate(
            [points[used] - wanted[row], directions[used].reshape(len(used), -1), np.ones((len(used), 1))], axis=1
        ).T
        values = np.concatenate([np.zeros(3), wanted_directions[row].ravel(), [1.0]])
        # Non-negative least squares in which the conditions outweigh the pull to the given weights by far.
        rows = np.concatenate([conditions, PULL_BACK * np.eye(len(used))])
        weights, _ = nnls(rows, np.concatenate([values, PULL_BACK * regressor[row, used]]), maxiter=50 * len(used))
        # What is left of the conditions goes, as little as possible, over the weights that are not zero.
        for _ in range(20):
            inside = weights > 0
            missing = values - conditions[:, inside] @ weights[inside]
            weights[inside] += np.linalg.lstsq(conditions[:, inside], missing, rcond=1e-12)[0]
            if weights.min() >= 0:
                break
            weights = np.maximum(weights, 0)
        exact[row, used] = weights
    return exact


def settle(
    regressor: ndarray, points: ndarray, directions: ndarray, wanted: ndarray, wanted_directions: ndarray
) -> tuple[ndarray, ndarray]:
    """Points and directions moved by what the regressor still misses, less than 0.2 mm: its rows then are exact.

    Only vertices that no other row uses move. The curled hand needs it, whose skin and joint do not quite agree.
    """
    points, directions = points.copy(), directions.copy()
    for row in range(len(regressor)):
        own = (regressor[row] > 0) & ((regressor > 0).sum(0) == 1)
        amount = regressor[row, own].sum()
        shift = (wanted[row] - regressor[row] @ points) / amount
        shift_directions = (wanted_directions[row] - np.einsum("v,vcb->cb", regressor[row], directions)) / amount
        assert max(np.abs(shift).max(), np.abs(shift_directions).max()) < 2e-4, "the regressor misses by too much"
        points[own] += shift
        directions[own] += shift_directions
    return points, directions
