"""Joint sets: order, sides and mirror maps, where each joint lies, and how far that is from the data set's own."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motiongan.body.joint_sets import JOINT_SETS, RIG_NAMES
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS, PARENTS

UPRIGHT = torch.tensor([np.pi / 2, 0.0, 0.0], dtype=torch.float32)


def random_pose(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    poses = 0.5 * torch.randn(3, 24, 3, generator=generator)
    return poses, torch.randn(3, 3, generator=generator), torch.randn(3, 10, generator=generator)


def test_human36m_counts_the_right_leg_first_and_the_left_arm_first():
    names = JOINT_SETS["h36m17"].names
    assert names[1:7] == ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
    assert names[11:14] == ("left_shoulder", "left_elbow", "left_wrist")
    # VideoPose3D's tree of the 17 joints: its h36m_skeleton after the static joints are removed.
    assert JOINT_SETS["h36m17"].parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


def test_the_sides_of_human36m_are_those_that_its_trainers_write_down():
    joints = JOINT_SETS["h36m17"]  # MotionBERT's flip_data and VideoPose3D's keypoints_symmetry
    assert joints.left == (4, 5, 6, 11, 12, 13)
    assert joints.right == (1, 2, 3, 14, 15, 16)


def test_coco_is_in_its_own_order_and_flips_as_its_flip_index_says():
    coco = JOINT_SETS["coco17"]
    assert coco.names[:7] == (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    )  # fmt: skip
    assert coco.mirror == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


def test_mpi_inf_3dhp_counts_and_flips_as_mmpose_writes_it_down():
    joints = JOINT_SETS["mpi_inf_3dhp17"]
    assert joints.names == (
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "root", "spine",
        "head",
    )  # fmt: skip
    assert joints.mirror == (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 14, 15, 16)
    links = {
        frozenset((name, joints.names[parent])) for name, parent in zip(joints.names, joints.parents) if parent >= 0
    }
    theirs = [("head_top", "head"), ("head", "neck"), ("neck", "spine"), ("spine", "root")]
    for side in ("left", "right"):
        arm, leg = (("neck", "shoulder", "elbow", "wrist"), ("root", "hip", "knee", "ankle"))
        for first, *rest in (arm, leg):
            chain = [first, *(f"{side}_{name}" for name in rest)]
            theirs += itertools.pairwise(chain)
    assert links == {frozenset(pair) for pair in theirs}


def test_mpi_inf_3dhp_and_human36m_share_their_limbs_and_differ_in_hips_and_neck(body):
    poses, trans, betas = random_pose(2)
    placed = {
        name: dict(zip(JOINT_SETS[name].names, JOINT_SETS[name].place(body, poses, trans, betas[:, :10]).unbind(-2)))
        for name in ("mpi_inf_3dhp17", "h36m17")
    }
    theirs, h36m = placed["mpi_inf_3dhp17"], placed["h36m17"]
    for name in ("left_wrist", "right_elbow", "left_knee", "right_ankle", "root", "spine"):
        assert_close(theirs[name], h36m[name])
    assert_close(theirs["head"], h36m["neck_base"])
    # Human3.6M's hips are 1.5 times as far apart.
    assert_close(h36m["left_hip"] - h36m["right_hip"], 1.5 * (theirs["left_hip"] - theirs["right_hip"]))
    assert (theirs["head_top"] - theirs["head"]).norm(dim=-1).min() > 0.1
    assert (theirs["neck"] - h36m["thorax"]).norm(dim=-1).max() < 0.15


def test_smpl24_is_our_own_skeleton():
    assert JOINT_SETS["smpl24"].mirror == MIRROR_JOINTS
    assert JOINT_SETS["smpl24"].parents == PARENTS


@pytest.mark.parametrize("name", JOINT_SETS)
def test_the_mirror_of_a_pose_has_the_mirrored_joints(body, name):
    joints = JOINT_SETS[name]
    poses, trans, _ = random_pose(0)
    mirrored = poses[:, list(MIRROR_JOINTS)] * torch.tensor([1.0, -1.0, -1.0])
    betas = torch.zeros(10)  # the mean body is symmetric
    first = joints.place(body, poses, trans, betas)
    second = joints.place(body, mirrored, trans * torch.tensor([-1.0, 1.0, 1.0]), betas)
    expected = first[:, list(joints.mirror)] * torch.tensor([-1.0, 1.0, 1.0])
    assert_close(second, expected, atol=2e-3, rtol=0)  # the mesh is symmetric to a millimetre or two


@pytest.mark.parametrize("name", JOINT_SETS)
def test_placing_joints_equals_weighing_the_whole_posed_mesh(body, name):
    import roma

    from motiongan.body.kinematics import forward_kinematics

    poses, trans, betas = random_pose(1)
    joints, vertices = JOINT_SETS[name].weights(body)
    posed = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, body.skeleton(betas)).joints
    expected = joints @ posed + vertices @ body.vertices(poses, trans, betas)
    assert_close(JOINT_SETS[name].place(body, poses, trans, betas), expected, atol=1e-5, rtol=0)
    assert_close((joints.sum(1) + vertices.sum(1)), torch.ones(len(joints)))


def test_the_face_looks_ahead_with_the_left_eye_on_the_left(body):
    poses = torch.zeros(24, 3)
    poses[0] = UPRIGHT  # faces -y, the left side at +x
    coco = JOINT_SETS["coco17"]
    placed = coco.place(body, poses, torch.zeros(3), torch.zeros(10))
    nose, left_eye, right_eye, left_ear, right_ear = placed[:5]
    assert nose[1] < left_eye[1] < left_ear[1]
    assert left_ear[0] > left_eye[0] > nose[0] > right_eye[0] > right_ear[0]
    assert left_eye[2] > nose[2]


def test_coco_is_our_joints_and_the_landmarks_of_the_face_and_nothing_else(body):
    poses, trans, betas = random_pose(3)
    coco, ours = (JOINT_SETS[name].place(body, poses, trans, betas) for name in ("coco17", "smpl24"))
    mesh = body.vertices(poses, trans, betas)
    for index, name in enumerate(JOINT_SETS["coco17"].names):
        if name in JOINT:
            expected = ours[:, JOINT[name]]
        else:
            expected = mesh[:, body.keypoint_vertices[body.keypoint_names.index(name)]]
        assert_close(coco[:, index], expected, atol=1e-5, rtol=0)


def test_clicks_as_far_from_our_joints_as_is_estimated_of_coco_lie_on_the_body(body):
    """Seen from the front: 5 cm out of the hip at its height and above, 2 cm above the shoulder."""
    vertices, joints = body.v_template, body.bones.joint_template
    hip, shoulder = joints[JOINT["left_hip"]], joints[JOINT["left_shoulder"]]
    for height in (0.0, 0.05):
        outline = vertices[(vertices[:, 1] - hip[1] - height).abs() < 0.02, 0].max()
        assert outline > hip[0] + 0.05
    assert vertices[(vertices[:, 0] - shoulder[0]).abs() < 0.015, 1].max() > shoulder[1] + 0.02


def test_a_body_without_landmarks_lacks_the_face_and_says_so(body):
    from dataclasses import replace

    bare = replace(body, keypoint_names=(), keypoint_vertices=body.keypoint_vertices[:0])
    coco = JOINT_SETS["coco17"]
    assert coco.known(bare).tolist() == [False] * 5 + [True] * 12
    placed = coco.place(bare, torch.zeros(24, 3), torch.zeros(3), torch.zeros(10))
    assert placed[:5].isnan().all()
    assert placed[5:].isfinite().all()
    assert (coco.weights(bare)[0][:5] == 0).all()


def test_human36m_joints_lie_as_near_its_own_skeleton_as_is_said(body):
    """Offsets of Human3.6M's subject 1, millimetres, as its kinematic skeleton has them; scaled to equal legs."""
    joints = JOINT_SETS["h36m17"]
    offsets = {
        "right_hip": (-132.95, 0, 0), "right_knee": (0, -442.89, 0), "right_ankle": (0, -454.21, 0),
        "left_hip": (132.95, 0, 0), "left_knee": (0, -442.89, 0), "left_ankle": (0, -454.21, 0),
        "spine": (0, 233.48, 0), "thorax": (0, 257.08, 0), "neck_base": (0, 121.13, 0), "head": (0, 115.0, 0),
        "left_shoulder": (151.03, 0, 0), "left_elbow": (278.88, 0, 0), "left_wrist": (251.73, 0, 0),
        "right_shoulder": (-151.03, 0, 0), "right_elbow": (-278.88, 0, 0), "right_wrist": (-251.73, 0, 0),
    }  # fmt: skip
    rest = joints.place(body, torch.zeros(24, 3), torch.zeros(3), torch.zeros(10)).numpy()
    ours = rest - rest[0]
    bones = body.bones.joint_template.numpy()
    leg = sum(
        np.linalg.norm(bones[JOINT[a]] - bones[JOINT[b]])
        for a, b in (("left_hip", "left_knee"), ("left_knee", "left_ankle"))
    )
    theirs = np.zeros((17, 3))
    for index, (name, parent) in enumerate(zip(joints.names, joints.parents)):
        if name in offsets:
            theirs[index] = theirs[parent] + np.array(offsets[name]) * leg / (442.89 + 454.21)
    error = dict(zip(joints.names, np.linalg.norm(ours - theirs, axis=1)))
    limits = {"hip": 0.015, "knee": 0.015, "ankle": 0.06, "shoulder": 0.065, "elbow": 0.065, "wrist": 0.09}
    for name, distance in error.items():
        assert distance < limits.get(name.rpartition("_")[2], 0.07), name


def test_points_with_landmarks_are_placed_where_the_poses_are(body):
    """On the meta device, which like a GPU does not lend its indices to a body on the CPU."""
    plain = dataclasses.replace(body, posedirs=None)  # whose zeros the meta device cannot tell
    poses, trans, betas = (values.to("meta") for values in random_pose(0))
    placed = JOINT_SETS["coco17"].place(plain, poses, trans, betas)
    assert placed.device.type == "meta"
    assert placed.shape == (3, 17, 3)


def test_rig_names_are_unique_and_say_the_side():
    assert len(set(RIG_NAMES)) == 24
    assert RIG_NAMES[JOINT["left_shoulder"]] == "LeftArm"
    assert RIG_NAMES[JOINT["right_hip"]] == "RightUpLeg"
    assert RIG_NAMES[JOINT["pelvis"]] == "Hips"
