"""Random cameras: where they stand, what they see, how they follow, and projection with its gradients."""

import math
import re

import pytest
import torch
from torch.testing import assert_close

from motiongan.augmentation.cameras import CameraSampler, outside, project, screen_coordinates
from motiongan.rendering.camera import Camera

STILL, PANS, TRAVELS = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def walk(batch: int = 4, frames: int = 20, seed: int = 0) -> torch.Tensor:
    """Points within half a metre of a person who walks two metres along x."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(batch, frames, 5, 3, generator=generator) - 0.5
    path = torch.linspace(0, 2, frames)[:, None] * torch.tensor([1.0, 0.0, 0.0]) + torch.tensor([0.0, 0.0, 1.0])
    return points + path[:, None]


def draw(sampler: CameraSampler, points: torch.Tensor, seed: int = 0) -> Camera:
    return sampler.sample(points, generator=torch.Generator().manual_seed(seed))


def one(**settings: object) -> CameraSampler:
    """A camera of no chance at all: 5 m away along +x, at the height of what it sees."""
    exact = {"azimuth": (0.0, 0.0), "elevation": (0.0, 0.0), "distance": (5.0, 5.0), "focal_length": (1.0, 1.0)}
    return CameraSampler(**{**exact, "roll": (0.0, 0.0), "aim": 0.0, "follow": STILL, "fill": None, **settings})


def test_a_camera_stands_where_azimuth_elevation_and_distance_say():
    points = torch.zeros(1, 3, 1, 3) + torch.tensor([1.0, 2.0, 1.5])
    quarter = math.pi / 2
    camera = draw(one(azimuth=(quarter, quarter), elevation=(math.pi / 6, math.pi / 6)), points)
    expected = torch.tensor([1.0, 2.0 + 5 * math.cos(math.pi / 6), 1.5 + 2.5])
    assert_close(camera.position, expected.expand(1, 3, 3), atol=1e-5, rtol=0)


def test_a_point_above_and_to_the_side_is_drawn_as_worked_out_on_paper():
    points = torch.tensor([[[[0.0, 0.5, 1.0], [0.0, -0.5, 0.0]]]])  # seen from +x, +y is on the right
    pixels, depth = project(draw(one(), points), points)
    # The camera aims at the middle (0, 0, 0.5): 0.5 m aside and 0.5 m above at 5 m, focal length 1000 pixels.
    assert_close(pixels, torch.tensor([[[[600.0, 400.0], [400.0, 600.0]]]]), atol=1e-3, rtol=0)
    assert_close(depth, torch.full((1, 1, 2), 5.0))


def test_a_camera_rolled_clockwise_sees_the_world_turned_the_other_way():
    quarter = math.pi / 2
    points = torch.tensor([[[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]])
    pixels, _ = project(draw(one(roll=(quarter, quarter)), points), points)
    assert_close(pixels[0, 0, 0], torch.tensor([400.0, 500.0]), atol=1e-3, rtol=0)  # the upper point lies to the left


@pytest.mark.parametrize("follow", [STILL, PANS, TRAVELS])
def test_every_camera_sees_all_points_within_its_fill_and_none_stands_in_the_person(follow):
    points = walk(batch=64)
    sampler = CameraSampler(follow=follow, distance=(0.5, 3.0), fill=0.8)
    camera = draw(sampler, points)
    pixels, depth = project(camera, points)
    assert (depth > 0.29).all()
    assert ((pixels - 500).abs() <= 400.1).all()
    assert not outside(camera, pixels, depth).any()
    assert (pixels - 500).abs().amax((1, 2, 3)).min() < 400  # and others are not pushed further than they must


def test_a_camera_with_room_keeps_the_distance_it_drew():
    camera = draw(one(distance=(30.0, 30.0), fill=0.9), walk())
    middle = (walk().amin((1, 2)) + walk().amax((1, 2))) / 2
    assert_close((camera.position[:, 0] - middle).norm(dim=-1), torch.full((4,), 30.0), atol=1e-4, rtol=0)


def test_a_still_camera_neither_turns_nor_moves_a_panning_one_turns_a_travelling_one_moves():
    points = walk()
    still, pans, travels = (draw(one(follow=follow, azimuth=(1.0, 2.0)), points) for follow in (STILL, PANS, TRAVELS))

    def change(values: torch.Tensor) -> float:
        return float((values - values[:, :1]).abs().max())

    assert change(still.rotation) == 0
    assert change(still.position) < 1e-5
    assert change(pans.rotation) > 0.05
    assert change(pans.position) < 1e-5
    assert change(travels.rotation) == 0
    assert change(travels.position) > 1.0


def test_a_travelling_camera_keeps_the_person_in_the_middle():
    camera = draw(one(follow=TRAVELS, lag=0.0), walk())
    centre, _ = project(camera, walk().mean(2, keepdim=True))
    assert_close(centre, torch.full_like(centre, 500.0), atol=1e-2, rtol=0)


def test_the_same_seed_draws_the_same_cameras_and_another_seed_others():
    sampler, points = CameraSampler(), walk()
    assert torch.equal(draw(sampler, points).translation, draw(sampler, points).translation)
    assert not torch.equal(draw(sampler, points).translation, draw(sampler, points, seed=1).translation)


def test_ranges_are_drawn_from_evenly_and_shares_of_following_are_kept():
    points = walk(batch=2000, frames=2)
    camera = draw(CameraSampler(fill=None, aim=0.0, follow=(0.5, 0.25, 0.25), lag=0.0), points)
    focal = camera.intrinsics[:, 0, 0, 0] / 1000
    assert abs(float(focal.mean()) - 1.375) < 0.03
    assert 0.75 <= float(focal.min()) < 0.76
    assert 1.99 < float(focal.max()) <= 2.0
    turns = ((camera.rotation[:, 0] - camera.rotation[:, 1]).abs().amax((1, 2)) > 0).float().mean()
    moves = ((camera.position[:, 0] - camera.position[:, 1]).abs().amax(1) > 0.1).float().mean()
    assert abs(float(turns) - 0.25) < 0.04
    assert abs(float(moves) - 0.25) < 0.04


def test_missing_points_do_not_move_the_camera_and_stay_missing():
    points = walk()
    missing = torch.cat([points, torch.full((4, 20, 1, 3), math.nan)], 2)
    with_missing, without = draw(CameraSampler(lag=0.1), missing), draw(CameraSampler(lag=0.1), points)
    assert_close(with_missing.position, without.position, atol=1e-4, rtol=0)
    pixels, depth = project(with_missing, missing)
    assert pixels[:, :, -1].isnan().all()
    assert outside(with_missing, pixels, depth)[:, :, -1].all()


def test_projection_equals_the_cameras_own_and_its_gradient_the_difference_quotient():
    points = walk().double()
    camera = draw(CameraSampler(), points)
    assert_close(project(camera, points)[0], camera.project(points)[0])
    points.requires_grad_()
    (gradient,) = torch.autograd.grad(project(camera, points)[0][1, 2, 3, 0], points)
    step = torch.zeros_like(points)
    step[1, 2, 3, 1] = 1e-5
    difference = (project(camera, points + step)[0] - project(camera, points - step)[0])[1, 2, 3, 0] / 2e-5
    assert_close(gradient[1, 2, 3, 1], difference, rtol=1e-5, atol=1e-5)


def test_a_point_behind_the_camera_is_outside_with_finite_pixels_and_gradients():
    points = torch.tensor([[[[9.0, 0.3, 0.0], [0.0, 0.0, 0.0]]]])
    camera = draw(one(), torch.zeros(1, 1, 2, 3))
    points.requires_grad_()
    pixels, depth = project(camera, points)
    assert depth[0, 0, 0] < 0
    assert outside(camera, pixels, depth).tolist() == [[[True, False]]]
    (gradient,) = torch.autograd.grad(pixels.sum(), points)
    assert gradient.isfinite().all()
    assert pixels.isfinite().all()


def test_screen_coordinates_are_those_of_videopose3d():
    corners = torch.tensor([[0.0, 0.0], [1000.0, 500.0], [500.0, 250.0]])
    assert_close(screen_coordinates(corners, 1000, 500), torch.tensor([[-1.0, -0.5], [1.0, 0.5], [0.0, 0.0]]))


@pytest.mark.parametrize(
    "settings",
    [
        {"distance": (5.0, 3.0)},
        {"follow": (0.5, 0.2, 0.2)},
        {"follow": (0.5, 0.5)},
        {"fill": 0.0},
        {"elevation": (0.0, 2.0)},
        {"width": 0},
        {"lag": math.nan},
        {"aim": -0.1},
    ],
)
def test_impossible_settings_are_refused(settings, untyped):
    with pytest.raises(ValueError):
        CameraSampler(**settings)


@pytest.mark.parametrize("shape", [(2, 17, 3), (2, 9, 17, 2)])
def test_points_of_another_shape_are_refused_in_one_line(shape, untyped):
    told = rf"^points has the shape {re.escape(str(shape))}, expected \(batch, frames, points, 3\)$"
    with pytest.raises(ValueError, match=told):
        CameraSampler().sample(torch.zeros(shape), generator=torch.Generator())
