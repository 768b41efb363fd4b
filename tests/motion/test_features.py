"""Features: there and back, free of place, heading and size, mirrored as in a mirror, feet planted."""

from collections.abc import Callable

import pytest
import roma
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS, MIRROR_SOLE
from motiongan.motion.clip import Clip
from motiongan.motion.features import (
    CONTACTS,
    HEADING_RATE,
    HEIGHT,
    NUM_FEATURES,
    ROTATIONS,
    VELOCITY,
    VIEW_CHANNELS,
    Normalisation,
    axis_angle_of,
    decode,
    encode,
    heading_of,
    mirror,
    motion_view,
    rotation_6d,
    rotation_about_z,
    rotation_from_6d,
)

MakeClip = Callable[..., Clip]


@pytest.fixture
def skeleton(stick_body) -> Skeleton:
    return stick_body.skeleton(torch.zeros(10))


def tensors(clip: Clip) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(clip.poses), torch.from_numpy(clip.trans)


def features_of(clip: Clip, skeleton: Skeleton) -> Tensor:
    return encode(*tensors(clip), skeleton, clip.frame_rate)


def turned(poses: Tensor, trans: Tensor, skeleton: Skeleton, angle: float, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The motion turned by an angle (rad) around the world's Z axis, and moved. The pelvis turns, not `trans`."""
    turn = rotation_about_z(torch.tensor(angle))
    root = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(poses[:, 0]))
    pelvis = skeleton.rest_joints[0]
    return torch.cat([root[:, None], poses[:, 1:]], 1), (trans + pelvis) @ turn.T - pelvis + shift


def turning_clip(make_clip: MakeClip, skeleton: Skeleton, seed: int, num_frames: int = 50) -> tuple[Tensor, Tensor]:
    """A seeded motion that walks a bend, leans and tilts: nothing in it is zero."""
    poses, trans = tensors(make_clip(seed, num_frames=num_frames))
    frames = torch.arange(num_frames)
    yaw = 0.04 * frames + 0.2 * torch.sin(0.3 * frames)
    lean = roma.rotvec_to_rotmat(0.2 * torch.stack([torch.sin(0.2 * frames), torch.cos(0.1 * frames), 0 * yaw], -1))
    root = rotation_about_z(yaw) @ roma.rotvec_to_rotmat(poses[:, 0]) @ lean
    trans = trans + 0.1 * torch.stack([torch.sin(0.1 * frames), torch.cos(0.2 * frames), torch.sin(0.3 * frames)], -1)
    return torch.cat([roma.rotmat_to_rotvec(root)[:, None], poses[:, 1:]], 1), trans


# -- rotations ---------------------------------------------------------------------------------------------------------


def test_rot6d_is_the_first_two_columns_one_after_the_other():
    rotation = torch.arange(9.0).reshape(3, 3)
    assert rotation_6d(rotation).tolist() == [0, 3, 6, 1, 4, 7]


def test_rot6d_comes_back_from_any_scaling_and_skewing_of_its_columns():
    rotations = roma.random_rotmat(100)
    first, second = rotation_6d(rotations).chunk(2, -1)
    assert_close(rotation_from_6d(rotation_6d(rotations)), rotations)
    assert_close(rotation_from_6d(torch.cat([3 * first, 0.5 * second + 2 * first], -1)), rotations, atol=1e-5, rtol=0)


def test_rot6d_of_zeros_has_finite_gradients():
    values = torch.zeros(4, 6, requires_grad=True)
    rotation_from_6d(values).sum().backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()


@pytest.mark.parametrize("largest", [1e-9, 1e-6, 1e-3, 0.5, 3.0, 3.1415])
def test_axis_angles_agree_with_roma_at_every_size(largest):
    directions = torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    vectors = directions * torch.linspace(0, largest, 200)[:, None]
    rotations = roma.rotvec_to_rotmat(vectors.double())
    assert_close(axis_angle_of(rotations), roma.rotmat_to_rotvec(rotations), atol=1e-7, rtol=0)
    assert_close(axis_angle_of(rotations), vectors.double(), atol=1e-7, rtol=0)


def test_axis_angles_of_half_turns_turn_back_into_their_rotations():
    rotations = torch.stack(
        [torch.diag(torch.tensor(signs)) for signs in ([1.0, -1, -1], [-1.0, 1, -1], [-1.0, -1, 1])]
    )
    assert_close(roma.rotvec_to_rotmat(axis_angle_of(rotations)), rotations, atol=1e-6, rtol=0)


def test_the_axis_angle_of_the_identity_has_the_gradient_of_small_rotations():
    rotation = torch.eye(3, requires_grad=True)
    axis_angle_of(rotation)[2].backward()
    assert_close(rotation.grad, torch.tensor([[0.0, -0.5, 0], [0.5, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("angle", [-3.0, -1.0, 0.0, 0.5, 2.0, 3.1])
def test_heading_is_the_angle_that_the_upright_body_was_turned_by_however_it_leans(angle):
    upright = roma.rotvec_to_rotmat(torch.tensor([torch.pi / 2, 0, 0]))  # faces -y: heading -90 degrees
    turn = rotation_about_z(torch.tensor(angle + torch.pi / 2))
    assert_close(heading_of(turn @ upright), torch.tensor(angle))
    for lean in ([0.5, -0.3, 0.0], [0.0, 1.2, 0.0], [-2.0, 0.0, 0.0]):  # about horizontal axes
        swing = roma.rotvec_to_rotmat(torch.tensor(lean))
        assert_close(heading_of(swing @ turn @ upright), torch.tensor(angle), atol=1e-5, rtol=0)


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_motion_comes_back_from_its_features(make_clip, skeleton, seed):
    poses, trans = turning_clip(make_clip, skeleton, seed)
    motion = decode(encode(poses, trans, skeleton, 30.0)[None], skeleton, 30.0, plant_feet=False)
    # Features know neither place nor heading: the original is moved to the origin, heading 0.
    heading = heading_of(roma.rotvec_to_rotmat(poses[0, 0])).item()
    pelvis = skeleton.rest_joints[0]
    start = (trans[0] + pelvis) @ rotation_about_z(torch.tensor(-heading)).T
    shift = torch.tensor([-start[0], -start[1], 0.0])
    home_poses, home_trans = turned(poses, trans, skeleton, -heading, shift)
    assert_close(motion.trans[0], home_trans, atol=2e-5, rtol=0)
    rotations, wanted = roma.rotvec_to_rotmat(motion.poses[0]), roma.rotvec_to_rotmat(home_poses)
    assert_close(rotations[:, :22], wanted[:, :22], atol=2e-5, rtol=0)
    posed = forward_kinematics(rotations, motion.trans[0], skeleton)
    assert_close(motion.joints[0], posed.joints, atol=2e-5, rtol=0)
    assert_close(motion.soles[0], posed.soles, atol=2e-5, rtol=0)


def test_features_of_a_clip_walking_straight_ahead_are_what_they_say(make_clip, skeleton):
    features = features_of(make_clip(0, num_frames=20, speed=1.5), skeleton)  # faces and walks along -y, upright
    leg = skeleton.leg_length
    assert_close(features[:, HEIGHT], torch.full((20,), 0.95) / leg)
    assert_close(features[:, VELOCITY], torch.tensor([[1.5, 0.0]]).expand(20, 2) / leg, atol=1e-4, rtol=0)
    assert_close(features[:, HEADING_RATE], torch.zeros(20), atol=1e-5, rtol=0)


def test_one_frame_stands_still(make_clip, skeleton):
    features = features_of(make_clip(0, num_frames=1), skeleton)
    assert features.shape == (1, NUM_FEATURES)
    assert features[0, VELOCITY].tolist() == [0, 0]
    assert features[0, HEADING_RATE] == 0


@pytest.mark.parametrize("angle", [0.3, 2.0, 3.1, -2.5])
def test_features_do_not_know_place_and_heading(make_clip, skeleton, angle):
    poses, trans = turning_clip(make_clip, skeleton, seed=1)
    moved = turned(poses, trans, skeleton, angle, torch.tensor([3.0, -7.0, 0.0]))
    assert_close(encode(*moved, skeleton, 30.0), encode(poses, trans, skeleton, 30.0), atol=2e-4, rtol=0)


def test_a_turn_through_half_a_circle_has_no_jump_in_its_rate(make_clip, skeleton):
    poses, trans = tensors(make_clip(0, num_frames=40))
    turn = rotation_about_z(0.2 * torch.arange(40.0))  # passes +-180 degrees
    poses = torch.cat([roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(poses[:, 0]))[:, None], poses[:, 1:]], 1)
    assert_close(encode(poses, trans, skeleton, 30.0)[:, HEADING_RATE], torch.full((40,), 6.0), atol=1e-3, rtol=0)


def test_features_do_not_know_body_size(make_clip, stick_body):
    small, tall = (stick_body.skeleton(torch.tensor([scale] + 9 * [0.0])) for scale in (-1.0, 2.0))
    poses, trans = turning_clip(make_clip, small, seed=2)
    # The same motion by a body larger by 1.2 / 0.9: every distance grows, the pelvis' rest position with them.
    pelvis = trans + small.rest_joints[0]
    grown = pelvis * (1.2 / 0.9) - tall.rest_joints[0]
    assert_close(
        encode(poses, grown, tall, 30.0)[:, :136], encode(poses, trans, small, 30.0)[:, :136], atol=2e-4, rtol=0
    )


def test_features_stand_every_body_on_the_same_ground(stick_body):
    betas = torch.zeros(3, 10)
    betas[:, 0] = torch.tensor([-2.0, 0.0, 3.0])
    skeletons = stick_body.skeleton(betas)
    features = torch.zeros(1, 30, NUM_FEATURES)
    features[..., ROTATIONS] = rotation_6d(torch.eye(3)).repeat(22)
    features[..., :6] = torch.tensor([0.0, 1, 0, 0, 0, 1])  # the root upright: the rest body's x is left, its y is up
    features[..., HEIGHT] = 1.0
    features[..., CONTACTS] = 1.0
    motion = decode(features.expand(3, -1, -1), skeletons, 30.0)
    assert_close(motion.soles[..., 2], torch.zeros(3, 30, 4), atol=2e-3, rtol=0)
    assert_close(motion.joints[:, 0, 0, 2] / skeletons.leg_length, torch.ones(3), atol=3e-3, rtol=0)


# -- in the mirror -----------------------------------------------------------------------------------------------------


def reflected(points: Tensor, counterparts: tuple[int, ...]) -> Tensor:
    """Points seen in the mirror plane y = 0 of the heading frame, left and right names exchanged."""
    return points[..., list(counterparts), :] * torch.tensor([1.0, -1.0, 1.0])


def test_mirroring_twice_changes_nothing(make_clip, skeleton):
    features = encode(*turning_clip(make_clip, skeleton, seed=3), skeleton, 30.0)
    assert torch.equal(mirror(mirror(features)), features)
    assert not torch.allclose(mirror(features), features, atol=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_mirrored_features_are_the_geometric_mirror_image(make_clip, skeleton, seed):
    features = encode(*turning_clip(make_clip, skeleton, seed), skeleton, 30.0)[None]
    motion = decode(features, skeleton, 30.0, plant_feet=False)
    mirrored = decode(mirror(features), skeleton, 30.0, plant_feet=False)
    assert_close(mirrored.joints, reflected(motion.joints, MIRROR_JOINTS), atol=2e-5, rtol=0)
    assert_close(mirrored.soles, reflected(motion.soles, MIRROR_SOLE), atol=2e-5, rtol=0)
    assert_close(mirrored.contacts, motion.contacts[..., list(MIRROR_SOLE)])


def test_a_raised_left_hand_is_a_raised_right_hand_in_the_mirror(make_clip, skeleton):
    poses, trans = tensors(make_clip(0, num_frames=5))
    poses = torch.cat([poses[:, :1], torch.zeros(5, 23, 3)], 1)
    poses[:, JOINT["left_shoulder"]] = torch.tensor([0.0, 0.0, 1.4])  # from the T-pose up
    motion = decode(mirror(encode(poses, trans, skeleton, 30.0))[None], skeleton, 30.0)
    assert motion.joints[0, 0, JOINT["right_wrist"], 2] > motion.joints[0, 0, JOINT["head"], 2]
    assert motion.joints[0, 0, JOINT["left_wrist"], 2] < motion.joints[0, 0, JOINT["head"], 2]


# -- planted feet ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_foot_in_contact_does_not_move_though_the_features_say_so(make_clip, skeleton, seed):
    poses, trans = turning_clip(make_clip, skeleton, seed, num_frames=60)
    features = encode(poses, trans, skeleton, 30.0)[None].clone()
    features[..., CONTACTS] = 0
    features[0, :28, CONTACTS.start] = 1.5  # one point: two on a bending foot cannot both stand still
    features[0, 32:, CONTACTS.start + 3] = 1.5
    free = decode(features, skeleton, 30.0, plant_feet=False)
    planted = decode(features, skeleton, 30.0)
    for foot, span in ((0, slice(0, 28)), (3, slice(32, 60))):
        sliding = free.soles[0, span, foot, :2].diff(dim=0).norm(dim=-1).sum()
        standing = planted.soles[0, span, foot, :2].diff(dim=0).norm(dim=-1).sum()
        assert sliding > 0.3
        assert standing < 0.07 * sliding  # not 0: a low-pass over the steps keeps the body from trembling


def test_feet_in_contact_stand_on_the_ground_though_the_features_float(make_clip, skeleton):
    poses, trans = tensors(make_clip(1, num_frames=60))
    features = encode(poses, trans, skeleton, 30.0)[None].clone()
    features[..., HEIGHT] += 0.3  # of a leg: floating
    free = decode(features, skeleton, 30.0, plant_feet=False).soles[0, ..., 2]
    lowest = free.argmin(-1)
    features[0, :, CONTACTS] = 1.5 * torch.nn.functional.one_hot(lowest, 4)
    before, after = free.amin(-1), decode(features, skeleton, 30.0).soles[0, ..., 2].amin(-1)
    assert before.min() > 0.2
    # What is left is the gap's 0.1 s smoothing and a 5 % pull towards the features' own height.
    assert after.abs().max() < 0.15 * before.max()
    assert after.abs().mean() < 0.03


def test_soles_that_sink_in_are_lifted_out_and_the_rest_is_left(make_clip, skeleton):
    poses, trans = tensors(make_clip(1, num_frames=60))
    features = encode(poses, trans, skeleton, 30.0)[None].clone()
    features[..., CONTACTS] = -1.0  # no contact pulls at them
    lowest = decode(features, skeleton, 30.0, plant_feet=False).soles[0, ..., 2].amin(-1)
    dip = torch.zeros(60)
    dip[30:40] = 0.08
    features[0, :, HEIGHT] -= (lowest - 0.02 + dip) / skeleton.leg_length  # 2 cm above the ground, then 8 cm lower
    soles = decode(features, skeleton, 30.0).soles[0, ..., 2].amin(-1)
    assert soles.min() > -0.01
    assert soles[30:40].max() < 0.02
    assert_close(soles[:25], torch.full((25,), 0.02), atol=1e-3, rtol=0)


def test_without_contact_the_features_alone_say_where_the_body_is(make_clip, skeleton):
    features = encode(*turning_clip(make_clip, skeleton, seed=0), skeleton, 30.0)[None].clone()
    features[..., CONTACTS] = -1.0
    features[..., HEIGHT] += 1.0  # well above the ground
    free, planted = (decode(features, skeleton, 30.0, plant_feet=plant) for plant in (False, True))
    # Within what the low-pass over the steps takes off the corners of the path.
    assert_close(planted.joints, free.joints, atol=8e-3, rtol=0)


def test_a_jump_is_not_pulled_to_the_ground_by_the_feet_that_left_it(make_clip, skeleton):
    poses, trans = tensors(make_clip(0, num_frames=60, speed=0.0))
    time = torch.arange(60) / 30 - 1
    rise = (0.5 * 9.81 * (0.3**2 - time**2)).clamp(min=0)  # 0.44 m high, in the air from 0.7 to 1.3 s
    trans = trans + torch.nn.functional.pad(rise[:, None], (2, 0))
    motion = decode(encode(poses, trans, skeleton, 30.0)[None], skeleton, 30.0)
    height = motion.joints[0, :, 0, 2]
    assert (height[30] - height[:15].mean()).item() == pytest.approx(0.44, abs=0.03)


def test_every_gradient_through_planted_feet_is_finite(make_clip, skeleton):
    clips = [encode(*turning_clip(make_clip, skeleton, seed), skeleton, 30.0) for seed in range(2)]
    still = torch.zeros(50, NUM_FEATURES)  # all zeros: no rotation, no height, contacts at a half
    features = torch.stack([*clips, still]).requires_grad_()
    motion = decode(features, skeleton, 30.0)
    (motion_view(motion, 30.0).square().sum() + motion.joints.square().sum() + motion.poses.square().sum()).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert (features.grad[:2].abs().sum((0, 1)) > 0).all()  # and every feature counts


def test_a_batch_of_bodies_is_decoded_as_each_alone(make_clip, stick_body):
    betas = torch.zeros(2, 10)
    betas[:, 0] = torch.tensor([-1.0, 2.0])
    skeletons = stick_body.skeleton(betas)
    features = torch.stack(
        [encode(*tensors(make_clip(seed)), stick_body.skeleton(betas[0]), 30.0) for seed in range(2)]
    )
    together = decode(features, skeletons, 30.0)
    for row in range(2):
        alone = decode(features[row : row + 1], stick_body.skeleton(betas[row]), 30.0)
        assert_close(together.joints[row], alone.joints[0])
        assert_close(together.trans[row], alone.trans[0])


# -- what discriminators see -------------------------------------------------------------------------------------------


def test_the_view_holds_world_velocities_turned_into_the_frame_of_their_moment(make_clip, skeleton):
    poses, trans = turning_clip(make_clip, skeleton, seed=1)
    motion = decode(encode(poses, trans, skeleton, 30.0)[None], skeleton, 30.0)
    view = motion_view(motion, 30.0)
    assert view.shape == (1, 50, VIEW_CHANNELS)
    velocity = view[0, 1:, 132 + 78 : 132 + 78 + 66].unflatten(-1, (22, 3))
    world = motion.joints[0, :, :22].diff(dim=0) * 30
    local = (rotation_about_z(-motion.heading[0, 1:])[:, None] @ world[..., None]).squeeze(-1)
    assert_close(velocity, local, atol=1e-3, rtol=0)
    assert_close(view[0, 0, 210:276], view[0, 1, 210:276])  # frame 0 repeats frame 1
    assert_close(view[..., 132 : 132 + 66].unflatten(-1, (22, 3)), motion.local_joints[..., :22, :])
    assert_close(view[0, :, -5], torch.cat([motion.heading[0].diff()[:1], motion.heading[0].diff()]) * 30)
    assert_close(view[..., -4:], motion.contacts)


# -- statistics --------------------------------------------------------------------------------------------------------


def test_normalisation_is_undone_and_a_dead_channel_is_not_blown_up():
    frames = torch.tensor([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    statistics = Normalisation.of(frames, floor=0.1)
    assert statistics.mean.tolist() == [2.0, 5.0]
    assert_close(statistics.std, torch.tensor([2.0, 0.1]))
    assert_close(statistics.apply(frames)[:, 0], torch.tensor([-1.0, 0.0, 1.0]))
    assert_close(statistics.invert(statistics.apply(frames)), frames)
