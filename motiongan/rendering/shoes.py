"""Shoes: each foot's vertices on a last, a smooth toe box on a flat sole, in place of toes and arch.

A last is a union of convex hulls of overlapping slices of the padded foot, drawn down to the floor under it: one hull
holds all toes, the others follow heel and instep. It is never lower than a straight edge held under the bare foot.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.spatial import ConvexHull, QhullError

_SIDE, _TOP, _TIP = 0.004, 0.005, 0.010  # metres of padding: around, above, and both before and above the toes
_TOES = 0.6  # share of the foot's length behind the toe box
_SLICES = 7  # over the foot behind the toe box
_WALL = 0.045  # metres above the floor up to which the foot's outline is drawn down to it
_ROLL = (0.02, 0.045)  # metres at heel and tip that are not drawn down
_CARRIERS = 48  # vertices of a foot that carry its shoe
_REACH = 0.03  # metres
_CASTS, _PASSES = 6, 4  # of the foot on its last, and of smoothing before each of them


@dataclass(frozen=True, eq=False)
class Shoes:
    """The shoes of one body and how the posed feet carry them.

    points    (vertices, 3) the rest body with its feet in shoes, metres
    vertices  (shod,) the vertices in shoes, `share` (shod,) of each of them 0 = bare .. 1 = in the shoe
    carriers  (shod, carriers) vertices of the bare foot, and how much of each (they sum to 1) makes a shod vertex. They
              reproduce every affine map of the foot, so that shoes bend and grow with it without following each toe.
    """

    points: Float64[ndarray, "vertices 3"]
    vertices: Int32[ndarray, "shod"]
    share: Float32[ndarray, "shod"]
    carriers: Int32[ndarray, "shod carriers"]
    amounts: Float32[ndarray, "shod carriers"]


def make_shoes(rest: ndarray, mean: csr_matrix, cover: ndarray) -> Shoes:
    """Shoes on the rest body (Y up, facing +Z, left +X, metres), as far as they cover it.

    mean   (vertices, vertices) each vertex's mean of those around it;  cover  (vertices,) 0 = bare .. 1 = in the shoe
    A foot that no hull can be made of stays as it is.
    """
    shod = rest.copy()
    rows: list[ndarray] = []
    carriers: list[ndarray] = []
    amounts: list[ndarray] = []
    for side in (1, -1):
        worn = np.flatnonzero((cover > 0) & (side * rest[:, 0] > 0))
        if len(worn) < _CARRIERS:
            continue
        foot = rest[worn]
        try:
            last = _Last(foot)
            inner = mean[worn]
            share = cover[worn, None]
            points = rest.copy()
            # Smoothing spreads the skin of the toes evenly; the cast brings it back onto the last before it shrinks.
            for _ in range(_CASTS):
                for _ in range(_PASSES):
                    points[worn] += share * (inner @ points - points[worn])
                points[worn] = foot + share * (last.cast(points[worn]) - foot)
            chosen = _spread(foot, _CARRIERS)
            amounts.append(_amounts(points[worn], foot[chosen]))
        except (QhullError, ValueError, np.linalg.LinAlgError):
            continue
        shod[worn] = points[worn]
        rows.append(worn)
        carriers.append(np.tile(worn[chosen], (len(worn), 1)))
    empty = np.zeros((0, _CARRIERS))
    vertices = np.concatenate([*rows, empty[:, 0]]).astype(np.int32)
    return Shoes(
        points=shod,
        vertices=vertices,
        share=cover[vertices].astype(np.float32),
        carriers=np.concatenate([*carriers, empty]).astype(np.int32),
        amounts=np.concatenate([*amounts, empty]).astype(np.float32),
    )


def _spread(points: ndarray, count: int) -> ndarray:
    """Numbers of that many points far from each other: each next one is the farthest from those before it."""
    chosen = [int(points[:, 2].argmin())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(-1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def _amounts(points: ndarray, carriers: ndarray) -> ndarray:
    """(points, carriers) by moving least squares with affine precision (Levin 1998)."""
    apart = points[:, None] - carriers
    squares = (apart**2).sum(-1)
    near = np.exp((squares.min(-1, keepdims=True) - squares) / (2 * _REACH**2))
    near /= near.sum(-1, keepdims=True)
    basis = np.concatenate([np.ones_like(apart[..., :1]), -apart / _REACH], -1)
    moments = np.einsum("pc,pci,pcj->pij", near, basis, basis)
    ends = np.linalg.solve(moments, np.eye(4)[[0] * len(points)][..., None])[..., 0]
    return np.asarray(near * np.einsum("pci,pi->pc", basis, ends))


class _Last:
    """The form of one shoe, made from the foot's points at rest (metres)."""

    def __init__(self, foot: ndarray) -> None:
        self._floor = _Floor(foot)
        back, length = foot[:, 2].min(), np.ptp(foot[:, 2])
        padded = np.concatenate([_pad(foot, back + _TOES * length), self._drawn_down(foot)])
        along = (padded[:, 2] - back) / length
        step = _TOES / _SLICES
        slices = [(start * step - 0.1, (start + 2.5) * step) for start in range(_SLICES)] + [(_TOES - 0.06, 2.0)]
        # (facets, 4) outward normals and distances: inside where normal . point + distance <= 0
        self._hulls = [ConvexHull(padded[(along >= low) & (along <= high)]).equations for low, high in slices]
        self._axis = np.array([self._middle(foot, along=share, up=up) for share, up in ((0.2, 0.03), (0.78, 0.012))])

    def cast(self, points: ndarray) -> ndarray:
        """(points, 3) where the ray from the last's axis through each point leaves the last."""
        start, end = self._axis
        way = end - start
        share = np.clip((points - start) @ way / (way @ way), 0, 1)[:, None]
        origin = start + share * way
        ray = points - origin
        ray /= np.maximum(np.linalg.norm(ray, axis=-1, keepdims=True), 1e-9)
        farthest = np.zeros(len(points))
        for hull in self._hulls:
            slope = ray @ hull[:, :3].T
            depth = -(origin @ hull[:, :3].T + hull[:, 3])  # of the origin inside each facet
            with np.errstate(divide="ignore", invalid="ignore"):
                meets = depth / slope
            leaves = np.where(slope > 1e-9, meets, np.inf).min(-1)
            enters = np.where(slope < -1e-9, meets, -np.inf).max(-1)
            outside = ((np.abs(slope) <= 1e-9) & (depth < 0)).any(-1)
            farthest = np.maximum(farthest, np.where((enters < leaves) & ~outside, leaves, 0))
        return np.asarray(origin + farthest[:, None] * ray)

    def _drawn_down(self, foot: ndarray) -> ndarray:
        """The low points of the foot, on the floor."""
        # Not at heel and tip, whose curves let the foot roll: corners there would dig into the ground.
        back, front = foot[:, 2].min(), foot[:, 2].max()
        is_between = (foot[:, 2] > back + _ROLL[0]) & (foot[:, 2] < front - _ROLL[1])
        low = foot[is_between & (foot[:, 1] < self._floor.height(foot[:, 2]) + _WALL)]
        points = low.copy()
        points[:, 1] = self._floor.height(points[:, 2])
        return points

    def _middle(self, foot: ndarray, *, along: float, up: float) -> ndarray:
        """A point inside the foot, that share of the length from the heel, `up` metres above the floor."""
        z = foot[:, 2].min() + along * np.ptp(foot[:, 2])
        near = foot[np.abs(foot[:, 2] - z) < 0.1 * np.ptp(foot[:, 2])]
        x = (near[:, 0].min() + near[:, 0].max()) / 2 if len(near) else foot[:, 0].mean()
        return np.array([x, float(self._floor.height(z)) + up, z])


def _around(points: ndarray, distance: float) -> ndarray:
    """The points moved in eight level directions, to the sides more than along the foot."""
    turns = np.arange(8) * np.pi / 4
    level = distance * np.stack([np.cos(turns), np.zeros(8), 0.25 * np.sin(turns)], -1)
    return np.asarray((points[:, None] + level).reshape(-1, 3))


def _pad(foot: ndarray, toes: float) -> ndarray:
    """The foot's points padded: around and above, more so beyond z = `toes`."""
    share = np.clip((foot[:, 2:] - toes) / (foot[:, 2].max() - toes), 0, 1)
    above = foot + [0, _TOP, 0] + share * [0, _TIP - _TOP, 0]
    ahead = foot + share * [0, 0.8 * _TIP, 0.6 * _TIP]
    return np.concatenate([_around(foot, _SIDE), _around(above, 0.5 * _SIDE), ahead])


class _Floor:
    """A straight edge held under the foot from heel to toe: the lower outline of its side view, without hollows."""

    def __init__(self, foot: ndarray) -> None:
        hull: list[ndarray] = []
        for point in foot[np.lexsort((foot[:, 1], foot[:, 2]))][:, [2, 1]]:
            while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)
        # Heel and toes curve up at their ends; the sole goes on level there.
        corners = np.array(hull)
        steep = np.abs(np.diff(corners[:, 1])) > 0.2 * np.diff(corners[:, 0])
        level = np.ones(len(corners), bool)
        level[:-1] &= ~steep
        level[1:] &= ~steep
        self._corners = corners[level] if level.any() else corners[[corners[:, 1].argmin()]]

    def height(self, z: ndarray | float) -> ndarray:
        """Of the floor at z, metres."""
        return np.asarray(np.interp(z, self._corners[:, 0], self._corners[:, 1]))


def _turn(a: ndarray, b: ndarray, c: ndarray) -> float:
    """Above 0 where the way a, b, c turns to the left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
