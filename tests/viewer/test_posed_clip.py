import numpy as np
import roma
import torch
from conftest import UPRIGHT
from torch.testing import assert_close

from motiongan.body.kinematics import forward_kinematics
from motiongan.motion.clip import Clip
from motiongan.viewer.posed_clip import pose_clip


def standing(num_frames=3, **fields):
    poses = np.zeros((num_frames, 24, 3), np.float32)
    poses[:, 0] = UPRIGHT
    trans = np.tile(np.array([0, 0, 2.0], np.float32), (num_frames, 1))
    return Clip(poses=poses, trans=trans, frame_rate=30.0, **fields)


def test_bones_stand_where_forward_kinematics_puts_them(body, make_clip):
    clip = make_clip(3, betas=np.linspace(-1, 1, 10))
    posed = pose_clip(clip, body)
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))
    reference = forward_kinematics(
        rotations, torch.from_numpy(clip.trans), body.bones.skeleton(torch.from_numpy(clip.betas))
    )
    assert_close(torch.from_numpy(posed.joints), reference.joints)
    xyzw = roma.quat_wxyz_to_xyzw(torch.from_numpy(posed.bone_wxyz))
    assert_close(roma.unitquat_to_rotmat(xyzw), reference.rotations, atol=1e-5, rtol=0)


def test_a_shape_of_another_body_model_is_left_out(body, make_clip):
    clip = make_clip(betas=np.full(10, 2.0))
    mean = pose_clip(make_clip(), body)
    without = pose_clip(clip, body, with_shape=False)
    np.testing.assert_array_equal(without.rest_joints, mean.rest_joints)
    assert np.abs(pose_clip(clip, body).rest_joints - mean.rest_joints).max() > 0.01


def test_heading_is_where_the_body_faces(body):
    """The upright rest body faces -Y; a quarter turn to its left about Z makes it face +X."""
    assert pose_clip(standing(), body).heading == np.float32(-np.pi / 2)
    clip = standing()
    upright, quarter = (roma.rotvec_to_rotmat(torch.tensor(v)) for v in (UPRIGHT, (0.0, 0.0, np.pi / 2)))
    clip.poses[:, 0] = roma.rotmat_to_rotvec(quarter.float() @ upright.float()).numpy()
    assert abs(pose_clip(clip, body).heading) < 1e-5


def test_a_joint_bent_the_wrong_way_is_beyond_its_range_and_no_other(body):
    clip = standing(num_frames=2)
    clip.poses[1, 4, 0] = np.radians(-45)  # the left knee, 30 degrees beyond its 15 of hyperextension
    violation = np.degrees(pose_clip(clip, body).violation)
    np.testing.assert_allclose(violation[1, 4], 30, atol=1e-3)
    assert violation[0].max() == 0
    assert np.delete(violation[1], 4).max() == 0
