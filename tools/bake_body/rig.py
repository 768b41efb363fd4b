"""From MakeHuman's skeleton and A-pose to our 24 joints, their skinning weights and the T-pose."""

import numpy as np
import roma
import torch
from numpy import ndarray
from scipy.sparse import coo_matrix, diags

from motiongan.body.skeleton import JOINT, MIRROR_JOINTS, NUM_JOINTS, PARENTS

from .adults import to_smpl_axes

# Which of our joints carries each MakeHuman bone (prefix of its name). The spine is split anew, by height.
BONE_GROUPS: tuple[tuple[str, str], ...] = (
    ("root", "pelvis"), ("pelvis", "pelvis"), ("upperleg", "hip"), ("lowerleg", "knee"), ("foot", "ankle"),
    ("toe", "foot"), ("spine", "spine"), ("breast", "spine"), ("clavicle", "collar"), ("shoulder01", "collar"),
    ("upperarm", "shoulder"), ("lowerarm", "elbow"), ("wrist", "wrist"), ("metacarpal", "wrist"), ("finger", "hand"),
    ("neck01", "neck"), ("neck02", "neck"),
)  # fmt: skip
# Everything else (neck03, head, jaw, tongue, eyes, face) moves with the head.


def joint_positions(labels: list[str], heads: ndarray, tails: ndarray) -> ndarray:
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


def bone_weights(model) -> ndarray:
    """(V, bones) skinning weights of MakeHuman's bones."""
    values, bones = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    weights = np.zeros((len(values), len(model.bone_labels)))
    np.add.at(weights, (np.arange(len(values))[:, None], bones), values)  # a bone may be listed twice, once with 0
    return weights / weights.sum(1, keepdims=True)


def joint_weights(model, points: ndarray, joints: ndarray, mirror: ndarray) -> ndarray:
    """(V, 24) skinning weights of our joints, at most four a vertex, symmetric."""
    num_vertices = len(points)
    weights = np.zeros((num_vertices, NUM_JOINTS))
    spine = np.zeros(num_vertices)
    level = np.zeros(num_vertices)  # how high up the spine, from the heights of the bones that pull
    bone_weights, bone_indices = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    heads = to_smpl_axes(model.template_bone_heads.numpy())
    tails = to_smpl_axes(model.template_bone_tails.numpy())
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


# Where MakeHuman's weights end so abruptly that a crease shows: on the back below the collars, round the shoulder, in
# the groin. Elsewhere (elbow, knee, neck) they are as smooth as they should be.
SMOOTHED = ("pelvis", "hip", "spine1", "spine2", "spine3", "collar", "shoulder")
SMOOTHING_STEPS = 14


def smooth_weights(weights: ndarray, faces: ndarray, mirror: ndarray) -> ndarray:
    """(V, 24) weights averaged with those of the neighbours, as far as the trunk's joints carry a vertex."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    ones = np.ones(len(edges))
    graph = coo_matrix((ones, (edges[:, 0], edges[:, 1])), (len(weights), len(weights))).tocsr()
    graph = graph + graph.T
    average = diags(1 / np.maximum(graph.sum(1).A1, 1)) @ graph
    trunk = [JOINT[side + name] for name in SMOOTHED for side in ("", "left_", "right_") if side + name in JOINT]
    amount = 0.5 * weights[:, trunk].sum(1, keepdims=True)
    for _ in range(SMOOTHING_STEPS):
        weights = weights + amount * (average @ weights - weights)
    weights = (weights + weights[mirror][:, MIRROR_JOINTS]) / 2
    # At most four joints a vertex: all weights give up the fifth largest, so that none appears suddenly between
    # neighbours.
    weights = np.maximum(weights - np.sort(weights, axis=1)[:, [-5]], 0)
    weights[weights < 0.005 * weights.sum(1, keepdims=True)] = 0
    return weights / weights.sum(1, keepdims=True)


# Directions of the limbs in the T-pose, left side, SMPL's axes: like SMPL's, the upper arm points a little back and
# the shank a little back and in, so that elbow and knee have a clear side to which they bend.
THIGH, SHANK = (0.08, -1.0, -0.012), (-0.03, -1.0, -0.09)
UPPER_ARM, FOREARM, HAND = (1.0, -0.05, -0.10), (1.0, 0.035, 0.0), (1.0, -0.03, -0.04)
TOES_OUT = np.radians(5)
COLLAR_LIFT = np.radians(8)
REST_PELVIS = (0.0, -0.22, 0.028)  # near SMPL's, so that a root translation means the same for both


def t_pose(points: ndarray, joints: ndarray, weights: ndarray) -> tuple[ndarray, ndarray]:
    """Vertices and joints of every adult in the T-pose, with the pelvis at REST_PELVIS."""
    out_points, out_joints = np.empty_like(points), np.empty_like(joints)
    for i in range(len(points)):
        rotations = t_pose_rotations(joints[i])
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


def t_pose_rotations(joints: ndarray) -> ndarray:
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


def bones_on_hands(
    labels: list[str], heads: ndarray, tails: ndarray, joints: ndarray, t_joints: ndarray
) -> tuple[ndarray, ndarray]:
    """Heads and tails (bones, 3) of an adult's bones, carried onto the hands of another one in the T-pose.

    joints    (24, 3) of that adult in the A-pose; t_joints (24, 3) of the other one
    Right for the bones of the hands only: each side moves, turns and grows with its hand joint.
    """
    rotations = t_pose_rotations(joints)
    hand = np.array([JOINT["left_hand" if label.endswith(".L") else "right_hand"] for label in labels])
    wrist = np.array(PARENTS)[hand]
    size = np.linalg.norm(t_joints[hand] - t_joints[wrist], axis=1) / np.linalg.norm(
        joints[hand] - joints[wrist], axis=1
    )
    heads, tails = (
        t_joints[hand] + size[:, None] * np.einsum("jab,jb->ja", rotations[hand], ends - joints[hand])
        for ends in (heads, tails)
    )
    return heads, tails


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
