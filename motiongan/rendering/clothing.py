"""Clothes, hair and shoes as a second skin: where each vertex of the dressed body lies relative to the bare one.

Made once per person on the mean body at rest; the offsets are kept in a frame that the posed mesh carries along.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from numpy import ndarray
from scipy.sparse import csr_matrix

from motiongan.rendering.shoes import Shoes, make_shoes

_SHIRT_PASSES, _SHORTS_PASSES, _HAIR_PASSES = 30, 16, 12


@dataclass(frozen=True, eq=False)
class Layers:
    """How far cloth stands off the skin at each vertex (metres), and how much each layer hides the skin's own form.

    shirt, shorts, shoes, hair   (vertices,) 0 = none .. 1 = full cover
    """

    thickness: Float32[ndarray, "vertices"]
    shirt: Float32[ndarray, "vertices"]
    shorts: Float32[ndarray, "vertices"]
    shoes: Float32[ndarray, "vertices"]
    hair: Float32[ndarray, "vertices"]


class Tailor:
    """Dresses one body model.

    rest  (vertices, 3) at rest, metres;  faces  (faces, 3)
    """

    def __init__(self, rest: ndarray, faces: ndarray) -> None:
        self._rest = rest.astype(np.float64)
        self._faces = faces
        count = len(rest)
        pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        both = np.concatenate([pairs, pairs[:, ::-1]])
        links = csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), (count, count))
        links.data[:] = 1.0
        share = 1 / np.maximum(np.asarray(links.sum(1)).ravel(), 1)
        self._mean = csr_matrix(links.multiply(share[:, None]))  # row i: mean of the vertices around i
        self._lonely = np.asarray(links.sum(1)).ravel() == 0
        self._shoes: tuple[ndarray, Shoes] | None = None  # those last made, and their cover
        self.normals = _vertex_normals(self._rest, faces)
        self.neighbour = self._first_neighbours(links)

    def dress(self, layers: Layers) -> tuple[Float32[ndarray, "vertices 3"], Float32[ndarray, "vertices 3"]]:
        """The dressed body at rest, metres, and the same as offsets in each vertex's frame (see `vertex_frames`).

        Cloth is the skin, smoothed (folds of the flesh and ears vanish under it), but nowhere inside the skin; shoes
        have a form of their own (see `shoes`).
        """
        dressed = self._rest.copy()
        for cover, passes in (
            (layers.shirt, _SHIRT_PASSES),
            (layers.shorts, _SHORTS_PASSES),
            (layers.hair, _HAIR_PASSES),
        ):
            share = np.where(self._lonely, 0.0, cover.astype(np.float64))[:, None]
            if not share.any():
                continue
            for _ in range(passes):
                dressed += share * (self._mean @ dressed - dressed)
            # Smoothing draws in: out again, to where it is nowhere below the cloth's thickness, and soften that.
            for _ in range(2):
                lack = layers.thickness - ((dressed - self._rest) * self.normals).sum(-1)
                dressed += (np.maximum(lack, 0) * (cover > 0))[:, None] * self.normals
                for _ in range(2):
                    dressed += 0.5 * share * (self._mean @ dressed - dressed)
        sunk = np.minimum(((dressed - self._rest) * self.normals).sum(-1) - 0.25 * layers.thickness, 0)
        dressed -= sunk[:, None] * self.normals
        plain = (layers.thickness > 0) & (layers.shirt + layers.shorts + layers.hair + layers.shoes == 0)
        dressed[plain] += layers.thickness[plain, None] * self.normals[plain]
        cloth = np.where(self._lonely, 0.0, layers.shoes)[:, None] * (dressed - self._rest)
        dressed += self.shoes(layers.shoes).points - self._rest - cloth
        frames = vertex_frames(self._rest, self.normals, self.neighbour)
        offsets = np.einsum("vij,vj->vi", frames, dressed - self._rest)
        return dressed.astype(np.float32), offsets.astype(np.float32)

    def shoes(self, cover: ndarray) -> Shoes:
        """The shoes that cover the vertices that much, 0 .. 1; all people of one body wear the same last."""
        if self._shoes is None or not np.array_equal(self._shoes[0], cover):
            self._shoes = cover.copy(), make_shoes(self._rest, self._mean, np.where(self._lonely, 0.0, cover))
        return self._shoes[1]

    @staticmethod
    def _first_neighbours(links: csr_matrix) -> Int32[ndarray, "vertices"]:
        first = np.arange(links.shape[0], dtype=np.int32)
        has = np.diff(links.indptr) > 0
        first[has] = links.indices[links.indptr[:-1][has]]
        return first


def vertex_frames(points: ndarray, normals: ndarray, neighbour: ndarray) -> ndarray:
    """(vertices, 3, 3) rows: the normal, the way to a neighbour along the surface, and across both."""
    along = points[neighbour] - points
    along -= (along * normals).sum(-1, keepdims=True) * normals
    along /= np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-12)
    return np.stack([normals, along, np.cross(normals, along)], 1)


def _vertex_normals(points: ndarray, faces: ndarray) -> ndarray:
    """(vertices, 3) unit normals, weighted by the faces' areas."""
    corners = points[faces]
    facet = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], facet)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
