"""The default body: its skeleton that never changes, its mesh, its shapes, and how it bends."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.anatomy import centre_of_mass
from motiongan.body.keypoints import KEYPOINT_NAMES
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS, SOLE_NAMES
from motiongan.body.smpl import GENDERS, Body

VERSION_1 = Path(__file__).resolve().parents[2] / "tools" / "bake_body" / "version_1.npz"


def pose(**degrees: tuple[float, float, float]) -> torch.Tensor:
    poses = torch.zeros(24, 3)
    for joint, angles in degrees.items():
        poses[JOINT[joint]] = torch.deg2rad(torch.tensor(angles))
    return poses


def posed(body: Body, poses: torch.Tensor, betas: torch.Tensor | None = None) -> torch.Tensor:
    return body.vertices(poses, torch.zeros(3), torch.zeros(10) if betas is None else betas)


# --- the skeleton ---------------------------------------------------------------------------------------------------


def test_the_skeleton_is_that_of_every_motion_file_and_model_there_is(body):
    version_1 = np.load(VERSION_1)
    for name in ("joint_template", "joint_shapedirs", "sole_template", "sole_shapedirs"):
        assert np.abs(getattr(body.bones, name).numpy() - version_1[name]).max() < 1e-6, name


def test_the_joints_and_soles_are_means_of_the_skin_of_any_shape(body):
    betas = 2 * torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    vertices, skeleton = body.rest_vertices(betas), body.skeleton(betas)
    assert_close(body.J_regressor @ vertices, skeleton.rest_joints, atol=5e-6, rtol=0)
    assert_close(body.sole_regressor @ vertices, skeleton.rest_soles, atol=5e-6, rtol=0)


# --- the mesh -------------------------------------------------------------------------------------------------------


def test_the_default_body_is_a_closed_surface_without_specks(body):
    faces = body.faces.numpy()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, used = np.unique(edges, axis=0, return_counts=True)
    assert (used == 2).all()
    assert len(np.unique(body.v_template.numpy(), axis=0)) == body.num_vertices
    assert np.array_equal(np.unique(faces), np.arange(body.num_vertices))
    corners = body.v_template[body.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    volume = (corners[:, 0] * normals).sum() / 6
    assert 0.05 < volume < 0.09  # m^3, positive: faces are counter-clockwise from outside


def test_no_face_is_a_sliver_and_no_two_neighbours_fold_onto_each_other(body):
    faces, vertices = body.faces.numpy(), body.v_template.numpy().astype(float)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double_area = np.linalg.norm(normals, axis=1)
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    assert (double_area / longest**2).min() > 0.04  # 25 times as long as high
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    order = np.lexsort(np.sort(edges, axis=1).T)  # each edge lies beside its twin
    one, two = (np.tile(np.arange(len(faces)), 3)[order].reshape(-1, 2)).T
    normals = normals / double_area[:, None]
    assert (normals[one] * normals[two]).sum(1).min() > -0.75


def test_the_default_body_is_skinned_by_at_most_four_bones_a_vertex(body):
    assert ((body.weights > 0).sum(1) <= 4).all()
    assert_close(body.weights.sum(1), torch.ones(body.num_vertices))
    for regressor in (body.J_regressor, body.sole_regressor):
        assert (regressor >= 0).all()
        assert_close(regressor.sum(1), torch.ones(len(regressor)))


def test_the_default_body_rests_in_smpls_t_pose(body):
    rest = body.skeleton(torch.zeros(10))
    joints = dict(zip(JOINT, rest.rest_joints))
    vertices = body.v_template
    assert 1.66 < vertices[:, 1].max() - vertices[:, 1].min() < 1.74  # stands along +Y, an adult's stature
    for side, sign in (("left", 1), ("right", -1)):
        arm = joints[f"{side}_wrist"] - joints[f"{side}_shoulder"]
        assert sign * arm[0] / arm.norm() > 0.99  # the left arm points to +X
        leg = joints[f"{side}_ankle"] - joints[f"{side}_hip"]
        assert -leg[1] / leg.norm() > 0.99
        foot = joints[f"{side}_foot"] - joints[f"{side}_ankle"]
        assert foot[2] > 0.1  # faces +Z
    ground = vertices[:, 1].min()
    assert (rest.rest_soles[:, 1] - ground).abs().max() < 0.005  # flat feet
    for index, name in enumerate(SOLE_NAMES):
        assert rest.rest_soles[index, 0] * (1 if name.startswith("left") else -1) > 0
    assert rest.leg_length.item() == pytest.approx((joints["pelvis"][1] - ground).item(), abs=0.005)


def test_segment_lengths_of_the_default_bodies_are_those_of_people(body):
    """Against de Leva 1996, table 4, mean of women and men over stature: within 7 %, and 2-6 % between people."""
    betas = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    joints = body.skeleton(betas).rest_joints
    vertices = body.rest_vertices(betas)[..., 1]
    stature = vertices.amax(-1) - vertices.amin(-1)
    assert 1.67 < stature.mean() < 1.73
    assert 0.06 < stature.std() < 0.1
    assert 1.35 < stature.min() < stature.max() < 2.1
    published = {
        ("hip", "knee"): (0.4222 / 1.741 + 0.3685 / 1.735) / 2,
        ("knee", "ankle"): (0.4403 / 1.741 + 0.4386 / 1.735) / 2,
        ("shoulder", "elbow"): (0.2817 / 1.741 + 0.2751 / 1.735) / 2,
        ("elbow", "wrist"): (0.2689 / 1.741 + 0.2643 / 1.735) / 2,
    }
    for (start, end), expected in published.items():
        bone = joints[:, JOINT[f"left_{end}"]] - joints[:, JOINT[f"left_{start}"]]
        ratio = bone.norm(dim=-1) / stature
        assert ratio.mean().item() == pytest.approx(expected, rel=0.07), (start, end)
        assert 0.02 < ratio.std() / ratio.mean() < 0.06, (start, end)


def test_joints_of_unusual_bodies_stay_in_the_middle_of_their_limbs(body):
    """Every coefficient 3 deviations out, and all at once 1.5: the joint stays this far (metres) under the skin."""
    signs = torch.randn(60, 10, generator=torch.Generator().manual_seed(1)).sign()
    betas = torch.cat([1.5 * signs, 3 * torch.eye(10), -3 * torch.eye(10)])
    joints, vertices = body.skeleton(betas).rest_joints, body.rest_vertices(betas)
    for name, depth in (("left_knee", 0.035), ("right_knee", 0.035), ("left_elbow", 0.018), ("left_hip", 0.05)):
        distance = (vertices - joints[:, JOINT[name], None]).norm(dim=-1).amin(-1)
        assert distance.min() > depth, name


def test_a_mirrored_pose_gives_the_mirrored_mesh(body):
    generator = torch.Generator().manual_seed(3)
    poses, betas = torch.randn(1, 24, 3, generator=generator), torch.randn(1, 10, generator=generator)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    mirrored = (poses * torch.tensor([1.0, -1.0, -1.0]))[:, list(MIRROR_JOINTS)]
    left = body.vertices(poses * 0.3, torch.zeros(1, 3), betas)[0]
    right = body.vertices(mirrored * 0.3, torch.zeros(1, 3), betas)[0] * flip
    distance = torch.cdist(left[::7], right, compute_mode="donot_use_mm_for_euclid_dist").amin(-1)
    assert distance.max() < 2e-4  # the file is rounded to 0.01 mm, the correctives to 0.1 mm


def test_the_mesh_and_the_mass_table_agree_on_the_centre_of_mass(body):
    """The centroid of the skin's volume, arms hanging and one leg forward, against de Leva's segments on the joints."""
    poses = torch.zeros(24, 3)
    poses[JOINT["left_shoulder"], 2], poses[JOINT["right_shoulder"], 2] = -1.3, 1.3
    poses[JOINT["left_hip"], 0], poses[JOINT["left_knee"], 0] = -1.2, 0.8
    betas = torch.zeros(10)
    corners = body.vertices(poses, torch.zeros(3), betas)[body.faces].double()
    volumes = (corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum(-1) / 6
    centroid = (corners.sum(1) / 4 * volumes[:, None]).sum(0) / volumes.sum()
    joints = forward_kinematics(roma.rotvec_to_rotmat(poses), torch.zeros(3), body.skeleton(betas)).joints
    assert (centre_of_mass(joints) - centroid).norm() < 0.03


def test_texture_coordinates_lie_in_the_picture_and_belong_to_every_face(body):
    assert body.texture_faces.shape == body.faces.shape
    assert 0 <= body.texture_coordinates.min() < 0.1
    assert 0.9 < body.texture_coordinates.max() <= 1
    # Along seams a vertex has several places in the picture, elsewhere one: a place belongs to one vertex.
    pairs = torch.stack([body.texture_faces.flatten(), body.faces.flatten()], 1).unique(dim=0)
    assert len(pairs) == len(body.texture_coordinates)


# --- landmarks, hands and feet ---------------------------------------------------------------------------------------


def test_the_landmarks_are_where_their_names_say(body):
    """Rest axes: the left side is +X, up is +Y, ahead is +Z; the head's joint is the origin of the face."""
    assert body.keypoint_names == KEYPOINT_NAMES
    points = dict(zip(body.keypoint_names, body.keypoints(body.v_template).numpy()))
    head = body.v_template[body.part == JOINT["head"]].numpy()
    joints = dict(zip(JOINT, body.bones.joint_template.numpy()))
    ground = body.v_template[:, 1].min().item()
    assert points["nose"][2] == pytest.approx(head[:, 2].max(), abs=1e-5)
    assert points["head_top"][1] == pytest.approx(body.v_template[:, 1].max().item(), abs=1e-5)
    for side, sign in (("left", 1), ("right", -1)):
        eye, ear, heel, big, small = (points[f"{side}_{name}"] * [sign, 1, 1] for name in
                                      ("eye", "ear", "heel", "big_toe", "small_toe"))  # fmt: skip
        assert 0.02 < eye[0] < 0.04  # adults' pupils are 54 to 74 mm apart
        assert points["nose"][1] + 0.02 < eye[1] < points["head_top"][1] - 0.08
        assert 0.065 < ear[0] < 0.085
        assert ear[2] < eye[2] - 0.06
        assert abs(ear[1] - eye[1]) < 0.03
        foot = joints[f"{side}_foot"] * [sign, 1, 1]
        assert heel[2] < joints[f"{side}_ankle"][2] - 0.02
        assert heel[1] < ground + 0.05
        assert 0.22 < big[2] - heel[2] < 0.29  # a foot's length
        assert small[2] > foot[2]
        assert small[0] > foot[0] > big[0]
        wrist = joints[f"{side}_wrist"]
        tips = {finger: points[f"{side}_{finger}_tip"] for finger in ("thumb", "index", "middle", "ring", "pinky")}
        ahead = [tips[finger][2] for finger in ("thumb", "index", "middle", "ring", "pinky")]
        assert sorted(ahead, reverse=True) == ahead  # the palms look down: the thumb is in front
        for finger, tip in tips.items():
            assert 0.08 < np.linalg.norm(tip - wrist) < 0.2, finger


def test_landmarks_follow_the_pose_and_the_shape(body):
    names = list(body.keypoint_names)
    turned = body.keypoints(posed(body, pose(head=(0, 90, 0))))  # the head to its left
    rest = body.keypoints(body.v_template)
    nose, ear = names.index("nose"), names.index("left_ear")
    neck = body.bones.joint_template[JOINT["head"]]
    assert_close(
        turned[nose] - neck, (rest[nose] - neck)[[2, 1, 0]] * torch.tensor([1.0, 1.0, -1.0]), atol=0.004, rtol=0
    )
    assert turned[ear, 2] < rest[ear, 2] - 0.05
    assert_close(turned[names.index("left_heel")], rest[names.index("left_heel")])
    batch = body.keypoints(body.rest_vertices(torch.eye(10)))
    assert batch.shape == (10, len(names), 3)
    assert batch[0, names.index("head_top"), 1] > rest[names.index("head_top"), 1] + 0.02  # the first beta: tall


def test_hanging_hands_are_curled_like_resting_ones(body):
    """A resting finger's tip lies 2 to 6 cm to the palm's side of the hand's back, not in its plane."""
    points = dict(zip(body.keypoint_names, body.keypoints(body.v_template)))
    joints = body.bones.joint_template
    along = joints[JOINT["left_hand"]] - joints[JOINT["left_wrist"]]
    for finger in ("index", "middle", "ring", "pinky"):
        tip = points[f"left_{finger}_tip"] - joints[JOINT["left_wrist"]]
        below_the_back = along[1] / along[0] * tip[0] - tip[1]
        assert 0.02 < below_the_back < 0.07, finger


def test_the_soles_are_flat_on_the_ground(body):
    """Within 6 mm of the ground lies skin under the heel, both balls and the toes; nothing else of the body does."""
    for betas in body.gender_betas:
        vertices, joints = body.rest_vertices(betas), body.skeleton(betas).rest_joints
        low = vertices[vertices[:, 1] < vertices[:, 1].min() + 0.006]
        for side, sign in (("left", 1), ("right", -1)):
            foot = low[low[:, 0] * sign > 0]
            ankle, ball = joints[JOINT[f"{side}_ankle"]], joints[JOINT[f"{side}_foot"]]
            assert foot[:, 2].min() < ankle[2] - 0.02
            assert foot[:, 2].max() > ball[2] + 0.02
            at_ball = foot[(foot[:, 2] - ball[2]).abs() < 0.03]
            assert at_ball[:, 0].max() - at_ball[:, 0].min() > 0.05


# --- shapes -----------------------------------------------------------------------------------------------------------


def test_typical_women_and_men_have_their_statures_and_proportions(body):
    """Hip joints over shoulder joints: wider on women; the trunk is a woman's or a man's in depth of the chest."""
    stature, hips_to_shoulders = {}, {}
    for gender in GENDERS:
        betas = body.typical_betas(gender)
        vertices, joints = body.rest_vertices(betas), body.skeleton(betas).rest_joints
        stature[gender] = (vertices[:, 1].max() - vertices[:, 1].min()).item()
        breadth = [joints[JOINT[f"left_{name}"], 0] - joints[JOINT[f"right_{name}"], 0] for name in ("hip", "shoulder")]
        hips_to_shoulders[gender] = (breadth[0] / breadth[1]).item()
    assert 1.65 < stature["female"] < 1.70 < stature["neutral"] < 1.73 < 1.77 < stature["male"] < 1.80
    assert hips_to_shoulders["female"] > 1.05 * hips_to_shoulders["male"]
    assert not body.typical_betas("neutral").any()
    assert body.gender_betas.abs().max() < 2  # people, not outliers


# --- bending ----------------------------------------------------------------------------------------------------------


def test_the_correctives_leave_the_rest_pose_alone(body):
    assert_close(posed(body, torch.zeros(24, 3)), body.v_template, atol=1e-6, rtol=0)


def skin_ring(body: Body, joint: str, child: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The closed line in which the plane across a limb at its joint cuts the rest skin.

    Pieces x ends: the two vertices of the edge that each end lies on, (pieces, 2, 2), and how far along it lies.
    """
    joints = body.bones.joint_template
    axis = torch.nn.functional.normalize(joints[JOINT[child]] - joints[JOINT[joint]], dim=0)
    height = (body.v_template - joints[JOINT[joint]]) @ axis
    near = (body.v_template[body.faces].mean(1) - joints[JOINT[joint]]).norm(dim=-1) < 0.12
    faces = body.faces[near & ((height[body.faces] > 0).sum(1) % 3 > 0)]
    edges = torch.stack([faces, faces.roll(-1, 1)], -1)  # (pieces, 3, 2)
    cut = (height[edges] > 0).sum(-1) == 1
    assert (cut.sum(1) == 2).all()
    edges = edges[cut].unflatten(0, (-1, 2))
    ends = height[edges]
    return edges, ends[..., 0] / (ends[..., 0] - ends[..., 1]), faces


def girth(vertices: torch.Tensor, ring: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> float:
    edges, along, _ = ring
    points = torch.lerp(vertices[edges[..., 0]], vertices[edges[..., 1]], along[..., None])
    return (points[:, 0] - points[:, 1]).norm(dim=-1).sum().item()


@pytest.mark.parametrize(("joint", "child", "bend"), [("elbow", "wrist", (0, -1, 0)), ("knee", "ankle", (1, 0, 0))])
@pytest.mark.parametrize("degrees", [60, 90, 120, 140])
def test_bent_elbows_and_knees_keep_their_girth(body, joint, child, bend, degrees):
    """The line round the joint keeps its length within 5 %; linear blend skinning alone loses up to 25 %."""
    poses = pose(**{f"left_{joint}": tuple(degrees * part for part in bend)})
    ring = skin_ring(body, f"left_{joint}", f"left_{child}")
    rest = girth(body.v_template, ring)
    assert 0.2 < rest < 0.4
    assert girth(posed(body, poses), ring) == pytest.approx(rest, rel=0.05)
    if degrees >= 120:
        assert girth(posed(replace(body, posedirs=None), poses), ring) < 0.88 * rest


def test_a_bent_hip_keeps_more_of_the_body_s_volume_than_skinning_alone(body):
    def volume(vertices: torch.Tensor) -> float:
        corners = vertices[body.faces].double()
        return (corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum().item() / 6

    poses = pose(left_hip=(-110, 0, 0), right_hip=(-110, 0, 0))
    rest = volume(body.v_template)
    assert volume(posed(body, poses)) > 0.97 * rest
    assert volume(posed(replace(body, posedirs=None), poses)) < 0.95 * rest
