import math

import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.flesh import CAPSULES, GIVE, PAIRS, self_penetration
from motiongan.body.skeleton import JOINT
from motiongan.losses.kinematic import (
    GRAVITY,
    KinematicWeights,
    contact_consistency_loss,
    flight_loss,
    floating_loss,
    foot_skate_loss,
    ground_clearance,
    jerk,
    joint_range_loss,
    kinematic_losses,
    off_balance_loss,
    penetration_loss,
    self_penetration_loss,
    smoothness_loss,
)

FRAME_RATE = 20.0


def all_valid(batch: int, frames: int) -> torch.Tensor:
    return torch.ones(batch, frames, dtype=torch.bool)


def standing_soles(batch: int = 1, frames: int = 8) -> torch.Tensor:
    """Four points at rest on the ground, 20 cm apart."""
    soles = torch.zeros(batch, frames, 4, 3)
    soles[..., 0] = 0.2 * torch.arange(4)
    return soles


def free_fall(frames: int, frame_rate: float, rise: float = 3.0, forward: float = 2.0) -> torch.Tensor:
    """(1, frames, 3) centre of mass on a parabola."""
    time = torch.arange(frames) / frame_rate
    return torch.stack([forward * time, torch.zeros(frames), 1 + rise * time - GRAVITY / 2 * time**2], -1)[None]


def person(batch: int = 1, frames: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Identity rotations, made-up joints well above the ground, and standing soles; nothing moves."""
    rotations = torch.eye(3).expand(batch, frames, 24, 3, 3).clone()
    joints = torch.rand(24, 3, generator=torch.Generator().manual_seed(0)).expand(batch, frames, 24, 3) + 0.5
    return rotations, joints.clone(), standing_soles(batch, frames)


# joint range


def test_the_rest_pose_is_within_its_ranges():
    rotations, _, _ = person()
    assert joint_range_loss(rotations, all_valid(1, 8)).item() == 0


def test_a_knee_bent_forwards_costs_its_excess_and_bent_backwards_nothing():
    def bent(angle: float) -> torch.Tensor:
        rotations = torch.eye(3).expand(1, 4, 24, 3, 3).clone()
        # SMPL's knee flexes about +X at rest: the shank goes back.
        rotations[:, :, JOINT["left_knee"]] = roma.rotvec_to_rotmat(torch.tensor([angle, 0.0, 0.0]))
        return rotations

    mask = all_valid(1, 4)
    assert joint_range_loss(bent(1.5), mask).item() == 0
    forwards, further = joint_range_loss(bent(-0.8), mask), joint_range_loss(bent(-1.0), mask)
    assert forwards > 0.3
    assert_close(further - forwards, torch.tensor(0.2), atol=1e-4, rtol=0)  # radian for radian, summed over joints


# foot skate


def test_standing_feet_do_not_skate():
    assert foot_skate_loss(standing_soles(), all_valid(1, 8), FRAME_RATE).item() == 0


def test_foot_skate_is_the_mean_saturated_excess_speed_of_the_standing_points():
    soles = standing_soles()
    soles[0, :, 0, 1] = 0.05 * torch.arange(8)  # one of four points slides 5 cm a frame: 1 m/s, 0.7 over the tolerance
    slide = 0.7 * (1 - math.exp(-1))
    assert_close(foot_skate_loss(soles, all_valid(1, 8), FRAME_RATE), torch.tensor(slide / 4))
    soles[0, :, 0, 2] = 0.2  # lifted: now it swings
    assert foot_skate_loss(soles, all_valid(1, 8), FRAME_RATE).item() == 0
    soles[0, :, 0, 2] = 0.02  # half way up the ramp: it counts half, and the mean is over 3.5 points
    assert_close(foot_skate_loss(soles, all_valid(1, 8), FRAME_RATE), torch.tensor(0.5 * slide / 3.5))


def test_a_small_slide_costs_its_speed_and_a_swing_hardly_pulls():
    soles = standing_soles()
    soles[0, :, :, 1] = 0.016 * torch.arange(8)[:, None]  # 0.32 m/s
    assert_close(foot_skate_loss(soles, all_valid(1, 8), FRAME_RATE), torch.tensor(0.02), atol=5e-4, rtol=0)

    def pull(speed: float) -> float:
        moving = standing_soles()
        moving[0, :, 0, 1] = speed / FRAME_RATE * torch.arange(8)
        moving.requires_grad_()
        foot_skate_loss(moving, all_valid(1, 8), FRAME_RATE).backward()
        assert moving.grad is not None
        return moving.grad[0, -1, 0, 1].item()

    assert pull(4.0) < 0.02 * pull(0.4)


def test_foot_skate_cannot_be_lowered_by_lifting_the_foot():
    soles = standing_soles()
    soles[0, :, 0, 1] = 0.1 * torch.arange(8)
    soles[..., 2] = 0.02
    soles.requires_grad_()
    foot_skate_loss(soles, all_valid(1, 8), FRAME_RATE).backward()
    assert soles.grad is not None
    assert soles.grad[..., 2].abs().max() == 0
    assert soles.grad[..., 1].abs().max() > 0


# penetration


def test_penetration_counts_metres_below_the_tolerance():
    soles = standing_soles()
    assert penetration_loss(soles, all_valid(1, 8)).item() == 0
    soles[:, :, 1, 2] = -0.025  # 2 cm beyond 5 mm, one point of four
    soles[:, :, 2, 2] = -0.004  # within
    assert_close(penetration_loss(soles, all_valid(1, 8)), torch.tensor(0.02 / 4))


# flight and floating


def test_a_parabola_in_the_air_passes_flight_and_floating():
    mass_centre = free_fall(12, 30.0).double()
    clearance = mass_centre[..., 2] - 0.8
    mask = all_valid(1, 12)
    assert flight_loss(mass_centre, clearance, mask, 30.0).item() == pytest.approx(0, abs=1e-3)
    assert floating_loss(mass_centre, clearance, mask, 30.0).item() == pytest.approx(0, abs=1e-4)


def test_hanging_still_in_the_air_costs_one_g_and_its_height():
    mass_centre = torch.tensor([0.0, 0.0, 1.2]).expand(1, 10, 3)
    clearance = torch.full((1, 10), 0.23)
    mask = all_valid(1, 10)
    assert_close(flight_loss(mass_centre, clearance, mask, 30.0), torch.tensor(GRAVITY))
    assert_close(floating_loss(mass_centre, clearance, mask, 30.0), torch.tensor(0.2))  # above 3 cm


def test_half_the_clip_in_the_air_costs_half():
    mass_centre = torch.tensor([0.0, 0.0, 1.2]).expand(1, 12, 3)
    clearance = torch.zeros(1, 12)
    clearance[:, :7] = 0.5  # frames 1-5 have neighbours in the air: 5 of 10
    assert_close(flight_loss(mass_centre, clearance, all_valid(1, 12), 30.0), torch.tensor(GRAVITY / 2))


def test_on_the_ground_gravity_is_nobodys_business():
    mass_centre = torch.rand(1, 10, 3, generator=torch.Generator().manual_seed(1))
    mask = all_valid(1, 10)
    assert flight_loss(mass_centre, torch.zeros(1, 10), mask, 30.0).item() == 0
    assert floating_loss(mass_centre, torch.zeros(1, 10), mask, 30.0).item() == 0


def test_a_wall_may_carry_a_climber():
    mass_centre = torch.tensor([0.0, 0.0, 1.2]).expand(2, 10, 3)
    clearance = torch.full((2, 10), 0.5)
    grounded = torch.tensor([1.0, 0.0])
    both = flight_loss(mass_centre, clearance, all_valid(2, 10), 30.0)
    assert_close(flight_loss(mass_centre, clearance, all_valid(2, 10), 30.0, grounded), both / 2)
    assert_close(floating_loss(mass_centre, clearance, all_valid(2, 10), 30.0, grounded), torch.tensor(0.47 / 2))


def test_leaning_out_costs_its_metres_in_the_share_of_the_frames_and_not_on_a_wall():
    mass_centre = torch.tensor([0.0, 0.0, 1.0]).repeat(2, 10, 1)
    mass_centre[..., 0] = 0.37  # 0.3 m out of the shoes; of ten frames the acceleration is known in six
    soles = torch.zeros(2, 10, 4, 3)
    loss = off_balance_loss(mass_centre, soles, all_valid(2, 10), FRAME_RATE)
    assert_close(loss, torch.tensor(0.3 * 6 / 10), atol=1e-4, rtol=0)
    half = off_balance_loss(mass_centre, soles, all_valid(2, 10), FRAME_RATE, torch.tensor([1.0, 0.0]))
    assert_close(half, loss / 2)


def test_parts_within_each_other_cost_their_metres_summed_over_the_pairs_in_the_share_of_the_frames():
    apart = 100 * torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    joints = apart.repeat(1, 10, 1, 1)
    for name, place in (
        ("left_elbow", [0.0, -0.3, 1.0]),
        ("left_wrist", [0.0, -0.02, 1.0]),  # 2 cm from the axis of the right thigh
        ("left_hand", [0.0, -0.3, 1.1]),
        ("right_hip", [-0.2, 0.0, 1.0]),
        ("right_knee", [0.2, 0.0, 1.0]),
    ):
        joints[0, :4, JOINT[name]] = torch.tensor(place)
    room = CAPSULES["left_forearm"].radius + CAPSULES["right_thigh"].radius - GIVE
    mask = all_valid(1, 10)
    mask[:, 8:] = False  # four of ten frames; two of the four valid ones of every second
    found = self_penetration(joints[0, 0])
    pairs = {PAIRS[number] for number in found.nonzero()[:, 0].tolist()}
    assert {("left_forearm", "right_thigh"), ("left_hand", "right_thigh")} <= pairs
    loss = self_penetration_loss(joints, mask)
    assert_close(loss, found.sum() * 2 / 4)
    assert_close(found[PAIRS.index(("left_forearm", "right_thigh"))], torch.tensor(room - 0.02), atol=1e-5, rtol=0)


def test_floating_pulls_the_body_down_and_a_jump_does_not():
    clearance = torch.full((1, 10), 0.2, requires_grad=True)
    still = torch.tensor([0.0, 0.0, 1.2]).expand(1, 10, 3)
    floating_loss(still, clearance, all_valid(1, 10), 30.0).backward()
    assert clearance.grad is not None
    assert_close(clearance.grad[0, 1:-1], torch.full((8,), 1 / 8))


def test_a_handstand_is_supported_by_its_hands():
    joints = torch.full((24, 3), 1.0)
    soles = torch.full((4, 3), 1.8)
    assert ground_clearance(joints, soles) > 0.8
    joints[JOINT["right_hand"], 2] = 0.03
    assert_close(ground_clearance(joints, soles), torch.tensor(0.0), atol=1e-6, rtol=0)


# smoothness


def test_jerk_of_a_cubic_is_six_times_its_coefficient():
    time = torch.arange(10, dtype=torch.float64) / FRAME_RATE
    joints = torch.stack([2 * time**3, 5 * time**2, 7 * time + 1], -1)[None, :, None, :]
    assert_close(jerk(joints, FRAME_RATE), torch.full((1, 7, 1), 12.0, dtype=torch.float64))


def test_smoothness_counts_multiples_of_each_joints_own_limit():
    time = torch.arange(10, dtype=torch.float64) / FRAME_RATE
    cubic = torch.stack([2 * time**3, 0 * time, 0 * time], -1)
    joints = torch.stack([cubic, cubic], 1)[None]  # both joints have 12 m/s^3
    limit = torch.tensor([4.0, 24.0], dtype=torch.float64)  # one is at three times its limit, one at half
    mask = all_valid(1, 10)
    assert_close(smoothness_loss(joints, mask, FRAME_RATE, limit), torch.tensor(1.0, dtype=torch.float64))


# contact consistency


def test_flags_that_agree_with_standing_feet_cost_nothing():
    ones = torch.ones(1, 8, 4)
    assert contact_consistency_loss(ones, standing_soles(), all_valid(1, 8), FRAME_RATE).item() == 0


def test_unflagged_standing_feet_cost_one_per_flag_and_learn_to_be_flagged():
    flags = torch.zeros(1, 8, 4, requires_grad=True)
    loss = contact_consistency_loss(flags, standing_soles(), all_valid(1, 8), FRAME_RATE)
    assert_close(loss.detach(), torch.tensor(1.0))
    loss.backward()
    assert flags.grad is not None
    assert (flags.grad < 0).all()


def test_a_flagged_foot_in_the_air_is_pulled_down_and_its_flag_too():
    soles = standing_soles()
    soles[..., 2] = 0.24  # 20 cm over the contact height: 2 tens of centimetres, and every flag is wrong
    soles.requires_grad_()
    flags = torch.ones(1, 8, 4, requires_grad=True)
    loss = contact_consistency_loss(flags, soles, all_valid(1, 8), FRAME_RATE)
    assert_close(loss.detach(), torch.tensor(1.0 + 2.0))
    loss.backward()
    assert soles.grad is not None
    assert flags.grad is not None
    assert (soles.grad[..., 2] > 0).all()
    assert (flags.grad > 0).all()


# all together


def test_padding_changes_nothing():
    generator = torch.Generator().manual_seed(3)
    _, joints, soles = person(1, 10)
    joints = joints + 0.05 * torch.randn(joints.shape, generator=generator)
    soles = soles + 0.05 * torch.randn(soles.shape, generator=generator)
    rotations = roma.rotvec_to_rotmat(torch.randn(1, 10, 24, 3, generator=generator))
    contacts = torch.rand(1, 10, 4, generator=generator)
    settings = {"frame_rate": 30.0, "jerk_limit": torch.full((24,), 100.0), "weights": KinematicWeights()}
    short = kinematic_losses(rotations, joints, soles, contacts, all_valid(1, 10), **settings)

    def padded(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values, 50 * torch.ones_like(values[:, :5])], 1)

    mask = torch.arange(15)[None] < 10
    long = kinematic_losses(padded(rotations), padded(joints), padded(soles), padded(contacts), mask, **settings)
    assert set(short) == set(vars(KinematicWeights()))
    assert all(value > 0 for name, value in short.items() if name not in ("floating", "flight"))
    for name, value in short.items():
        # The contact target of the last valid frame may look at its neighbour; all else must be equal.
        assert_close(long[name], value, msg=name)


def test_a_term_is_computed_only_if_its_weight_is_not_zero():
    rotations, joints, soles = person()
    weights = KinematicWeights(
        joint_range=0.0,
        penetration=3.0,
        floating=0.0,
        flight=0.0,
        off_balance=0.0,
        self_penetration=0.0,
        smoothness=0.0,
    )
    losses = kinematic_losses(
        rotations,
        joints,
        soles - torch.tensor([0.0, 0.0, 0.105]),
        torch.ones(1, 8, 4),
        all_valid(1, 8),
        frame_rate=30.0,
        jerk_limit=torch.ones(24),
        weights=weights,
    )
    assert set(losses) == {"foot_skate", "penetration", "contact_consistency"}
    assert_close(weights.total({"penetration": losses["penetration"]}), torch.tensor(0.3))  # 3 per metre x 10 cm


@pytest.mark.parametrize("name", sorted(vars(KinematicWeights())))
def test_gradients_are_finite_where_nothing_moves(name: str):
    rotations, joints, soles = (values.requires_grad_() for values in person())
    contacts = torch.full((1, 8, 4), 0.5, requires_grad=True)
    off = dict.fromkeys(vars(KinematicWeights()), 0.0)
    losses = kinematic_losses(
        rotations,
        joints,
        soles,
        contacts,
        all_valid(1, 8),
        frame_rate=30.0,
        jerk_limit=torch.ones(24),
        weights=KinematicWeights(**{**off, name: 1.0}),
    )
    assert set(losses) == {name}
    losses[name].backward()
    for values in (rotations, joints, soles, contacts):
        assert values.grad is None or torch.isfinite(values.grad).all()
    assert math.isfinite(losses[name].item())
