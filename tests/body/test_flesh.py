"""Capsules of flesh: within the skin at rest, and as deep in each other as geometry says."""

import math

import numpy as np
import pytest
import roma
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.testing import assert_close

from motiongan.body.flesh import CAPSULES, GIVE, PAIRS, _line_distance, self_penetration
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS


def posed(body, **turns: tuple[float, float, float]) -> Tensor:
    """(24, 3) joints of the mean body with these joints turned by rotation vectors in degrees, in rest axes."""
    rotations = torch.zeros(1, 24, 3)
    for joint, turn in turns.items():
        rotations[0, JOINT[joint]] = torch.deg2rad(torch.tensor(turn))
    skeleton = body.skeleton(torch.zeros(10))
    return forward_kinematics(roma.rotvec_to_rotmat(rotations), torch.zeros(1, 3), skeleton).joints[0]


def depths(joints: Tensor) -> dict[tuple[str, str], float]:
    """Those pairs that lie within each other, in metres."""
    return {pair: depth for pair, depth in zip(PAIRS, self_penetration(joints).tolist()) if depth > 0}


def windings(points: Tensor, triangles: Tensor) -> Tensor:
    """How often the surface goes round each point: 1 within, 0 without (van Oosterom and Strackee 1983)."""
    corners = triangles[None] - points[:, None, None]
    x, y, z = corners.unbind(2)
    far = corners.norm(dim=-1)
    dots = (x * y).sum(-1) * far[..., 2] + (y * z).sum(-1) * far[..., 0] + (z * x).sum(-1) * far[..., 1]
    angles = torch.atan2((x * torch.linalg.cross(y, z)).sum(-1), far.prod(-1) + dots)
    return angles.sum(-1) / (2 * math.pi)


@pytest.mark.parametrize("name", [name for name in CAPSULES if not name.startswith("right")])
def test_capsules_are_as_thick_as_the_flesh_at_rest(body, name):
    capsule, rest = CAPSULES[name], body.skeleton(torch.zeros(10)).rest_joints.double()
    triangles = body.v_template.double()[body.faces.long()]
    start = rest[JOINT[capsule.start]]
    way = (rest[JOINT[capsule.end]] - start) * capsule.reach
    beside = torch.linalg.svd(way[None]).Vh[1:]
    places = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)[:, None, None]
    angles = torch.arange(8, dtype=torch.float64) * math.pi / 4
    round_it = torch.stack([angles.cos(), angles.sin()], -1) @ beside

    def share_within(radius: float) -> float:
        return float(
            (windings((start + places * way + radius * round_it).flatten(0, 1), triangles) > 0.5).float().mean()
        )

    assert share_within(0) == 1
    assert share_within(capsule.radius / 2) > 0.85
    assert share_within(1.5 * capsule.radius) < 0.65


def test_people_who_stand_walk_and_squat_touch_nothing(body):
    hanging = {"left_shoulder": (0.0, 0.0, -75.0), "right_shoulder": (0.0, 0.0, 75.0)}
    stride = {"left_hip": (-30.0, 0.0, 0.0), "right_hip": (20.0, 0.0, 0.0), "right_knee": (40.0, 0.0, 0.0)}
    squat = {
        f"{side}_{joint}": (turn, 0.0, 0.0)
        for side in ("left", "right")
        for joint, turn in (("hip", -100.0), ("knee", 110.0))
    }
    for turns in ({}, hanging, {**hanging, **stride}, {**hanging, **squat}):
        assert depths(posed(body, **turns)) == {}


def test_a_forearm_across_the_trunk_is_as_deep_as_its_axis_comes_near(body):
    joints = posed(body, left_shoulder=(0.0, 0.0, -110.0))
    found = depths(joints)
    assert all(first in ("left_forearm", "left_hand") for first, _ in found)
    elbow, wrist, hip, collar = (
        joints[JOINT[name]].double().numpy() for name in ("left_elbow", "left_wrist", "left_hip", "left_collar")
    )

    def distance(places: np.ndarray) -> float:
        return float(np.linalg.norm(elbow + places[0] * (wrist - elbow) - hip - places[1] * (collar - hip)))

    nearest = min(minimize(distance, start, bounds=[(0, 1), (0, 1)]).fun for start in ((0, 0), (0.5, 0.5), (1, 1)))
    room = CAPSULES["left_forearm"].radius + CAPSULES["left_trunk"].radius - GIVE
    assert found["left_forearm", "left_trunk"] == pytest.approx(room - nearest, abs=1e-4)


@pytest.mark.parametrize(
    ("turns", "pair"),
    [
        ({"left_hip": (0.0, 0.0, -12.0), "right_hip": (0.0, 0.0, 12.0)}, ("left_shin", "right_shin")),
        ({"left_hip": (0.0, 0.0, -8.0), "right_hip": (0.0, 0.0, 8.0)}, ("left_foot", "right_foot")),
        ({"left_hip": (0.0, 0.0, -12.0), "right_hip": (0.0, 0.0, 12.0)}, ("left_shin", "right_thigh")),
        ({"left_shoulder": (0.0, -120.0, 0.0), "right_shoulder": (0.0, 120.0, 0.0)}, ("left_forearm", "right_forearm")),
        ({"left_shoulder": (0.0, 0.0, 60.0), "left_elbow": (0.0, 0.0, 125.0)}, ("left_hand", "head")),
        ({"left_shoulder": (0.0, 0.0, -95.0), "left_elbow": (0.0, 0.0, -12.0)}, ("left_hand", "left_thigh")),
    ],
)
def test_whatever_meets_is_found_on_either_side(body, turns, pair):
    assert pair in depths(posed(body, **turns))
    mirror = {"left": "right", "right": "left"}
    turned = {f"{mirror[n.split('_')[0]]}_{n.split('_')[1]}": (x, -y, -z) for n, (x, y, z) in turns.items()}
    other = tuple("_".join([mirror.get(name.split("_")[0], name.split("_")[0]), *name.split("_")[1:]]) for name in pair)
    assert other in depths(posed(body, **turned)) or other[::-1] in depths(posed(body, **turned))


def test_neighbours_are_no_pair():
    ends = {name: {capsule.start, capsule.end} for name, capsule in CAPSULES.items()}
    assert not [pair for pair in PAIRS if ends[pair[0]] & ends[pair[1]]]
    assert len({frozenset(pair) for pair in PAIRS}) == len(PAIRS)


def test_the_mirrored_body_lies_as_deep_in_itself(body):
    generator = torch.Generator().manual_seed(0)
    joints = torch.randn(50, 24, 3, generator=generator) * 0.2
    mirrored = joints[:, list(MIRROR_JOINTS)] * torch.tensor([-1.0, 1.0, 1.0])
    ours, theirs = self_penetration(joints), self_penetration(mirrored)
    assert float(ours.max()) > 0
    assert_close(ours.sort(-1).values, theirs.sort(-1).values, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        (((0, 0, 0), (1, 0, 0)), ((0.5, -1, 0.3), (0, 2, 0)), 0.3),  # they cross
        (((0, 0, 0), (1, 0, 0)), ((2, 0, 0), (1, 0, 0)), 1.0),  # end to end
        (((0, 0, 0), (1, 0, 0)), ((3, 0.5, 0), (-5, 0, 0)), 0.5),  # parallel, one longer
        (((0, 0, 0), (1, 0, 0)), ((1 + 3, 4, 0), (0, 1, 0)), 5.0),  # corner to corner
        (((0, 0, 0), (0, 0, 0)), ((3, 4, 0), (0, 0, 0)), 5.0),  # points
    ],
)
def test_the_distance_of_two_lines_that_end(first, second, distance):
    lines = [torch.tensor(each, dtype=torch.float64) for each in (*first, *second)]
    assert float(_line_distance(*lines)) == pytest.approx(distance, abs=1e-4)


def test_the_gradient_moves_the_arm_out_and_is_finite_everywhere(body):
    joints = posed(body, left_shoulder=(0.0, 0.0, -110.0)).requires_grad_()
    self_penetration(joints).sum().backward()
    assert joints.grad is not None
    assert joints.grad[JOINT["left_elbow"]].norm() > 0.1
    moved = (joints - 0.01 * joints.grad).detach()
    assert float(self_penetration(moved).sum()) < float(self_penetration(joints.detach()).sum())
    for same in (torch.zeros(24, 3), joints.detach()):
        points = same.clone().requires_grad_()
        self_penetration(points).sum().backward()
        assert points.grad is not None
        assert points.grad.isfinite().all()
