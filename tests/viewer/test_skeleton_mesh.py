import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from motiongan.body.skeleton import JOINT, PARENTS
from motiongan.viewer.posed_clip import pose_clip
from motiongan.viewer.skeleton_mesh import SIDES, ball, rod, skeleton_mesh


def volume(vertices, faces):
    """Enclosed by the faces; positive where they are counter-clockwise from outside."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return (a * np.cross(b, c)).sum() / 6


def test_a_ball_has_its_radius_and_looks_outwards():
    vertices, faces = ball(np.array([1.0, 2.0, 3.0]), 0.5, rings=40, segments=60)
    assert_allclose(np.linalg.norm(vertices - [1, 2, 3], axis=1), 0.5)
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.01)


@pytest.mark.parametrize("end", [(0, 0, 2), (0, 0, -2), (1, 0, 0), (-0.3, 0.5, 0.1)])
def test_a_rod_reaches_from_its_start_to_its_end(end):
    start = np.array([0.1, -0.2, 0.3])
    vertices, faces = rod(start, start + end, width=0.05)
    along = (vertices - start) @ np.asarray(end) / np.linalg.norm(end)
    assert along.min() == pytest.approx(0)
    assert along.max() == pytest.approx(np.linalg.norm(end))
    across = np.linalg.norm(vertices - start - along[:, None] * np.asarray(end) / np.linalg.norm(end), axis=1)
    assert across.max() == pytest.approx(0.025)
    assert volume(vertices, faces) > 0


def test_sides_have_their_own_joints_and_share_none_of_the_limbs(body):
    rest = body.bones.skeleton(torch.zeros(10)).rest_joints.numpy()
    left, right, _ = (skeleton_mesh(rest, side) for side in SIDES)
    assert JOINT["left_knee"] in left.joints
    assert JOINT["right_knee"] not in left.joints
    assert left.vertices[:, 0].mean() > 0.1 > -0.1 > right.vertices[:, 0].mean()  # +X is the body's left


def test_skinned_rods_end_at_the_posed_joints(body, make_clip):
    posed = pose_clip(make_clip(5), body)
    frame, rest = 20, posed.rest_joints
    w, x, y, z = posed.bone_wxyz[frame].T.astype(np.float64)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    for side in SIDES:
        mesh = skeleton_mesh(rest, side)
        owner = mesh.joints[mesh.weights.argmax(1)]
        assert_allclose(mesh.weights.sum(1), 1)
        local = mesh.vertices - rest[owner]
        skinned = np.einsum("vij,vj->vi", turn[owner], local) + posed.joints[frame, owner]
        for joint, parent in enumerate(PARENTS):
            tip = (np.linalg.norm(mesh.vertices - rest[joint], axis=1) < 1e-6) & (owner == parent)
            if tip.any():
                assert_allclose(skinned[tip], np.tile(posed.joints[frame, joint], (tip.sum(), 1)), atol=1e-5)
