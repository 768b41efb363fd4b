"""The leg's inverse kinematics against forward kinematics and the law of cosines."""

import math

import numpy as np
import pytest
import torch

from motiongan.body.legs import about_x, foot_angles, foot_rotation, knee_angle, shortest_turn, turn


def test_the_knee_of_an_equal_sided_leg_follows_the_law_of_cosines():
    thigh = shin = torch.tensor([0.0, -0.4, 0.0], dtype=torch.float64)
    distance = torch.tensor([0.4, 0.4 * math.sqrt(2), 0.4 * math.sqrt(3)], dtype=torch.float64)
    # A distance of one bone is an equilateral triangle: inner angle 60, flexion 120 degrees; then 90 and 60.
    flexion = torch.rad2deg(knee_angle(thigh, shin, distance))
    torch.testing.assert_close(flexion, torch.tensor([120.0, 90.0, 60.0], dtype=torch.float64))


def test_the_ankle_comes_to_the_wanted_distance_for_any_bones():
    random = np.random.default_rng(0)
    thigh = torch.from_numpy(random.normal((0.02, -0.4, 0.01), 0.02, (50, 3)))
    shin = torch.from_numpy(random.normal((0.0, -0.4, -0.03), 0.02, (50, 3)))
    distance = torch.from_numpy(random.uniform(0.25, 0.74, 50))
    flexed = about_x(knee_angle(thigh, shin, distance))
    torch.testing.assert_close((thigh + turn(flexed, shin)).norm(dim=-1), distance)


def test_a_target_out_of_reach_leaves_the_knee_almost_straight():
    bone = torch.tensor([0.0, -0.4, 0.0])
    assert math.degrees(knee_angle(bone, bone, torch.tensor(2.0))) == pytest.approx(2)


def test_the_shortest_turn_takes_one_direction_to_the_other():
    random = np.random.default_rng(1)
    start, end = torch.from_numpy(random.normal(size=(2, 100, 3)))
    turned = turn(shortest_turn(start, end), start / start.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(turned, end / end.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(shortest_turn(start, 2 * start), torch.eye(3).double().expand(100, 3, 3))


def test_foot_angles_survive_the_rotation_and_mean_what_they_say():
    random = np.random.default_rng(2)
    yaw, roll, pitch = (random.uniform(-limit, limit, 200) for limit in (3.1, 1.2, 3.1))
    for found, given in zip(foot_angles(foot_rotation(yaw, roll, pitch)), (yaw, roll, pitch)):
        np.testing.assert_allclose(found, given, atol=1e-9)
    toes = foot_rotation(np.zeros(1), np.zeros(1), np.full(1, math.pi / 6))[0, :, 2]  # the rest foot points along Z
    np.testing.assert_allclose(toes, [0, -math.cos(math.pi / 6), 0.5], atol=1e-9)  # ahead is -y; toes up by 30 degrees
