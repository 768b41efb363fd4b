"""Retargeting against motions whose answer is known, and against the recordings' own joint positions."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from foreign_skeleton import MIXAMO, foreign_motion, moving_poses, rotation, spread_rest

from motiongan.body.skeleton import JOINT, JOINT_NAMES
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.formats.fit import measure_fit
from motiongan.formats.grounding import find_floor, level_soles
from motiongan.formats.joint_maps import JOINT_MAPS, match_joints, read_joint_map
from motiongan.formats.retarget import body_skeleton, find_arm_turns, fit_betas, retarget
from motiongan.formats.source_skeleton import pose_source, prepare_skeleton
from motiongan.motion.clip import Clip

SHARED = Path(__file__).parents[2] / "../shared/mocap"
BETAS = np.array([0.8, -0.5, 0.6, 0, 0, 0, 0, 0, 0, 0], dtype=np.float32)


def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles in radians between rotations given as axis-angle."""
    one, two = (roma.rotvec_to_rotmat(torch.from_numpy(np.asarray(each)).double()) for each in (first, second))
    return roma.rotmat_geodesic_distance(one, two).numpy()


@pytest.mark.parametrize("up_axis", ["y", "z"])
@pytest.mark.parametrize("facing", [0.0, 90.0, 180.0])
def test_a_motion_told_on_a_skeleton_of_another_rest_pose_comes_back(body: Body, up_axis: str, facing: float) -> None:
    poses, trans = moving_poses()
    turn = rotation([0, 1, 0], facing)
    if up_axis == "z":
        turn = rotation([1, 0, 0], 90) @ turn
    motion = foreign_motion(
        body, BETAS, poses, trans, rest_turns=spread_rest(), facing=turn, up_axis=up_axis, prefix="mixamorig:"
    )
    skeleton = prepare_skeleton(motion, "made up")
    assert skeleton.table == "Mixamo"
    assert skeleton.metres == pytest.approx(0.01)
    clip = retarget(motion, skeleton, body, BETAS, 60.0)
    assert distance(clip.poses, poses).max() < 1e-4
    assert np.abs(clip.trans - trans).max() < 1e-4


def test_where_the_zero_pose_is_a_mess_a_t_pose_in_frame_0_serves(body: Body) -> None:
    poses, trans = moving_poses()
    poses[0] = 0.0
    poses[0, 0] = [np.pi / 2, 0, 0]
    generator = torch.Generator().manual_seed(1)
    mess = roma.random_rotmat(24, generator=generator, dtype=torch.float64).numpy()
    motion = foreign_motion(body, BETAS, poses, trans, rest_turns=mess)
    skeleton = prepare_skeleton(motion, "made up")
    assert "frame 0" in " ".join(skeleton.notices)
    clip = retarget(motion, skeleton, body, BETAS, 60.0)
    assert distance(clip.poses, poses).max() < 1e-4
    with pytest.raises(MotionganError, match=r"made up: .* T-pose"):
        prepare_skeleton(
            replace(motion, rotations=motion.rotations[20:], root_positions=motion.root_positions[20:]), "made up"
        )


def test_betas_are_found_from_the_bone_lengths(body: Body) -> None:
    poses, trans = moving_poses(3)
    motion = foreign_motion(body, BETAS, poses, trans, rest_turns=spread_rest())
    skeleton = prepare_skeleton(motion, "made up")
    betas = fit_betas([skeleton, skeleton], body)
    fitted, true = (body_skeleton(body, each).rest_joints.numpy() for each in (betas, BETAS))
    for first, second in (("left_hip", "left_knee"), ("right_knee", "right_ankle"), ("left_shoulder", "left_elbow")):
        lengths = [np.linalg.norm(rest[JOINT[first]] - rest[JOINT[second]]) for rest in (fitted, true)]
        assert lengths[0] == pytest.approx(lengths[1], abs=0.004)
    mean = body_skeleton(body, 0 * BETAS).rest_joints.numpy()
    assert np.abs(fitted - true).max() < 0.3 * np.abs(mean - true).max()


def test_a_bone_of_zero_length_is_left_out_of_the_fit(body: Body) -> None:
    poses, trans = moving_poses(3)
    motion = foreign_motion(body, BETAS, poses, trans, rest_turns=spread_rest())
    offsets = motion.offsets.copy()
    offsets[JOINT["spine3"]] = 0.0  # everything above hangs too low
    faulty = prepare_skeleton(replace(motion, offsets=offsets), "made up")
    assert faulty.landmarks[JOINT["left_shoulder"]] == -1
    assert faulty.landmarks[JOINT["left_knee"]] >= 0
    sound = fit_betas([prepare_skeleton(motion, "made up")], body)
    legs = [body_skeleton(body, betas).rest_joints.numpy()[[1, 4, 7]] for betas in (fit_betas([faulty], body), sound)]
    np.testing.assert_allclose(*(np.linalg.norm(np.diff(leg, axis=0), axis=1) for leg in legs), atol=0.01)


def test_other_joint_heights_in_the_back_still_put_the_shoulders_where_they_were(body: Body) -> None:
    """The source bends at the hips' height: its spine joints all lie low."""
    poses, trans = moving_poses()
    poses[:, JOINT["spine1"]] = np.linspace(0, 0.9, len(poses))[:, None] * [1, 0, 0]  # bends forward by 52 degrees
    motion = foreign_motion(body, BETAS, poses, trans, rest_turns=spread_rest())
    offsets = motion.offsets.copy()
    lowered = np.array([0.0, 8.0, 0.0])
    offsets[JOINT["spine1"]] -= lowered
    offsets[JOINT["spine2"]] += lowered
    motion = replace(motion, offsets=offsets)
    skeleton = prepare_skeleton(motion, "made up")
    clip = retarget(motion, skeleton, body, BETAS, 60.0)
    fit = measure_fit(clip, pose_source(motion, skeleton).joints, skeleton, body)
    trunk = fit.bone_errors[:, fit.bones.index("hips - shoulders")]
    assert np.degrees(trunk).max() < 1.0  # without bending the trunk it would be off by up to 8 degrees
    assert fit.joint_errors.mean() < 0.01


@pytest.mark.parametrize(("unit", "stated"), [(1.0, None), (0.0254, None), (0.37, 0.37)])
def test_the_unit_is_found_from_the_stature_or_taken_as_stated(body: Body, unit: float, stated: float | None) -> None:
    motion = foreign_motion(body, BETAS, *moving_poses(2), rest_turns=spread_rest(), unit=unit)
    assert prepare_skeleton(motion, "made up", metres_per_unit=stated).metres == pytest.approx(unit)


def test_a_skeleton_of_impossible_size_is_refused(body: Body) -> None:
    motion = foreign_motion(body, BETAS, *moving_poses(2), rest_turns=spread_rest(), unit=0.01)
    with pytest.raises(MotionganError, match=r"made up: with 1 unit = 1 m .* --scale"):
        prepare_skeleton(motion, "made up", metres_per_unit=1.0)


def standing(body: Body, num_frames: int, height: float) -> Clip:
    """A T-pose whose soles are at `height`."""
    poses, trans = np.zeros((num_frames, 24, 3), np.float32), np.zeros((num_frames, 3), np.float32)
    poses[:, 0, 0] = np.pi / 2
    skeleton = body_skeleton(body, np.zeros(10, np.float32))
    pelvis, sole = skeleton.rest_joints[0], float(skeleton.rest_soles[:, 1].min())
    # The rest pelvis stays where it is in Y-up axes, then the body hangs from it along Z.
    trans[:, 2] = height + float(pelvis[1]) - sole - float(pelvis[2])
    return Clip(poses, trans, 120.0)


def test_the_floor_is_where_the_soles_stand_still(body: Body) -> None:
    clip = standing(body, 120, height=0.3)
    floor = find_floor(clip, body)
    assert floor is not None
    skeleton = body_skeleton(body, np.zeros(10, np.float32))
    tilt = float(skeleton.rest_soles[:, 1].max() - skeleton.rest_soles[:, 1].min())
    assert floor == pytest.approx(0.3, abs=tilt + 1e-4)
    trans = clip.trans.copy()
    trans[60:, 2] += np.linspace(0, 3, 60)  # a jump out of sight: 6 m/s, never standing
    assert find_floor(replace(clip, trans=trans), body) == pytest.approx(floor, abs=1e-4)
    moving = clip.trans + np.linspace(0, 5, 120)[:, None] * np.array([1, 0, 0])
    assert find_floor(replace(clip, trans=moving.astype(np.float32)), body) is None


def test_feet_tilted_by_a_constant_are_levelled(body: Body) -> None:
    clip = standing(body, 120, height=0.0)
    poses = clip.poses.copy()
    poses[:, JOINT["left_ankle"], 0] = 0.12
    turns = level_soles([replace(clip, poses=poses)], body)
    expected = rotation([1, 0, 0], -np.degrees(0.12))
    np.testing.assert_allclose(turns[0], expected, atol=1e-4)  # left heel, moved by the ankle
    np.testing.assert_allclose(turns[1], np.eye(3), atol=1e-4)
    np.testing.assert_allclose(turns[2], expected, atol=1e-4)  # the toes hang on the ankle and tilt with it


@pytest.mark.parametrize("name", list(JOINT_MAPS))
def test_each_table_is_chosen_by_its_own_names(name: str) -> None:
    names = list(JOINT_MAPS[name].source_names)
    for prefix in ("", "Character1:"):
        chosen, joints = match_joints([prefix + each for each in names], "made up")
        assert chosen.name == name
        assert names[joints["left_knee"][0]] == JOINT_MAPS[name].joints["left_knee"][0]


def test_no_table_takes_one_source_joint_for_two_smpl_joints() -> None:
    for table in JOINT_MAPS.values():
        names = list(itertools.chain.from_iterable(table.joints.values()))
        assert len(names) == len(set(names)), table.name
        assert all(joint in JOINT_NAMES for joint in (*table.joints, *table.landmarks))
        left = {joint for joint in table.joints if joint.startswith("left_")}
        assert {joint.replace("left", "right") for joint in left} <= set(table.joints)


def test_a_skeleton_that_fits_no_table_is_answered_with_the_missing_joints() -> None:
    names = [name for name in MIXAMO.values() if "ForeArm" not in name]
    with pytest.raises(MotionganError, match=r"made up: .* lacks LeftForeArm, RightForeArm.*--joint-map"):
        match_joints(names, "made up")


def test_a_users_own_table_is_read_and_misspellings_are_answered(tmp_path: Path) -> None:
    own = {joint: f"bone_{joint}" for joint in JOINT_NAMES if not joint.endswith("_hand")}
    path = tmp_path / "map.yaml"
    path.write_text(
        "\n".join(f"{joint}: {name}" for joint, name in own.items()).replace("head: bone_head", "head: [a, b]")
    )
    table = read_joint_map(path)
    assert table.joints["left_knee"] == ("bone_left_knee",)
    assert table.joints["head"] == ("a", "b")
    path.write_text("left_kne: x")
    with pytest.raises(MotionganError, match=r"map.yaml: unknown SMPL joint `left_kne`; did you mean `left_knee`"):
        read_joint_map(path)
    path.write_text('{"pelvis": "a"}')
    with pytest.raises(MotionganError, match=r"map.yaml: the table lacks left_hip"):
        read_joint_map(path)


def test_an_elbow_whose_hinge_is_rolled_comes_out_bending_forward_only(body: Body) -> None:
    """Upper arms rolled by 40 degrees about their length, and elbows rolled back by as much; hands aside by 30."""
    rest = body_skeleton(body, BETAS).rest_joints.numpy()
    bend = np.linspace(0.2, 1.8, 30)
    wanted = np.zeros((30, 24, 3), dtype=np.float32)
    rolled = wanted.copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow, wrist = (JOINT[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist"))
        along = rest[elbow] - rest[shoulder]
        roll = rotation(along / np.linalg.norm(along), 40 * sign)
        wanted[:, elbow, 1] = -sign * bend
        hinge = roma.rotvec_to_rotmat(torch.from_numpy(wanted[:, elbow]).double()).numpy()
        rolled[:, shoulder] = roma.rotmat_to_rotvec(torch.from_numpy(roll)).numpy()
        rolled[:, elbow] = roma.rotmat_to_rotvec(torch.from_numpy(roll.T @ hinge)).numpy()
        rolled[:, wrist, 1] = np.radians(30)
    turns = find_arm_turns([Clip(rolled, np.zeros((30, 3), np.float32), 30.0, betas=BETAS)], body)
    for constants, name in zip(turns, ("left", "right")):
        upper_arm = roma.rotvec_to_rotmat(torch.from_numpy(rolled[0, JOINT[f"{name}_shoulder"]]).double()).numpy()
        left_over = roma.rotmat_to_rotvec(torch.from_numpy(upper_arm @ constants[0])).norm()
        assert float(left_over) < np.radians(5)  # the rest pose's own bend of the elbow shows a little
        np.testing.assert_allclose(constants[1], rotation([0, 1, 0], -30), atol=1e-4)


def test_joints_of_the_back_without_a_counterpart_share_its_bending(body: Body) -> None:
    poses, trans = moving_poses()
    poses[:] = 0.0
    poses[:, 0, 0] = np.pi / 2
    poses[:, JOINT["spine1"], 0] = np.radians(30)
    poses[:, JOINT["spine2"], 0] = np.radians(30)
    poses[:, JOINT["spine3"], 0] = np.radians(30)
    motion = foreign_motion(body, BETAS, poses, trans, rest_turns=spread_rest())
    own = JOINT_MAPS["Mixamo"]
    chest_only = {joint: names for joint, names in own.joints.items() if joint not in ("spine1", "spine2", "neck")}
    skeleton = prepare_skeleton(motion, "made up", replace(own, joints=chest_only))
    clip = retarget(motion, skeleton, body, BETAS, 60.0)
    assert distance(clip.poses, poses).max() < 1e-3


def test_a_foot_and_a_forearm_turned_over_by_the_solver_are_turned_back(
    body: Body, caplog: pytest.LogCaptureFixture
) -> None:
    poses, trans = moving_poses()
    poses[:, [JOINT["right_ankle"], JOINT["left_elbow"], JOINT["left_wrist"], JOINT["right_foot"]]] *= 0.2
    motion = foreign_motion(body, BETAS, poses, trans, rest_turns=spread_rest())
    rotations = motion.rotations.copy()
    rest = body_skeleton(body, BETAS).rest_joints.numpy()
    spread = spread_rest()
    for joint, child, frames in (
        ("right_ankle", "right_foot", slice(0, 40)),
        ("left_elbow", "left_wrist", slice(12, 30)),
    ):
        first, second = JOINT[joint], JOINT[child]
        bone = spread[first].T @ (rest[second] - rest[first])
        flip = rotation(bone / np.linalg.norm(bone), 180)
        rotations[frames, first] = rotations[frames, first] @ flip
        rotations[frames, second] = flip @ rotations[frames, second] @ flip
    skeleton = prepare_skeleton(motion, "made up")
    turned_over = replace(motion, rotations=rotations)
    clip, sound = (retarget(each, skeleton, body, BETAS, 60.0) for each in (turned_over, motion))
    assert distance(clip.poses, sound.poses).max() < 1e-3
    assert "half a turn of the right ankle" in caplog.text
    assert "half a turn of the left elbow" in caplog.text
