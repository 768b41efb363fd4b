"""Joint ranges, centre of mass and foot contact, on cases one can work out on paper."""

import math

import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.anatomy import (
    JOINT_RANGES,
    SEGMENTS,
    balance_gap,
    centre_of_mass,
    foot_contacts,
    joint_angles,
    joint_range_violation,
    off_balance,
    zero_moment_point,
)
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS


def pose(**degrees: tuple[float, float, float]) -> torch.Tensor:
    """Rotation matrices of a pose; each named joint a rotation vector in degrees."""
    vectors = torch.zeros(24, 3)
    for name, vector in degrees.items():
        vectors[JOINT[name]] = torch.deg2rad(torch.tensor(vector))
    return roma.rotvec_to_rotmat(vectors)


def both(name: str, x: float, y: float, z: float) -> dict[str, tuple[float, float, float]]:
    return {f"left_{name}": (x, y, z), f"right_{name}": (x, -y, -z)}


def test_the_t_pose_is_within_all_ranges_with_no_gradient():
    rotations = pose().expand(2, 5, 24, 3, 3).clone().requires_grad_()
    violation = joint_range_violation(rotations)
    assert violation.shape == (2, 5, 24)
    assert (violation == 0).all()
    violation.sum().backward()
    assert (rotations.grad == 0).all()


@pytest.mark.parametrize(
    "ordinary",
    [
        both("shoulder", 0, 0, -85),  # arms hanging
        both("shoulder", 0, 0, 60) | both("collar", 0, 0, 30),  # overhead
        both("shoulder", 0, -95, 0),  # stretched forward
        both("shoulder", -90, 0, 0) | both("elbow", 0, -90, 0),  # hands up
        both("shoulder", 60, 0, -45) | both("elbow", 0, -90, 0),  # hands on the hips
        both("hip", -95, 0, 0) | both("knee", 95, 0, 0),  # sitting
        both("hip", -115, 15, 20) | both("knee", 140, 0, 0) | both("ankle", -30, 0, 0),  # deep squat
        {"left_hip": (-80, 0, 0), "right_hip": (25, 0, 0), "right_foot": (-60, 0, 0)},  # lunge
        {"spine1": (30, 10, 0), "spine2": (30, 10, 0), "spine3": (20, 10, 0), "head": (-30, 40, 0)},  # bent forward
    ],
)
def test_what_everybody_can_do_is_within_the_ranges(ordinary):
    assert joint_range_violation(pose(**ordinary)).max() == 0


@pytest.mark.parametrize(
    ("joint", "vector", "outside"),
    [
        ("knee", (-40.0, 0.0, 0.0), 25.0),  # bent forward by 40, 15 are allowed
        ("knee", (0.0, 0.0, 32.0), 20.0),  # sideways by 32, 12 are allowed
        ("elbow", (0.0, 40.0, 0.0), 24.0),  # bent back
        ("hip", (70.0, 0.0, 0.0), 30.0),  # thigh backwards
        ("ankle", (-60.0, 0.0, 0.0), 18.0),
        ("wrist", (0.0, -45.0, 0.0), 10.0),
        ("foot", (0.0, 0.0, 40.0), 25.0),  # a twist about its own bone
    ],
)
def test_the_violation_is_the_angle_beyond_the_range_on_both_sides(joint, vector, outside):
    x, y, z = vector
    for side, mirrored in (("left", vector), ("right", (x, -y, -z))):
        violation = joint_range_violation(pose(**{f"{side}_{joint}": mirrored}))
        assert math.degrees(violation[JOINT[f"{side}_{joint}"]]) == pytest.approx(outside, abs=1e-3)
        assert violation.count_nonzero() == 1


def test_the_mirrored_pose_violates_the_mirrored_ranges_alike():
    vectors = torch.randn(200, 24, 3, generator=torch.Generator().manual_seed(0))
    mirrored = (vectors * torch.tensor([1.0, -1.0, -1.0]))[:, list(MIRROR_JOINTS)]
    violation = joint_range_violation(roma.rotvec_to_rotmat(vectors))
    assert (violation > 0).any(0)[1:22].all()
    assert_close(
        joint_range_violation(roma.rotvec_to_rotmat(mirrored)), violation[:, list(MIRROR_JOINTS)], atol=2e-4, rtol=0
    )


def test_swing_and_twist_put_the_rotation_together_again():
    rotations = roma.rotvec_to_rotmat(torch.randn(300, 24, 3, generator=torch.Generator().manual_seed(1)).double())
    angles = joint_angles(rotations)
    for name, limits in JOINT_RANGES.items():
        axis = "xyz".index(limits.axis)
        twist, swing = torch.zeros(300, 3).double(), angles[:, JOINT[name]].clone()
        twist[:, axis] = swing[:, axis]
        swing[:, axis] = 0
        twist, swing = roma.rotvec_to_rotmat(twist), roma.rotvec_to_rotmat(swing)
        expected = twist @ swing if limits.in_child else swing @ twist
        assert_close(rotations[:, JOINT[name]], expected, atol=1e-5, rtol=0)


def test_gradients_of_the_violation_are_finite_even_where_a_bone_points_backwards():
    rotations = torch.stack([pose(left_knee=(180, 0, 0)), pose(left_shoulder=(0, 180, 0)), pose(spine1=(0, 180, 0))])
    rotations.requires_grad_()
    joint_range_violation(rotations).sum().backward()
    assert torch.isfinite(rotations.grad).all()


def test_segment_masses_make_up_the_body_and_the_centre_moves_with_it():
    assert sum(segment.mass for segment in SEGMENTS) == pytest.approx(1, abs=2e-3)
    joints = torch.randn(3, 7, 24, 3, generator=torch.Generator().manual_seed(2))
    shift = torch.tensor([1.0, -2.0, 3.0])
    assert_close(centre_of_mass(joints + shift), centre_of_mass(joints) + shift, atol=1e-5, rtol=0)


def test_the_arms_share_of_the_mass_carries_the_centre_along():
    """Both arms moved by 1 m: upper arm, forearm and hand are 2 x (2.63 + 1.50 + 0.585) % of the body (de Leva)."""
    joints = torch.zeros(24, 3)
    moved = joints.clone()
    for name in ("shoulder", "elbow", "wrist", "hand"):
        for side in ("left", "right"):
            moved[JOINT[f"{side}_{name}"], 0] = 1.0
    assert centre_of_mass(moved)[0].item() == pytest.approx(0.0943, abs=5e-4)


def standing_feet(frames: int = 12) -> torch.Tensor:
    soles = torch.zeros(frames, 4, 3)
    soles[:, :, 0] = torch.arange(4.0)
    return soles


def standing(frames: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """A centre of mass at 1 m between two feet along y, 0.2 m long and 0.3 m apart: heels and balls."""
    soles = torch.tensor([[0.15, 0.0, 0.0], [-0.15, 0.0, 0.0], [0.15, 0.2, 0.0], [-0.15, 0.2, 0.0]])
    return torch.tensor([0.0, 0.1, 1.0]).repeat(frames, 1), soles.repeat(frames, 1, 1)


KNOWN = slice(3, -3)  # at 30 Hz the accelerations of the first and last three of 12 frames are not


def lean(centre: torch.Tensor, soles: torch.Tensor) -> torch.Tensor:
    distance, counts = off_balance(centre, soles, 30.0)
    assert counts.tolist() == [False] * 3 + [True] * 6 + [False] * 3
    assert distance[~counts].max() == 0
    return distance[KNOWN]


def test_the_force_acts_below_a_body_that_stands_and_beyond_one_that_sways():
    centre, _ = standing(31)
    point, load = zero_moment_point(centre, 30.0)
    assert_close(point, centre[:, :2])
    assert_close(load, torch.ones(31))
    seconds = torch.arange(31) / 30
    swaying = centre.clone()
    swaying[:, 0] = 0.02 * torch.cos(2 * math.pi * 1.5 * seconds)
    # Differences over 0.1 s see less of a sway than there is: 2 (1 - cos(w T)) / T^2 for w^2.
    squared = 2 * (1 - math.cos(2 * math.pi * 1.5 * 0.1)) / 0.1**2
    point, _ = zero_moment_point(swaying, 30.0)
    assert_close(point[3:-3, 0], swaying[3:-3, 0] * (1 + squared / 9.81))
    assert point[:, 0].max() > 0.18


def test_a_body_in_free_fall_bears_on_nothing_and_one_that_pushes_off_on_more_than_its_weight():
    seconds = torch.arange(20)[:, None] / 30
    for acceleration, load in ((-9.81, 0.0), (9.81, 2.0)):
        path = torch.tensor([0.0, 0.0, 1.0]) + torch.tensor([1.0, 0.0, acceleration / 2]) * torch.cat(
            [seconds, seconds, seconds**2], 1
        )
        point, carries = zero_moment_point(path, 30.0)
        assert_close(carries, torch.full((20,), load), atol=1e-3, rtol=0)
        assert_close(point, path[:, :2], atol=1e-3, rtol=0)


def test_a_body_is_off_balance_by_its_way_to_the_feet_beyond_a_shoes_rim():
    centre, soles = standing()
    assert lean(centre, soles).max() == 0
    ahead = centre + torch.tensor([0.0, 0.3, 0.0])  # at y = 0.4, the balls at 0.2
    assert_close(lean(ahead, soles), torch.full((6,), 0.2 - 0.07), atol=1e-4, rtol=0)
    aside = centre + torch.tensor([0.25, 0.0, 0.0])  # 0.1 m outside the left foot
    assert_close(lean(aside, soles), torch.full((6,), 0.1 - 0.07), atol=1e-4, rtol=0)


def test_who_gathers_speed_leans_ahead_of_the_feet_and_who_does_not_may_not():
    centre, soles = standing()
    seconds = torch.arange(12) / 30
    centre[:, 1] = 0.1 + 0.5 * 3.0 * seconds**2  # 3 m/s^2: the force acts 0.31 m behind
    soles[..., 1] += 0.5 * 3.0 * seconds[:, None] ** 2  # on feet that stay below
    assert_close(lean(centre, soles), torch.full((6,), 3.0 / 9.81 - 0.1 - 0.07), atol=1e-3, rtol=0)
    centre[:, 1] += 3.0 / 9.81
    assert lean(centre, soles).max() < 1e-3


def test_on_one_foot_the_middle_between_both_is_off_balance():
    centre, soles = standing()
    soles[:, [1, 3], 2] = 0.2  # the right foot
    assert_close(lean(centre, soles), torch.full((6,), 0.15 - 0.07), atol=1e-4, rtol=0)
    soles[:, 2, 2] = 0.1  # and the left one on its heel, 0.1 m behind
    assert_close(lean(centre, soles), torch.full((6,), math.hypot(0.15, 0.1) - 0.07), atol=1e-4, rtol=0)


def test_who_flies_or_hangs_may_be_anywhere():
    centre, soles = standing()
    centre[:, 1] += 1.0
    falling = centre - 0.5 * 9.81 * (torch.arange(12)[:, None] / 30) ** 2 * torch.tensor([0.0, 0.0, 1.0])
    for distance, counts in (off_balance(falling, soles, 30.0), off_balance(centre, soles + 0.05, 30.0)):
        assert not counts.any()
        assert distance.max() == 0


def test_what_comes_after_the_end_of_a_clip_and_clips_too_short_to_tell_do_not_count():
    centre, soles = standing(20)
    centre[:, 0] += 0.25
    mask = torch.arange(20) < 12
    filled = centre.clone()
    filled[12:] = 50.0
    for measure in (lambda *clip: off_balance(*clip)[0], balance_gap):
        assert_close(measure(filled, soles, 30.0, mask)[:12], measure(centre[:12], soles[:12], 30.0))
        assert measure(filled, soles, 30.0, mask)[9:].max() == 0
    for frames in range(1, 7):
        assert not off_balance(centre[:frames], soles[:frames], 30.0)[1].any()


def test_leaning_out_pulls_back_over_the_feet_with_a_finite_gradient_everywhere():
    centre, soles = standing()
    soles[:, 1] = soles[:, 3]  # heel and ball in one place
    soles[6:, :, 2] = 1.0  # and no foot on the ground
    centre[:, 1] += 0.5
    centre.requires_grad_()
    soles.requires_grad_()
    off_balance(centre, soles, 30.0)[0].sum().backward()
    assert_close(centre.grad[:, 1].sum(), torch.tensor(3.0))  # of the three frames that count, whatever moves them
    assert soles.grad.isfinite().all()


def test_the_balance_gap_is_a_hovering_foots_height_where_that_is_less_than_the_way_over_the_other():
    centre, soles = standing()
    assert balance_gap(centre, soles, 30.0).max() == 0
    soles[:, [1, 3], 2] = 0.09  # the right foot hovers; the left one is 0.15 m beside the centre of mass
    assert_close(balance_gap(centre, soles, 30.0)[KNOWN], torch.full((6,), 0.09 - 0.02), atol=1e-4, rtol=0)
    soles[:, [1, 3], 2] = 0.5  # a kick: cheaper over the left foot
    assert_close(balance_gap(centre, soles, 30.0), off_balance(centre, soles, 30.0)[0])
    assert_close(balance_gap(centre, soles, 30.0)[KNOWN], torch.full((6,), 0.15 - 0.07), atol=1e-4, rtol=0)
    ahead = centre + torch.tensor([0.0, 0.3, 0.0])
    assert_close(balance_gap(ahead, standing()[1], 30.0)[KNOWN], torch.full((6,), 0.2 - 0.07), atol=1e-4, rtol=0)


def test_the_balance_gap_pulls_a_hovering_foot_down():
    centre, soles = standing()
    soles[:, [1, 3], 2] = torch.tensor([0.08, 0.09])
    soles.requires_grad_()
    balance_gap(centre, soles, 30.0).sum().backward()
    pulled = soles.grad[KNOWN][:, [1, 3], 2]
    assert (pulled.sum(1) == 1).all()
    assert (soles.grad[:, [0, 2]] == 0).all()
    flying = soles.detach() + torch.tensor([0.0, 0.0, 0.1])
    assert balance_gap(centre, flying, 30.0).max() == 0


def test_a_foot_touches_while_it_is_low_and_rests():
    soles = standing_feet()
    soles[5:, 0, 2] += 0.10  # the left heel rises and stays up
    soles[:, 1, 0] += 0.5 / 30 * torch.arange(12)  # the right heel slides at 0.5 m/s
    soles[:, 2, 0] += 0.1 / 30 * torch.arange(12)  # the left ball creeps at 0.1 m/s
    contacts = foot_contacts(soles, 30.0)
    assert contacts[:5, 0].all()
    assert not contacts[5:, 0].any()
    assert not contacts[:, 1].any()
    assert contacts[:, 2:].all()


def test_landing_and_leaving_frames_belong_to_the_contact():
    soles = standing_feet()
    soles[:, 0, 0] = torch.tensor([-1.2, -0.9, -0.6, -0.3, 0, 0, 0, 0.3, 0.6, 0.9, 1.2, 1.5])  # 9 m/s, never high
    assert foot_contacts(soles, 30.0)[:, 0].tolist() == [frame in (4, 5, 6) for frame in range(12)]


def test_contacts_take_any_batch_and_depend_on_the_frame_rate():
    soles = standing_feet()
    soles[:, :, 0] += 0.004 * torch.arange(12.0)[:, None]  # 4 mm a frame
    batch = soles.expand(2, 3, 12, 4, 3)
    assert foot_contacts(batch, 30.0).shape == (2, 3, 12, 4)
    assert foot_contacts(batch, 30.0).all()  # 0.12 m/s
    assert not foot_contacts(batch, 120.0).any()  # 0.48 m/s
    assert foot_contacts(soles[:1], 30.0).all()
