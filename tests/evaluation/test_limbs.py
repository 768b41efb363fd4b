import math

import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS
from motiongan.body.smpl import load_body
from motiongan.evaluation.limbs import LIMB_ANGLES, TURNING_JOINTS, limb_angles, turning_speeds


def posed(turns: dict[str, tuple[float, float, float]]) -> torch.Tensor:
    """The angles of the mean body with joints turned by degrees about SMPL's rest axes."""
    rotvecs = torch.zeros(24, 3)
    for name, degrees in turns.items():
        rotvecs[JOINT[name]] = torch.deg2rad(torch.tensor(degrees))
    return angles_of(rotvecs)


def angles_of(rotvecs: torch.Tensor) -> torch.Tensor:
    rotations = roma.rotvec_to_rotmat(rotvecs)
    joints = forward_kinematics(rotations, torch.zeros(3), load_body().skeleton(torch.zeros(10))).joints
    return limb_angles(rotations, joints)


def angle(values: torch.Tensor, name: str, side: str) -> float:
    return values[LIMB_ANGLES.index(name), ("left", "right").index(side)].item()


def test_a_turn_of_a_joint_is_the_angle_that_its_name_says():
    rest = posed({})
    assert angle(rest, "hip_flexion", "left") == pytest.approx(0, abs=0.1)
    assert angle(rest, "shoulder_elevation", "right") == pytest.approx(90, abs=0.1)  # the T-pose
    bent = posed({"left_hip": (-60, 0, 0), "right_hip": (20, 0, 0), "left_knee": (70, 0, 0), "left_elbow": (0, -50, 0)})
    assert angle(bent, "hip_flexion", "left") == pytest.approx(60, abs=0.1)
    assert angle(bent, "hip_flexion", "right") == pytest.approx(-20, abs=0.1)
    # A few degrees less or more: the rest pose's own bend, which is not quite in the plane of the turn.
    assert angle(bent, "knee_flexion", "left") == pytest.approx(70 + angle(rest, "knee_flexion", "left"), abs=4)
    assert angle(bent, "knee_flexion", "right") == pytest.approx(angle(rest, "knee_flexion", "right"), abs=1e-3)
    assert angle(bent, "elbow_flexion", "left") == pytest.approx(50, abs=8)
    hanging = posed({"left_shoulder": (0, 0, -90), "right_shoulder": (0, 0, -90)})
    assert angle(hanging, "shoulder_elevation", "left") == pytest.approx(0, abs=0.1)
    assert angle(hanging, "shoulder_elevation", "right") == pytest.approx(180, abs=0.1)  # the same turn raises it
    pointed = posed({"left_ankle": (30, 0, 0)})
    change = angle(pointed, "ankle_dorsiflexion", "left") - angle(rest, "ankle_dorsiflexion", "left")
    assert change == pytest.approx(-30, abs=1)


def test_mirrored_movements_give_the_same_angles_on_the_other_side():
    rotvecs = 0.6 * torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    mirrored = rotvecs[list(MIRROR_JOINTS)] * torch.tensor([1.0, -1.0, -1.0])
    assert_close(angles_of(mirrored), angles_of(rotvecs).flip(-1), atol=2.0, rtol=0)  # the body is not quite even


def test_turning_speeds_are_degrees_per_second_about_any_axis_and_halve_at_the_last_frame_only_where_it_stops():
    axis = torch.tensor([0.6, 0.0, 0.8])
    rotvecs = torch.zeros(1, 9, 24, 3)
    rotvecs[0, :, JOINT["right_knee"]] = torch.arange(9)[:, None] * math.radians(7) * axis
    speeds = turning_speeds(roma.rotvec_to_rotmat(rotvecs), 30.0)
    knee = speeds[0, :, TURNING_JOINTS.index("knee")]
    assert_close(knee[:, 1], torch.full((9,), 210.0), atol=0.05, rtol=0)
    assert knee[:, 0].abs().max() == 0
