"""Shoes: smooth over the toes, flat on the ground, carried by the posed foot."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.spatial import ConvexHull

from motiongan.body.skeleton import JOINT, NUM_JOINTS
from motiongan.body.smpl import Body
from motiongan.rendering.clothing import Tailor
from motiongan.rendering.shoes import Shoes

_TOP_Y = -1.13  # metres, rest pose: where the shoes of these tests end


@pytest.fixture(scope="module")
def tailor(body: Body) -> Tailor:
    return Tailor(body.v_template.numpy(), body.faces.numpy())


@pytest.fixture(scope="module")
def shoes(body: Body, tailor: Tailor) -> Shoes:
    return tailor.shoes(np.clip((_TOP_Y - body.v_template.numpy()[:, 1]) / 0.02, 0, 1).astype(np.float32))


def deepest_hollow(points: np.ndarray, faces: np.ndarray, height: float) -> float:
    """How far the outline of the left toes' section at that height lies inside its convex hull, metres."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    a, b = points[sides[:, 0]], points[sides[:, 1]]
    share = (height - a[:, 1]) / np.where(a[:, 1] == b[:, 1], 1, b[:, 1] - a[:, 1])
    cut = (a + share[:, None] * (b - a))[(a[:, 1] > height) != (b[:, 1] > height)]
    section = cut[(cut[:, 0] > 0) & (cut[:, 2] > 0.11)][:, [0, 2]]
    equations = ConvexHull(section).equations
    ahead = section[section[:, 1] > 0.13]  # the section is open where it was cut off behind
    return float(-(ahead @ equations[:, :2].T + equations[:, 2]).max(-1).min())


@pytest.mark.parametrize("height", [0.006, 0.012, 0.018])
def test_a_shoe_has_no_crevices_between_the_toes(body: Body, shoes: Shoes, height: float):
    faces, bare = body.faces.numpy(), body.v_template.numpy().astype(float)
    assert deepest_hollow(bare, faces, bare[:, 1].min() + height) > 0.008
    assert deepest_hollow(shoes.points, faces, bare[:, 1].min() + height) < 0.004


def test_a_sole_is_flat_and_no_lower_than_the_bare_foot(body: Body, shoes: Shoes):
    bare, shod = body.v_template.numpy()[:, 1], shoes.points[:, 1]
    assert shod.min() == pytest.approx(bare.min(), abs=1e-4)
    ground = shoes.points[(shod < bare.min() + 0.002) & (shoes.points[:, 0] > 0)]
    assert np.ptp(ground[:, 2]) > 0.17  # from heel to ball, the arch included
    edges = np.linspace(ground[:, 2].min(), ground[:, 2].max(), 9)
    assert np.histogram(ground[:, 2], edges)[0].min() > 0


def test_above_the_shoe_no_vertex_moves(body: Body, shoes: Shoes):
    bare = body.v_template.numpy()
    assert_allclose(shoes.points[bare[:, 1] >= _TOP_Y], bare[bare[:, 1] >= _TOP_Y], atol=1e-7)
    assert (bare[shoes.vertices, 1] < _TOP_Y).all()


def test_the_foot_carries_its_shoe_through_turns_shapes_and_bent_toes(body: Body, shoes: Shoes):
    bare = body.v_template.numpy().astype(float)

    def carried(vertices: np.ndarray) -> np.ndarray:
        return np.einsum("vc,vcx->vx", shoes.amounts, vertices[shoes.carriers])

    shear = np.array([[1.1, 0.3, 0.0], [-0.2, 0.9, 0.1], [0.0, 0.4, 1.0]])
    assert_allclose(carried(bare @ shear.T + 2.0), shoes.points[shoes.vertices] @ shear.T + 2.0, atol=1e-5)
    for gender in ("female", "male"):
        shape = body.rest_vertices(body.typical_betas(gender)).numpy()
        assert carried(shape)[:, 1].min() == pytest.approx(shape[:, 1].min(), abs=0.002)
    # Bent at the ball, toes go along and the heel stays.
    poses = torch.zeros(1, NUM_JOINTS, 3)
    poses[0, [JOINT["left_foot"], JOINT["right_foot"]], 0] = -0.5
    betas = torch.zeros(1, body.num_betas)
    flat = body.vertices(torch.zeros_like(poses), torch.zeros(1, 3), betas)[0].numpy()
    bent = body.vertices(poses, torch.zeros(1, 3), betas)[0].numpy()
    heel = shoes.points[shoes.vertices, 2] < 0.0
    assert_allclose(carried(bent)[heel], carried(flat)[heel], atol=0.002)
    toes = shoes.points[shoes.vertices, 2] > 0.16
    assert np.abs(carried(bent)[toes] - carried(flat)[toes]).max(-1).min() > 0.01


def test_a_body_without_enough_of_a_foot_stays_barefoot(body: Body, tailor: Tailor):
    cover = np.zeros(body.num_vertices, np.float32)
    cover[np.argsort(body.v_template.numpy()[:, 1])[:20]] = 1
    shoes = tailor.shoes(cover)
    assert len(shoes.vertices) == 0
    assert_allclose(shoes.points, body.v_template.numpy(), atol=1e-7)
