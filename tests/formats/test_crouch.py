"""A squat whose legs are known, broken at its bottom, and laid anew."""

import numpy as np
import roma
import torch
from torch.testing import assert_close

from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.legs import about_x, knee_angle
from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import load_body
from motiongan.formats.crouch import mend_crouches
from motiongan.formats.repair import repair
from motiongan.formats.retarget import body_skeleton
from motiongan.motion.clip import Clip

RATE = 120.0
REST = body_skeleton(load_body(), np.zeros(10, np.float32)).rest_joints.numpy().astype(np.float64)
LEG = [JOINT[name] for name in ("left_hip", "left_knee", "left_ankle")]
BOTTOM = slice(70, 110)


def squat(drop: float = 0.45, frames: int = 180) -> tuple[torch.Tensor, np.ndarray]:
    """Rotations (quaternions) and trans of a body that goes down by `drop` metres and up again over still feet."""
    fall = drop * np.sin(np.pi * np.linspace(0, 1, frames)) ** 2
    matrices = torch.eye(3, dtype=torch.float64).repeat(frames, 24, 1, 1)
    matrices[:, 0] = about_x(torch.tensor(np.pi / 2))
    for side in ("left", "right"):
        hip, knee, ankle = (REST[JOINT[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
        thigh, shin = torch.from_numpy(knee - hip), torch.from_numpy(ankle - knee)
        reach = torch.from_numpy((ankle - hip) + fall[:, None] * np.array([0.0, 1.0, 0.0]))  # rest axes: Y is up
        angle = knee_angle(thigh, shin, reach.norm(dim=-1))
        bent = thigh + about_x(angle) @ shin
        # The thigh swings about X; what remains of the small sideways angle is left to the ankle's place.
        swing = torch.atan2(reach[:, 2], reach[:, 1]) - torch.atan2(bent[:, 2], bent[:, 1])
        matrices[:, JOINT[f"{side}_hip"]] = about_x(swing)
        matrices[:, JOINT[f"{side}_knee"]] = about_x(angle)
        matrices[:, JOINT[f"{side}_ankle"]] = about_x(-swing - angle)
    trans = np.zeros((frames, 3))
    trans[:, 2] = 0.95 - fall
    return roma.rotmat_to_unitquat(matrices), trans


def lose_the_leg(rotations: torch.Tensor) -> torch.Tensor:
    """Thigh and foot turned 75 degrees about themselves for a third of a second, growing and fading smoothly."""
    broken = rotations.clone()
    share = torch.from_numpy(np.sin(np.pi * np.linspace(0, 1, BOTTOM.stop - BOTTOM.start)) ** 2)
    for joint, turn in ((LEG[0], 1.6), (LEG[2], -1.3)):
        twist = roma.rotvec_to_unitquat(share[:, None] * torch.tensor([0.0, turn, 0.0], dtype=torch.float64))
        broken[BOTTOM, joint] = roma.quat_product(broken[BOTTOM, joint], twist)
    return broken


def joints_of(rotations: torch.Tensor, trans: np.ndarray) -> torch.Tensor:
    skeleton = Skeleton(torch.from_numpy(REST), torch.zeros(4, 3, dtype=torch.float64))
    return forward_kinematics(roma.unitquat_to_rotmat(rotations), torch.from_numpy(trans), skeleton).joints


def test_a_lost_leg_is_laid_where_it_was() -> None:
    rotations, trans = squat()
    broken = lose_the_leg(rotations)
    truth = joints_of(rotations, trans)
    assert (joints_of(broken, trans) - truth)[:, LEG].norm(dim=-1).max() > 0.25
    crouches = mend_crouches(broken, trans, REST, RATE)
    assert crouches is not None
    assert not crouches.lost.any()
    error = (joints_of(crouches.rotations, trans) - truth)[:, LEG].norm(dim=-1)
    assert error.max() < 0.02
    others = [joint for joint in range(24) if joint not in LEG]
    assert_close(crouches.rotations[:, others], broken[:, others])


def test_a_sound_squat_is_left_alone() -> None:
    assert mend_crouches(*squat(), REST, RATE) is None


def test_a_lost_leg_whose_foot_went_elsewhere_meanwhile_stays_lost() -> None:
    rotations, trans = squat()
    trans[90:, 0] += 0.3  # a step
    crouches = mend_crouches(lose_the_leg(rotations), trans, REST, RATE)
    assert crouches is not None
    assert crouches.lost[85:95].all()
    assert not crouches.lost[:40].any()
    assert not crouches.lost[140:].any()


def test_repair_tells_what_it_laid_anew_and_cuts_what_it_could_not() -> None:
    rotations, trans = squat()
    poses = roma.unitquat_to_rotvec(lose_the_leg(rotations)).float().numpy()
    (notice,) = repair(Clip(poses, trans.astype(np.float32), RATE), REST).notices
    assert "laid anew" in notice

    trans[90:, 0] += 0.1 * np.minimum(np.arange(90) / 10, 3)
    cut = repair(Clip(poses, trans.astype(np.float32), RATE), REST)
    assert "legs lost in a deep crouch" in cut.notices[-1]
    assert all(piece.stop <= 85 or piece.start >= 95 for piece in cut.pieces)
