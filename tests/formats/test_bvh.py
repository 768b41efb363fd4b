import csv
import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from motiongan.errors import MotionganError
from motiongan.formats.bvh import read_bvh
from motiongan.formats.skeleton_motion import SkeletonMotion

MOCAP = Path(__file__).parents[3] / "shared" / "mocap"

ARM = """HIERARCHY
ROOT Hips
{
    OFFSET 0 0 0
    CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
    JOINT Arm
    {
        OFFSET 0 2 0
        CHANNELS 3 Zrotation Xrotation Yrotation
        End Site
        {
            OFFSET 0 1 0
        }
    }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 0 0  0 0 0  0 0 0
5 6 7  90 0 0  0 90 0
"""


def elementary(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {
            "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def joint_positions(motion: SkeletonMotion) -> np.ndarray:
    """Forward kinematics as the docstring of SkeletonMotion says it, one joint after the other."""
    world = motion.rotations.copy()
    joints = np.zeros(world.shape[:3])
    joints[:, 0] = motion.root_positions
    for joint in range(1, len(motion.names)):
        parent = motion.parents[joint]
        world[:, joint] = world[:, parent] @ motion.rotations[:, joint]
        joints[:, joint] = joints[:, parent] + world[:, parent] @ motion.offsets[joint]
    return joints


def test_an_arm_turned_at_two_joints_points_where_it_should():
    motion = read_bvh(ARM.encode(), "arm.bvh")
    assert motion.names == ("Hips", "Arm", "Arm_end")
    assert motion.parents.tolist() == [-1, 0, 1]
    assert (motion.frame_rate, motion.up_axis, motion.metres_per_unit) == (30.0, "y", None)
    # Turned 90 degrees about Z the arm's (0, 2, 0) points to -X; 90 degrees more about its own X turn Y to Z.
    expected = [[[0, 0, 0], [0, 2, 0], [0, 3, 0]], [[5, 6, 7], [3, 6, 7], [3, 6, 8]]]
    assert_allclose(joint_positions(motion), expected, atol=1e-12)


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("XYZ")])
def test_rotation_channels_multiply_in_the_order_of_the_file(order):
    channels = " ".join(f"{axis}rotation" for axis in order)
    text = ARM.replace("3 Zrotation Xrotation Yrotation", f"3 {channels}").replace("0 90 0\n", "10 20 30\n")
    motion = read_bvh(text.encode(), "arm.bvh")
    expected = elementary(order[0], 10) @ elementary(order[1], 20) @ elementary(order[2], 30)
    assert_allclose(motion.rotations[1, 1], expected, atol=1e-12)


def test_positions_may_stand_after_rotations_and_in_any_order():
    text = ARM.replace(
        "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation",
        "6 Yrotation Zposition Xposition Yposition Xrotation Zrotation",
    ).replace("5 6 7  90 0 0", "40 7 5 6 0 90")
    motion = read_bvh(text.encode(), "arm.bvh")
    assert_allclose(motion.root_positions[1], [5, 6, 7])
    assert_allclose(motion.rotations[1, 0], elementary("Y", 40) @ elementary("Z", 90), atol=1e-12)


def test_a_joint_with_one_rotation_channel_turns_about_that_axis_only():
    text = ARM.replace("3 Zrotation Xrotation Yrotation", "1 Xrotation").replace("  0 0 0\n", "  0\n")
    text = text.replace("0 90 0\n", "90\n")
    assert_allclose(read_bvh(text.encode(), "arm.bvh").rotations[1, 1], elementary("X", 90), atol=1e-12)


@pytest.mark.parametrize(
    "variant",
    [
        ARM.replace("\n", "\r\n"),
        ARM.replace("\n", "\r"),
        ARM.replace("\n{", " {"),
        ARM.replace("    ", "\t").replace("  ", "\t \t"),
        ARM.rstrip(),
        ARM + "\n\n  \n",
        "\ufeff" + ARM.lower().replace("hips", "Hips").replace("arm", "Arm"),
        ARM.replace("0 0 0  0 0 0  0 0 0\n", "0 0 0  0 0 0\n 0 0 0\n"),
        ARM.replace("Frames: 2\nFrame Time: 0.0333333", "Frames:\t2\nFrame Time:\t.033333"),
    ],
)
def test_blanks_and_line_ends_make_no_difference(variant):
    plain, other = read_bvh(ARM.encode(), "a"), read_bvh(variant.encode(), "b")
    assert other.names == plain.names
    assert other.frame_rate == plain.frame_rate
    assert_allclose(joint_positions(other), joint_positions(plain))


def test_joint_names_may_hold_blanks_and_colons():
    motion = read_bvh(ARM.replace("JOINT Arm", "JOINT mixamorig:Left Arm").encode(), "arm.bvh")
    assert motion.names == ("Hips", "mixamorig:Left Arm", "mixamorig:Left Arm_end")


@pytest.mark.parametrize(
    ("frame_time", "frame_rate"),
    [
        (".0083333", 120),
        ("0.008333", 120),
        ("0.0166666", 60),
        ("0.01666667", 60),
        ("0.033", 30),
        ("0.033366", 30000 / 1001),
        ("0.04", 25),
        ("0.01", 100),
        ("0.0142857", 70),
        ("0.02017", 1 / 0.02017),
    ],
)
def test_the_frame_rate_is_the_one_whose_frame_time_prints_so(frame_time, frame_rate):
    motion = read_bvh(ARM.replace("0.0333333", frame_time).encode(), "arm.bvh")
    assert motion.frame_rate == pytest.approx(frame_rate, rel=1e-12)


def with_arm_positions(first: str, second: str) -> bytes:
    text = ARM.replace(
        "3 Zrotation Xrotation Yrotation", "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    )
    text = text.replace("0 0 0\n5", f"{first} 0 0 0\n5").replace("0 90 0\n", f"{second} 0 90 0\n")
    # A second child, so that the arm is not taken for the one that the root only carries
    return text.replace("    JOINT Arm", "    JOINT Leg\n{ OFFSET 0 -9 0\nCHANNELS 0 }\n    JOINT Arm").encode()


def test_constant_positions_of_a_joint_replace_its_offset(caplog):
    motion = read_bvh(with_arm_positions("0 2.5 0", "0 2.5 0"), "arm.bvh")
    assert_allclose(motion.offsets[motion.names.index("Arm")], [0, 2.5, 0])
    assert not caplog.records


def test_zero_positions_of_a_joint_add_to_its_offset(caplog):
    motion = read_bvh(with_arm_positions("0 0 0", "0 0 0"), "arm.bvh")
    assert_allclose(motion.offsets[motion.names.index("Arm")], [0, 2, 0])
    assert not caplog.records


def test_a_joint_that_moves_in_its_parent_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        motion = read_bvh(with_arm_positions("0 2 0", "0 4 0"), "arm.bvh")
    assert_allclose(motion.offsets[motion.names.index("Arm")], [0, 3, 0])
    assert "`Arm` most, by up to 1 units" in caplog.text


def test_a_root_that_only_carries_the_hips_is_folded_into_them():
    text = """HIERARCHY
    ROOT Reference { OFFSET 0 0 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
    JOINT Hips { OFFSET 0 0 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
    JOINT Leg { OFFSET 1 -9 0 CHANNELS 3 Zrotation Yrotation Xrotation }
    JOINT Spine { OFFSET 0 5 0 CHANNELS 3 Zrotation Yrotation Xrotation } } }
    """
    text = "\n".join(line.strip() for line in text.splitlines())
    rows = ["1 0 0 0 90 0  0 9 2  0 0 0  0 0 0 0 0 0", "1 0 0 0 90 0  0 9 4  0 0 30  0 0 0 0 0 0"]
    text += "\nMOTION\nFrames: 2\nFrame Time: 0.01\n" + "\n".join(rows)
    motion = read_bvh(text.encode(), "carried.bvh")
    assert motion.names == ("Hips", "Leg", "Spine")
    assert motion.parents.tolist() == [-1, 0, 0]
    # Turned by 90 degrees about Y the hips' Z is the world's X.
    assert_allclose(motion.root_positions, [[3, 9, 0], [5, 9, 0]], atol=1e-12)
    assert_allclose(motion.rotations[1, 0], elementary("Y", 90) @ elementary("X", 30), atol=1e-12)


def test_a_skeleton_that_stands_along_z_is_noticed(caplog):
    with caplog.at_level(logging.WARNING):
        motion = read_bvh(
            ARM.replace("OFFSET 0 2 0", "OFFSET 0 0 2").replace("90 0 0  0 90 0", "0 0 0 0 0 0").encode(), "a"
        )
    assert motion.up_axis == "z"
    assert "Z is taken as the vertical axis" in caplog.text


def test_a_y_up_skeleton_lying_on_its_back_stays_y_up():
    lying = ARM.replace("0 0 0  0 0 0  0 0 0", "0 0 0  0 90 0  0 0 0").replace("90 0 0  0 90 0", "0 90 0 0 0 0")
    assert read_bvh(lying.encode(), "arm.bvh").up_axis == "y"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (("90 0 0  0 90 0", "90 0 0  0 9o 0"), "arm.bvh:20: `9o` is not a number"),
        (("90 0 0  0 90 0", "90 0 0  0"), "16 numbers of motion do not fill frames of 9 channels"),
        (("MOTION", ""), "no MOTION section"),
        (("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 3 Zrotation Xrotation"), "arm.bvh:9: CHANNELS 3"),
        (("OFFSET 0 2 0", "OFFSET 0 two 0"), "arm.bvh:8: `OFFSET 0 two 0` is not three numbers"),
        (("JOINT Arm", "JOYNT Arm"), "arm.bvh:6: `JOYNT Arm` is not understood"),
        (("}\nMOTION", "MOTION"), "HIERARCHY ends inside a joint"),
        (("Frames: 2", "Frames: many"), "arm.bvh:17: `Frames: N`"),
    ],
)
def test_damage_is_told_with_its_place_in_one_line(damage, message):
    with pytest.raises(MotionganError) as raised:
        read_bvh(ARM.replace(*damage).encode(), "arm.bvh")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_wrong_number_of_frames_in_the_header_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        motion = read_bvh(ARM.replace("Frames: 2", "Frames: 3").encode(), "arm.bvh")
    assert len(motion.rotations) == 2
    assert "the header says 3 frames, the file holds 2" in caplog.text


def test_not_a_number_of_old_runtimes_is_nan():
    motion = read_bvh(ARM.replace("5 6 7", "5 -1.#IND 7").encode(), "arm.bvh")
    assert np.isnan(motion.root_positions[1, 1])
    assert_allclose(motion.root_positions[1, [0, 2]], [5, 7])


@pytest.mark.shared
@pytest.mark.skipif(not MOCAP.exists(), reason="the recordings in ../shared are not here")
def test_recorded_files_have_the_rows_of_their_index_and_bones_of_constant_length():
    import tarfile

    with (MOCAP / "index.csv").open(newline="") as table:
        rows = {row["file"]: row for row in csv.DictReader(table)}
    with tarfile.open(MOCAP / "cmu_bvh.tar.bz2", mode="r|*") as archive:
        for member in itertools.islice((member for member in archive if member.isfile()), 8):
            content = archive.extractfile(member)
            assert content is not None
            motion = read_bvh(content.read(), member.name)
            assert len(motion.rotations) == int(rows[member.name]["frames"])
            assert motion.frame_rate == float(rows[member.name]["frame_rate"])
            joints = joint_positions(motion)
            lengths = np.linalg.norm(joints[:, 1:] - joints[:, motion.parents[1:]], axis=-1)
            assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-9)
            # Row 0 is a T-pose: upper legs turned by 21 degrees about Z, the root not at all (see README there).
            assert_allclose(motion.rotations[0, 0], np.eye(3), atol=1e-12)
            turned = np.degrees(np.arctan2(motion.rotations[0, 2, 1, 0], motion.rotations[0, 2, 0, 0]))
            assert abs(turned) == pytest.approx(21, abs=1.5)
