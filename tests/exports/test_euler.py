import numpy as np
import pytest
import roma
import torch
from numpy.testing import assert_allclose

from motiongan.exports.euler import elevation_angles, yxz_angles, zxy_angles


def about(axis: str, angle: float | np.ndarray) -> np.ndarray:
    vector = np.zeros((*np.shape(angle), 3))
    vector[..., "xyz".index(axis)] = angle
    return roma.rotvec_to_rotmat(torch.from_numpy(vector)).numpy()


def random_rotations(seed: int, count: int = 200) -> np.ndarray:
    return roma.random_rotmat(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_angles_turn_back_into_the_rotations(seed):
    rotations = random_rotations(seed)
    z, x, y = zxy_angles(rotations).T
    assert_allclose(about("z", z) @ about("x", x) @ about("y", y), rotations, atol=1e-9)
    y, x, z = yxz_angles(rotations).T
    assert_allclose(about("y", y) @ about("x", x) @ about("z", z), rotations, atol=1e-9)
    plane, elevation, turn = elevation_angles(rotations).T
    assert_allclose(about("y", plane) @ about("x", -elevation) @ about("y", turn), rotations, atol=1e-9)
    assert (elevation >= 0).all()
    assert (elevation <= np.pi).all()


def test_the_order_is_the_one_that_is_named():
    turn = about("z", 0.3) @ about("x", 0.5) @ about("y", -0.7)
    assert_allclose(zxy_angles(turn[None]), [[0.3, 0.5, -0.7]], atol=1e-12)
    turn = about("y", 0.3) @ about("x", 0.5) @ about("z", -0.7)
    assert_allclose(yxz_angles(turn[None]), [[0.3, 0.5, -0.7]], atol=1e-12)
    turn = about("y", 0.3) @ about("x", -0.5) @ about("y", -0.7)
    assert_allclose(elevation_angles(turn[None]), [[0.3, 0.5, -0.7]], atol=1e-12)


def test_a_full_somersault_has_no_jumps():
    """Through both poles, where the angles of most programs jump by half a turn."""
    angle = np.linspace(0, 2 * np.pi, 181)
    turns = zxy_angles(about("z", np.full(181, 0.2)) @ about("x", angle) @ about("y", np.full(181, -0.1)))
    assert_allclose(turns, np.stack([np.full(181, 0.2), angle, np.full(181, -0.1)], -1), atol=1e-6)


@pytest.mark.parametrize("x", [np.pi / 2, -np.pi / 2])
def test_at_a_pole_the_rotation_is_still_right(x):
    rotations = about("z", np.array([0.4, 0.9])) @ about("x", np.full(2, x)) @ about("y", np.array([0.1, -0.3]))
    turns = zxy_angles(rotations)
    rebuilt = about("z", turns[:, 0]) @ about("x", turns[:, 1]) @ about("y", turns[:, 2])
    assert_allclose(rebuilt, rotations, atol=1e-9)


def test_an_arm_straight_up_or_hanging_keeps_its_last_plane():
    plane = np.full(3, 0.6)
    elevation, turn = np.array([0.5, 0.0, np.pi]), np.array([0.2, 0.2, 0.2])
    rotations = about("y", plane) @ about("x", -elevation) @ about("y", turn)
    assert_allclose(elevation_angles(rotations), np.stack([plane, elevation, turn], -1), atol=1e-7)
