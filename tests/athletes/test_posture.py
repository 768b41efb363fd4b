"""Anatomical angles mean what the head of data/athletes.yaml says."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from motiongan.athletes.posture import local_rotations
from motiongan.athletes.spec import ANGLE, ANGLES, mirror_angles
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS


def _joints(stick_body, heading: float = 0.0, **degrees: float) -> Tensor:
    """World joints (24, 3) of a posture; heading 0 faces -y, so forward is -y, left is +x."""
    angles = torch.zeros(len(ANGLES))
    for name, value in degrees.items():
        angles[ANGLE[name]] = math.radians(value)
    rotations = local_rotations(angles, torch.tensor(heading))
    return forward_kinematics(rotations, torch.zeros(3), stick_body.skeleton(torch.zeros(10))).joints


def _bone(joints: Tensor, start: str, end: str) -> Tensor:
    vector = joints[JOINT[end]] - joints[JOINT[start]]
    return vector / vector.norm()


def test_all_zero_is_standing_upright_with_hanging_arms(stick_body):
    joints = _joints(stick_body)
    assert _bone(joints, "pelvis", "neck")[2] > 0.99
    assert _bone(joints, "left_hip", "left_ankle")[2] < -0.99
    for side in ("left", "right"):
        assert _bone(joints, f"{side}_shoulder", f"{side}_wrist")[2] < -0.97
    assert joints[JOINT["left_hip"], 0] > joints[JOINT["right_hip"], 0]
    assert _bone(joints, "left_ankle", "left_foot")[1] < -0.7  # toes ahead, along -y


@pytest.mark.parametrize("side", ["left", "right"])
def test_flexing_turns_the_limbs_the_right_way(stick_body, side):
    outward = 1.0 if side == "left" else -1.0
    thigh = _bone(_joints(stick_body, **{f"{side}_hip_flexion": 90}), f"{side}_hip", f"{side}_knee")
    assert thigh[1] < -0.99  # forward
    shin = _bone(_joints(stick_body, **{f"{side}_knee_flexion": 90}), f"{side}_knee", f"{side}_ankle")
    assert shin[1] > 0.99  # backward
    abducted = _bone(_joints(stick_body, **{f"{side}_hip_abduction": 30}), f"{side}_hip", f"{side}_ankle")
    assert abducted[0] * outward == pytest.approx(0.5, abs=0.06)
    foot = _bone(_joints(stick_body, **{f"{side}_hip_rotation": 40}), f"{side}_ankle", f"{side}_foot")
    assert foot[0] * outward > 0.4  # toes outwards
    raised = _joints(stick_body, **{f"{side}_ankle_dorsiflexion": 20})
    assert raised[JOINT[f"{side}_foot"], 2] > _joints(stick_body)[JOINT[f"{side}_foot"], 2] + 0.03
    forward = _bone(_joints(stick_body, **{f"{side}_shoulder_flexion": 90}), f"{side}_shoulder", f"{side}_elbow")
    assert forward[1] < -0.95
    sideways = _bone(_joints(stick_body, **{f"{side}_shoulder_abduction": 90}), f"{side}_shoulder", f"{side}_elbow")
    assert sideways[0] * outward > 0.95
    forearm = _bone(_joints(stick_body, **{f"{side}_elbow_flexion": 90}), f"{side}_elbow", f"{side}_wrist")
    assert forearm[1] < -0.95
    thrower = _joints(
        stick_body,
        **{f"{side}_shoulder_abduction": 90, f"{side}_shoulder_rotation": 90, f"{side}_elbow_flexion": 90},
    )
    assert _bone(thrower, f"{side}_elbow", f"{side}_wrist")[2] > 0.95  # arm out, turned outwards: forearm up
    crossed = _joints(stick_body, **{f"{side}_shoulder_abduction": 90, f"{side}_shoulder_horizontal": 90})
    assert _bone(crossed, f"{side}_shoulder", f"{side}_elbow")[1] < -0.95


def test_trunk_and_pelvis_turn_the_right_way(stick_body):
    lean = _joints(stick_body, trunk_flexion=30)
    assert lean[JOINT["neck"], 1] < -0.1
    bend = _joints(stick_body, trunk_bend=20)
    assert bend[JOINT["neck"], 0] < -0.05  # to the right
    turn = _joints(stick_body, trunk_rotation=30)
    assert turn[JOINT["left_shoulder"], 1] > turn[JOINT["right_shoulder"], 1] + 0.1  # to the left: right side ahead
    listing = _joints(stick_body, pelvis_list=10)
    assert listing[JOINT["left_hip"], 2] > listing[JOINT["right_hip"], 2] + 0.02


def test_the_heading_turns_the_whole_body(stick_body):
    joints = _joints(stick_body, heading=math.pi / 2, right_hip_flexion=90)
    assert _bone(joints, "right_hip", "right_knee")[0] > 0.99  # a quarter turn to the left of -y is +x


def test_mirrored_angles_make_the_mirrored_body(stick_body):
    random = np.random.default_rng(0)
    angles = random.uniform(-0.7, 0.7, (5, len(ANGLES)))
    skeleton = stick_body.skeleton(torch.zeros(10, dtype=torch.float64))
    skeleton = type(skeleton)(skeleton.rest_joints.double(), skeleton.rest_soles.double())
    joints = []
    for posture in (angles, mirror_angles(angles)):
        rotations = local_rotations(torch.from_numpy(posture), torch.zeros(5, dtype=torch.float64))
        joints.append(forward_kinematics(rotations, torch.zeros(5, 3, dtype=torch.float64), skeleton).joints)
    flipped = joints[0][:, list(MIRROR_JOINTS)] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(joints[1], flipped)
