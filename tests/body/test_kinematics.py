"""Forward kinematics against the plain joint-by-joint recursion; the unit that motion is learned in."""

import pytest
import roma
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.body.kinematics import BoneShape, Skeleton, forward_kinematics
from motiongan.body.skeleton import PARENTS, SOLE_JOINTS


def random_skeleton(*batch: int, seed: int = 0) -> Skeleton:
    generator = torch.Generator().manual_seed(seed)
    return Skeleton(torch.randn(*batch, 24, 3, generator=generator), torch.randn(*batch, 4, 3, generator=generator))


def random_motion(*batch: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rotations = roma.rotvec_to_rotmat(torch.randn(*batch, 24, 3, generator=generator))
    return rotations, torch.randn(*batch, 3, generator=generator)


def plain(rotations: Tensor, trans: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor, Tensor]:
    """One body, joint after joint: joints (24, 3), world rotations (24, 3, 3), soles (4, 3)."""
    rest, joints, world = skeleton.rest_joints, [], []
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            world.append(rotations[joint])
            joints.append(rest[joint] + trans)
        else:
            world.append(world[parent] @ rotations[joint])
            joints.append(joints[parent] + world[parent] @ (rest[joint] - rest[parent]))
    soles = [
        joints[joint] + world[joint] @ (sole - rest[joint])
        for joint, sole in zip(SOLE_JOINTS, skeleton.rest_soles, strict=True)
    ]
    return torch.stack(joints), torch.stack(world), torch.stack(soles)


@pytest.mark.parametrize("seed", range(5))
def test_one_body_equals_the_plain_recursion(seed):
    rotations, trans = random_motion(seed=seed)
    skeleton = random_skeleton(seed=seed)
    posed = forward_kinematics(rotations, trans, skeleton)
    joints, world, soles = plain(rotations, trans, skeleton)
    assert_close(posed.joints, joints, atol=1e-5, rtol=0)
    assert_close(posed.rotations, world, atol=1e-5, rtol=0)
    assert_close(posed.soles, soles, atol=1e-5, rtol=0)


@pytest.mark.parametrize("skeleton_batch", [(), (5,), (3, 1), (3, 5)])
def test_a_batch_equals_each_of_its_bodies(skeleton_batch):
    """With one skeleton for all, one per frame, one per clip, one for each."""
    rotations, trans = random_motion(3, 5)
    skeleton = random_skeleton(*skeleton_batch)
    posed = forward_kinematics(rotations, trans, skeleton)
    rest_joints = skeleton.rest_joints.expand(3, 5, 24, 3)
    rest_soles = skeleton.rest_soles.expand(3, 5, 4, 3)
    for clip in range(3):
        for frame in range(5):
            alone = Skeleton(rest_joints[clip, frame], rest_soles[clip, frame])
            joints, world, soles = plain(rotations[clip, frame], trans[clip, frame], alone)
            assert_close(posed.joints[clip, frame], joints, atol=1e-5, rtol=0)
            assert_close(posed.rotations[clip, frame], world, atol=1e-5, rtol=0)
            assert_close(posed.soles[clip, frame], soles, atol=1e-5, rtol=0)


def test_at_rest_the_body_is_its_rest_pose_moved():
    skeleton = random_skeleton()
    trans = torch.tensor([1.0, -2.0, 0.5])
    posed = forward_kinematics(torch.eye(3).expand(24, 3, 3), trans, skeleton)
    assert_close(posed.joints, skeleton.rest_joints + trans)
    assert_close(posed.soles, skeleton.rest_soles + trans)


def test_turning_the_root_turns_everything_about_the_pelvis():
    rotations, trans = random_motion(seed=3)
    skeleton = random_skeleton(seed=3)
    turn = roma.rotvec_to_rotmat(torch.tensor([0.3, -1.0, 2.0]))
    turned = torch.cat([turn @ rotations[:1], rotations[1:]])
    before, after = (forward_kinematics(each, trans, skeleton) for each in (rotations, turned))
    pelvis = skeleton.rest_joints[0] + trans
    assert_close(after.joints, (before.joints - pelvis) @ turn.T + pelvis, atol=1e-5, rtol=0)
    assert_close(after.soles, (before.soles - pelvis) @ turn.T + pelvis, atol=1e-5, rtol=0)


def test_gradients_equal_those_of_the_plain_recursion():
    skeleton = random_skeleton()
    gradients = []
    for function in (lambda *given: forward_kinematics(*given).joints, lambda *given: plain(*given)[0]):
        rotations, trans = random_motion()
        rotations.requires_grad_()
        trans.requires_grad_()
        weight = torch.randn(24, 3, generator=torch.Generator().manual_seed(9))
        (function(rotations, trans, skeleton) * weight).sum().backward()
        gradients.append((rotations.grad, trans.grad))
    assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


def test_the_leg_length_is_the_height_of_the_pelvis_over_the_soles():
    joints, soles = torch.zeros(24, 3), torch.zeros(4, 3)
    joints[0] = torch.tensor([5.0, 0.2, 5.0])
    soles[:, 1] = torch.tensor([-0.70, -0.74, -0.71, -0.73])
    assert_close(Skeleton(joints, soles).leg_length, torch.tensor(0.92))


def test_bones_are_linear_in_the_betas_and_missing_betas_are_zero():
    generator = torch.Generator().manual_seed(0)
    shape = BoneShape(
        torch.randn(24, 3, generator=generator),
        torch.randn(24, 3, 10, generator=generator),
        torch.randn(4, 3, generator=generator),
        torch.randn(4, 3, 10, generator=generator),
    )
    betas = torch.randn(2, 10, generator=generator)
    wanted = shape.joint_template + (shape.joint_shapedirs[None] * betas[:, None, None]).sum(-1)
    assert_close(shape.skeleton(betas).rest_joints, wanted)
    few = torch.nn.functional.pad(betas[:, :3], (0, 7))
    assert_close(shape.skeleton(betas[:, :3]).rest_soles, shape.skeleton(few).rest_soles)
