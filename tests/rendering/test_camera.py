"""Cameras: where points fall in the picture, worked out by hand."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motiongan.rendering.camera import Camera, intrinsics_of, look_at


def camera(position, target, *, focal=100.0, width=80, height=60, roll=0.0) -> Camera:
    rotation, translation = look_at(torch.tensor([position]), torch.tensor([target]), roll)
    return Camera(intrinsics_of(focal, width, height)[None], rotation, translation, width, height)


def test_the_point_looked_at_falls_on_the_middle_of_the_picture_at_its_distance():
    pixels, depth = camera([0.0, -5.0, 1.0], [0.0, 0.0, 1.0]).project(torch.tensor([[[0.0, 0.0, 1.0]]]))
    assert_close(pixels, torch.tensor([[[40.0, 30.0]]]))
    assert_close(depth, torch.tensor([[5.0]]))


def test_right_is_right_and_up_is_up():
    # From the south looking north, east is right: 1 m east at 5 m and focal length 100 is 20 pixels to the right.
    pixels, _ = camera([0.0, -5.0, 1.0], [0.0, 0.0, 1.0]).project(torch.tensor([[[1.0, 0.0, 1.0], [0.0, 0.0, 2.0]]]))
    assert_close(pixels, torch.tensor([[[60.0, 30.0], [40.0, 10.0]]]))


def test_a_camera_rolled_clockwise_sees_the_world_turned_anticlockwise():
    pixels, _ = camera([0.0, -5.0, 1.0], [0.0, 0.0, 1.0], roll=np.pi / 2).project(torch.tensor([[[1.0, 0.0, 1.0]]]))
    assert_close(pixels, torch.tensor([[[40.0, 10.0]]]), atol=1e-4, rtol=0)  # what was right is now up


def test_points_behind_the_camera_have_a_negative_depth():
    _, depth = camera([0.0, -5.0, 1.0], [0.0, 0.0, 1.0]).project(torch.tensor([[[0.0, -7.0, 1.0]]]))
    assert_close(depth, torch.tensor([[-2.0]]))


@pytest.mark.parametrize("seed", range(3))
def test_unproject_undoes_project_with_skew_and_roll(seed):
    random = torch.Generator().manual_seed(seed)
    points = torch.randn(4, 7, 3, generator=random)
    position = torch.randn(4, 3, generator=random) + torch.tensor([0.0, -9.0, 2.0])
    rotation, translation = look_at(position, torch.zeros(4, 3), roll=0.3)
    intrinsics = torch.tensor([[110.0, 3.0, 33.0], [0.0, 95.0, 41.0], [0.0, 0.0, 1.0]]).expand(4, 3, 3)
    moving = Camera(intrinsics, rotation, translation, 64, 64)
    assert_close(moving.unproject(*moving.project(points)), points, atol=1e-4, rtol=1e-4)
    assert_close(moving.position, position, atol=1e-5, rtol=1e-5)
    assert_close(moving[1:3].position, position[1:3], atol=1e-5, rtol=1e-5)
