import csv
import logging
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from motiongan.errors import MotionganError
from motiongan.formats.asf import read_amc, read_asf
from motiongan.formats.bvh import read_bvh
from motiongan.formats.skeleton_motion import SkeletonMotion

MOCAP = Path(__file__).parents[3] / "shared" / "mocap"

SKELETON = """# made by hand
:version 1.10
:name tiny
:units
  mass 1.0
  length 0.5
  angle deg
:documentation
   Angles in degrees.
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name hip
     direction 2 0 0
     length 3
     axis 0 0 0 XYZ
  end
  begin
     id 2
     name thigh
     direction 0 -1 0
     length 4
     axis 0 0 90 XYZ
    dof rx rz
    limits (-160.0 20.0)
           (-70.0 70.0)
  end
  begin
     id 3
     name spine
     direction 0 1 0
     length 5
     axis 10 20 30 XYZ
    dof rx ry rz
  end
:hierarchy
  begin
    root hip spine
    hip thigh
  end
"""
MOTION = """#!OML:ASF H:\\tiny.ASF
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
spine 0 0 0
thigh 0 0
2
root 4 5 6 0 90 0
spine 5 6 7
thigh 90 0
"""


def joint_positions(motion: SkeletonMotion) -> dict[str, np.ndarray]:
    world = motion.rotations.copy()
    joints = np.zeros(world.shape[:3])
    joints[:, 0] = motion.root_positions
    for joint in range(1, len(motion.names)):
        parent = motion.parents[joint]
        world[:, joint] = world[:, parent] @ motion.rotations[:, joint]
        joints[:, joint] = joints[:, parent] + world[:, parent] @ motion.offsets[joint]
    return {name: joints[:, joint] for joint, name in enumerate(motion.names)}


def read_tiny(skeleton: str = SKELETON, motion: str = MOTION) -> SkeletonMotion:
    return read_amc(motion.encode(), read_asf(skeleton.encode(), "tiny.asf"), "tiny.amc")


def test_a_bone_is_the_joint_at_its_start_and_ends_where_its_child_starts():
    motion = read_tiny()
    assert motion.names == ("root", "hip", "spine", "thigh", "spine_end", "thigh_end")
    assert motion.parents.tolist() == [-1, 0, 0, 1, 2, 3]
    assert motion.frame_rate is None
    # The direction (2, 0, 0) is made a unit vector before it is taken 3 long.
    expected = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [3, 0, 0], [0, 5, 0], [0, -4, 0]]
    assert_allclose(motion.offsets, expected, atol=1e-12)


def test_a_bone_turns_about_its_own_axes():
    joints = joint_positions(read_tiny())
    assert_allclose(joints["thigh_end"][0], [1 + 3, 2 - 4, 3], atol=1e-12)
    # Frame 2: the root turned by 90 degrees about Y sends X to -Z. The thigh's `axis` turned by 90 about Z makes its X
    # the body's Y: a turn about it leaves the thigh's -Y where it was.
    assert_allclose(joints["thigh"][1], [4, 5, 6 - 3], atol=1e-12)
    assert_allclose(joints["thigh_end"][1], [4, 5 - 4, 6 - 3], atol=1e-12)


def test_local_rotation_is_c_rz_ry_rx_c_inverse():
    axis = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)  # small letters: fixed axes, Rz @ Ry @ Rx
    expected = axis * Rotation.from_euler("xyz", [5, 6, 7], degrees=True) * axis.inv()
    assert_allclose(read_tiny().rotations[1, 2], expected.as_matrix(), atol=1e-12)


def test_orders_of_axis_dof_and_root_are_obeyed():
    skeleton = SKELETON.replace("axis 10 20 30 XYZ", "axis 10 20 30 ZXY").replace("dof rx ry rz", "dof rz rx ry")
    skeleton = skeleton.replace("order TX TY TZ RX RY RZ", "order RZ TZ TY TX RX RY")
    motion = read_tiny(skeleton, MOTION.replace("root 4 5 6 0 90 0", "root 11 6 5 4 12 13"))
    assert_allclose(motion.root_positions[1], [4, 5, 6])
    root = Rotation.from_euler("zxy", [11, 12, 13], degrees=True)
    assert_allclose(motion.rotations[1, 0], root.as_matrix(), atol=1e-12)
    axis = Rotation.from_euler(
        "zxy", [30, 10, 20], degrees=True
    )  # its numbers are about x, y, z; the letters order them
    expected = axis * Rotation.from_euler("zxy", [5, 6, 7], degrees=True) * axis.inv()
    assert_allclose(motion.rotations[1, 2], expected.as_matrix(), atol=1e-12)


def test_radians_are_radians():
    skeleton = SKELETON.replace("angle deg", "angle rad").replace("axis 0 0 90", f"axis 0 0 {np.pi / 2}")
    skeleton = skeleton.replace("axis 10 20 30", "axis " + " ".join(map(str, np.radians([10, 20, 30]))))
    in_radians = MOTION.replace(":DEGREES\n", "").replace(" 90", f" {np.pi / 2}")
    in_radians = in_radians.replace("5 6 7", " ".join(map(str, np.radians([5, 6, 7]))))
    assert_allclose(read_tiny(skeleton, in_radians).rotations, read_tiny().rotations, atol=1e-12)


def test_the_unit_of_length_comes_from_the_header():
    assert read_tiny().metres_per_unit == pytest.approx(0.0508)  # an inch is half a unit
    assert read_tiny(SKELETON.replace("  length 0.5\n", "")).metres_per_unit is None


def test_the_preset_position_moves_the_whole_motion():
    motion = read_tiny(SKELETON.replace("position 0 0 0", "position 0 10 0"))
    assert_allclose(motion.root_positions, [[1, 12, 3], [4, 15, 6]])


def test_comments_in_any_encoding_and_line_ends_make_no_difference():
    plain = read_tiny()
    skeleton = b"# f\xfcr Bonn \x8e\r\n" + SKELETON.replace("\n", "\r\n").encode()
    motion = b"#!OML:ASF X:\\f\xfcr Bonn\\Bastian.ASF \r\n" + MOTION.replace("\n", "\r\n").encode().rstrip()
    other = read_amc(motion, read_asf(skeleton, "b.asf"), "b.amc")
    assert other.names == plain.names
    assert_allclose(other.rotations, plain.rotations)


def test_frames_with_bones_in_another_order_read_the_same():
    swapped = MOTION.replace("spine 5 6 7\nthigh 90 0\n", "thigh  90\t0\n\n# a comment\nspine 5 6 7\n")
    assert_allclose(read_tiny(motion=swapped).rotations, read_tiny().rotations)


def test_a_skeleton_is_parsed_once():
    assert read_asf(SKELETON.encode(), "tiny.asf") is read_asf(SKELETON.encode(), "tiny.asf")


def test_a_bone_without_motion_stays_at_rest_with_a_notice(caplog):
    with caplog.at_level(logging.WARNING):
        motion = read_tiny(motion="\n".join(line for line in MOTION.splitlines() if not line.startswith("thigh")))
    assert_allclose(motion.rotations[:, 3], np.broadcast_to(np.eye(3), (2, 3, 3)))
    assert "no motion for `thigh`" in caplog.text


def test_a_gap_in_the_frame_numbers_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        motion = read_tiny(motion=MOTION.replace("\n2\n", "\n7\n"))
    assert len(motion.rotations) == 2
    assert "frame 7 follows frame 1" in caplog.text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (("spine 5 6 7", "spine 5 6"), "tiny.amc:8: frame 2 has 2 numbers for `spine`, 3 before"),
        (("thigh 90 0\n", ""), "tiny.amc:8: frame 2 has no `thigh`"),
        (("thigh 90 0\n", "thigh 90 0\ntail 1\n"), "1 numbers for `tail`, 0 before"),
        (("spine 5 6 7", "spine 5 six 7"), "tiny.amc:10: `six` is not a number"),
        (("thigh", "tail"), "moves `tail`, which is no bone of tiny.asf"),
        (("thigh 0 0", "thigh 0 0 0"), "frame 2 has 2 numbers for `thigh`, 3 before"),
    ],
)
def test_a_damaged_motion_is_told_with_its_place(damage, message):
    with pytest.raises(MotionganError, match=r"tiny\.amc") as raised:
        read_tiny(motion=MOTION.replace(*damage))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_motion_of_another_skeleton_is_refused():
    with pytest.raises(MotionganError, match=r"3 numbers a frame for `spine`, but tiny.asf gives it 1"):
        read_tiny(SKELETON.replace("dof rx ry rz", "dof rx"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (("hip thigh", "hip knee"), "tiny.asf:44: `knee` is not among the bones"),
        (("length 4", "length four"), "tiny.asf:27: `four`; 1 numbers expected"),
        (("axis 0 0 90 XYZ", "axis 0 0 90 XXZ"), "the axis order is `XXZ`"),
        (("dof rx rz", "dof rx qz"), "`rx qz`"),
        (("root hip spine", "root hip spine thigh"), "`thigh` has a second parent"),
        (("length 0.5", "length 0"), "a positive number expected"),
    ],
)
def test_a_damaged_skeleton_is_told_with_its_place(damage, message):
    with pytest.raises(MotionganError) as raised:
        read_asf(SKELETON.replace(*damage).encode(), "tiny.asf")
    assert message in str(raised.value)


def members(archive_name: str, wanted: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(MOCAP / archive_name, mode="r|*") as archive:
        for member in archive:
            if member.name in wanted:
                content = archive.extractfile(member)
                assert content is not None
                found[member.name] = content.read()
            if len(found) == len(wanted):
                break
    return found


@pytest.mark.shared
@pytest.mark.skipif(not MOCAP.exists(), reason="the recordings in ../shared are not here")
def test_bvh_and_amc_of_one_recording_agree_below_a_tenth_of_a_millimetre():
    with (MOCAP / "index.csv").open(newline="") as table:
        pairs = {row["file"]: row["duplicate_of"] for row in csv.DictReader(table) if row["duplicate_of"]}
    assert len(pairs) == 3
    amcs = members("cmu_asfamc.tar.bz2", {*pairs, "cmu_asfamc/07/07.asf"})
    bvhs = members("cmu_bvh.tar.bz2", set(pairs.values()))
    skeleton = read_asf(amcs["cmu_asfamc/07/07.asf"], "07.asf")
    same = {
        **{"root": "Hips", "lowerback": "LowerBack", "upperback": "Spine", "thorax": "Spine1"},
        **{"lfemur": "LeftUpLeg", "ltibia": "LeftLeg", "lfoot": "LeftFoot", "ltoes": "LeftToeBase"},
        **{"rfemur": "RightUpLeg", "rtibia": "RightLeg", "rfoot": "RightFoot", "rtoes": "RightToeBase"},
    }
    for amc, bvh in pairs.items():
        from_amc = joint_positions(read_amc(amcs[amc], skeleton, amc))
        from_bvh = joint_positions(read_bvh(bvhs[bvh], bvh))
        first = 10 if PurePosixPath(amc).stem == "07_03" else 1  # row k + 1 is frame k; 07_03 starts 9 frames late
        for asf_name, bvh_name in same.items():
            frames = len(from_amc[asf_name])
            difference_mm = (from_amc[asf_name] - from_bvh[bvh_name][first : first + frames]) * 56.444
            assert np.abs(difference_mm).max() < 0.1
