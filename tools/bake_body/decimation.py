"""Fewer vertices: edges collapse, left and right together, where the surface changes least."""

import heapq

import numpy as np
from numpy import ndarray

SHARPEST = -0.75  # cosine between the normals of two neighbouring faces; MakeHuman's own sharpest edge has -0.72


def decimate(
    points: ndarray, faces: ndarray, face_uv: ndarray, uv: ndarray, weights: ndarray, mirror: ndarray,
    *, importance: ndarray, fixed: list[int], target: int,
) -> tuple[ndarray, ndarray, ndarray]:  # fmt: skip
    """Vertices kept (sorted), faces and their texture indices after collapsing edges, left and right together.

    Quadric error (Garland and Heckbert 1997); a collapse moves a vertex onto its neighbour, so what is left are
    original vertices with their own weights, shapes and texture. Collapses that would fold the surface, pinch it
    (link condition) or tear a texture seam are refused. The error of a vertex counts by its
    `importance`; the `fixed` ones stay.
    """
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double_area = np.linalg.norm(normal, axis=1, keepdims=True)
    plane = np.concatenate([normal / np.maximum(double_area, 1e-15), np.zeros((len(faces), 1))], 1)
    plane[:, 3] = -(plane[:, :3] * corners[:, 0]).sum(1)
    face_quadric = np.einsum("fa,fb->fab", plane, plane) * double_area[:, :, None]
    quadric = np.zeros((len(points), 4, 4))
    for corner in range(3):
        np.add.at(quadric, faces[:, corner], face_quadric)
    quadric *= importance[:, None, None]
    quadric = (quadric + quadric[mirror] * np.outer([-1, 1, 1, 1], [-1, 1, 1, 1])) / 2

    face_of = {number: [int(v) for v in face] for number, face in enumerate(faces)}
    uv_of = {number: [int(t) for t in face] for number, face in enumerate(face_uv)}
    around: list[set[int]] = [set() for _ in points]
    for number, face in face_of.items():
        for vertex in face:
            around[vertex].add(number)
    chart = _charts(face_uv, len(uv))
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1)

    def neighbours(vertex: int) -> set[int]:
        return {other for face in around[vertex] for other in face_of[face]} - {vertex}

    def cost(gone: int, stay: int) -> float:
        position = homogeneous[stay]
        length = np.sum((points[gone] - points[stay]) ** 2)
        bending = np.abs(weights[gone] - weights[stay]).sum()  # keep the mesh fine where joints bend it
        error = position @ (quadric[gone] + quadric[stay]) @ position
        return float(error + 1e-7 * length + 2e-6 * length * bending)

    unmovable = set(fixed)

    def may_collapse(gone: int, stay: int) -> bool:
        if gone in unmovable or stay not in neighbours(gone):
            return False
        shared = around[gone] & around[stay]
        if len(shared) != 2 or len(neighbours(gone) & neighbours(stay)) != 2:
            return False
        charts_there = {chart[uv_of[face][face_of[face].index(stay)]] for face in around[stay]}
        for face in around[gone]:
            if chart[uv_of[face][face_of[face].index(gone)]] not in charts_there:
                return False
            if face in shared:
                continue
            old = points[face_of[face]]
            new = points[[stay if vertex == gone else vertex for vertex in face_of[face]]]
            old_normal, new_normal = (np.cross(p[1] - p[0], p[2] - p[0]) for p in (old, new))
            area = np.linalg.norm(new_normal)
            longest = max(np.sum((new[a] - new[b]) ** 2) for a, b in ((0, 1), (1, 2), (2, 0)))
            if area < 0.08 * longest or old_normal @ new_normal < 0.3 * np.linalg.norm(old_normal) * area:
                return False
        return not folds(gone, stay, shared)

    def folds(gone: int, stay: int, shared: set[int]) -> bool:
        """Whether the collapse leaves two neighbouring faces nearly back to back, as if a face were flipped."""
        moved = {face: [stay if v == gone else v for v in face_of[face]] for face in around[gone] - shared}
        beyond = {
            other for face in moved for v in face_of[face] if v not in (gone, stay) for other in around[v]
        } - around[gone]  # fmt: skip
        corners_now = [*moved.values(), *(face_of[face] for face in beyond)]
        now = points[corners_now]
        normals = np.cross(now[:, 1] - now[:, 0], now[:, 2] - now[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15)
        opposed = (normals[: len(moved)] @ normals.T < SHARPEST).nonzero()
        return any(len(set(corners_now[one]) & set(corners_now[two])) == 2 for one, two in zip(*opposed))

    def collapse(gone: int, stay: int) -> None:
        stay_uv: dict[int, list[int]] = {}
        for face in around[stay]:
            texture = uv_of[face][face_of[face].index(stay)]
            stay_uv.setdefault(int(chart[texture]), []).append(texture)
        for face in around[gone] & around[stay]:
            for vertex in face_of[face]:
                if vertex != gone:
                    around[vertex].discard(face)
            del face_of[face], uv_of[face]
            around[gone].discard(face)
        for face in around[gone]:
            corner = face_of[face].index(gone)
            options = stay_uv[int(chart[uv_of[face][corner]])]
            nearest = min(options, key=lambda t: float(np.sum((uv[t] - uv[uv_of[face][corner]]) ** 2)))
            face_of[face][corner], uv_of[face][corner] = stay, nearest
            around[stay].add(face)
        around[gone] = set()
        quadric[stay] += quadric[gone]

    stamp = np.zeros(len(points), dtype=int)
    heap: list[tuple[float, int, int, int, int]] = []

    def push(vertex: int) -> None:
        for other in neighbours(vertex):
            for gone, stay in ((vertex, other), (other, vertex)):
                heapq.heappush(heap, (round(cost(gone, stay), 14), gone, stay, int(stamp[gone]), int(stamp[stay])))

    for vertex in range(len(points)):
        for other in neighbours(vertex):
            heapq.heappush(heap, (round(cost(vertex, other), 14), vertex, other, 0, 0))
    alive = len(points)
    on_midline = mirror == np.arange(len(points))
    while alive > target and heap:
        _, gone, stay, gone_stamp, stay_stamp = heapq.heappop(heap)
        if not around[gone] or not around[stay] or (stamp[gone], stamp[stay]) != (gone_stamp, stay_stamp):
            continue
        other_gone, other_stay = int(mirror[gone]), int(mirror[stay])
        if on_midline[gone]:
            if not on_midline[stay] or not may_collapse(gone, stay):
                continue
            collapse(gone, stay)
            alive -= 1
        else:
            # Left and right together; they must not touch each other, or the second could become impossible.
            if stay == other_gone or other_gone in neighbours(gone) or other_stay in neighbours(gone) - {stay}:
                continue
            if not may_collapse(gone, stay) or not may_collapse(other_gone, other_stay):
                continue
            collapse(gone, stay)
            if not may_collapse(other_gone, other_stay):
                raise RuntimeError("the mirrored collapse became impossible")
            collapse(other_gone, other_stay)
            alive -= 2
        for vertex in {stay, other_stay}:
            stamp[vertex] += 1
            push(vertex)
    kept = np.array([vertex for vertex in range(len(points)) if around[vertex]])
    number = np.full(len(points), -1)
    number[kept] = np.arange(len(kept))
    print(f"decimated {len(points)} vertices to {len(kept)}")
    return kept, number[np.array(list(face_of.values()))], np.array(list(uv_of.values()))


def _charts(face_uv: ndarray, num_uv: int) -> ndarray:
    """The connected piece of the texture that each texture coordinate belongs to."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([face_uv[:, [0, 1]], face_uv[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (num_uv, num_uv))
    return connected_components(graph, directed=False)[1]
