"""Random cameras keep the people in the picture and move as their mode says."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motiongan.rendering.viewpoint import draw_viewpoint


def walkers(frames: int = 40, speed: float = 1.5) -> np.ndarray:
    """(frames, 1, 24, 3) joints in a box of a body's size that travels along x."""
    joints = np.random.default_rng(0).uniform([-0.3, -0.3, 0], [0.3, 0.3, 1.8], (1, 1, 24, 3))
    path = np.arange(frames)[:, None, None, None] / 30 * speed * np.array([1.0, 0, 0])
    return (joints + path).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
def test_all_joints_are_in_the_picture_unless_the_draw_says_that_they_are_cut(seed):
    joints = walkers()
    view = draw_viewpoint(joints, 30.0, 200, 160, random=np.random.default_rng(seed))
    pixels, depth = view.camera(np.arange(len(joints))).project(torch.from_numpy(joints[:, 0]))
    inside = (pixels >= 0).all(-1) & (pixels[..., 0] <= 200) & (pixels[..., 1] <= 160) & (depth > 0)
    if view.fill <= 1 and view.mode != "pan":
        assert inside.all()
    height = pixels[..., 1].amax(1) - pixels[..., 1].amin(1)
    assert height.median() > 0.12 * 160
    assert (view.position[:, 2] > 0.2).all()


def test_the_modes_differ_in_what_moves():
    seen = {}
    for seed in range(40):
        view = draw_viewpoint(walkers(speed=2.0), 30.0, 128, 128, random=np.random.default_rng(seed))
        seen[view.mode] = view
    assert set(seen) == {"fixed", "pan", "follow"}
    assert np.ptp(seen["fixed"].position, axis=0).max() == np.ptp(seen["fixed"].target, axis=0).max() == 0
    assert np.ptp(seen["pan"].position, axis=0).max() == 0
    assert np.ptp(seen["pan"].target, axis=0)[0] > 1
    assert np.ptp(seen["follow"].position, axis=0)[0] > 1


def test_a_still_camera_stands_and_the_asked_side_is_the_side():
    view = draw_viewpoint(walkers(), 30.0, 64, 64, random=np.random.default_rng(0), still=True, azimuth=0.0)
    assert np.ptp(view.position, axis=0).max() == 0
    assert view.position[0, 0] > view.target[0, 0] + 1  # azimuth 0 is to the east


def test_between_two_frames_the_camera_is_between_them():
    view = next(
        view
        for seed in range(40)
        if (view := draw_viewpoint(walkers(), 30.0, 64, 64, random=np.random.default_rng(seed))).mode == "follow"
    )
    cameras = view.camera(np.array([3.0, 3.5, 4.0]))
    middle = (cameras.position[0] + cameras.position[2]) / 2
    assert_close(cameras.position[1], middle, atol=1e-4, rtol=0)
