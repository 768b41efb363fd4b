"""Angles, markers and coordinates against poses made by hand: one joint turned by a known angle."""

import csv

import numpy as np
import pytest
from numpy.testing import assert_allclose

from motiongan.body.skeleton import JOINT, JOINT_NAMES, SOLE_NAMES
from motiongan.exports.biomechanics import write_csv, write_mot, write_trc
from motiongan.exports.clinical_angles import clinical_angles
from motiongan.motion.clip import Clip

pytest_plugins = ("exports.export_fixtures",)

# SMPL's rest axes: x to the body's left, y up, z ahead; a turn by +90 degrees about x takes y (up) to z (ahead).
X, Y, Z = np.eye(3)
ARMS_DOWN = {"left_shoulder": -Z * 90, "right_shoulder": Z * 90}  # degrees; from the T-pose to hanging


def posed(frames: int = 2, **turns: np.ndarray) -> Clip:
    """Somebody who stands, facing -y, the arms hanging, with some joints turned by rotation vectors in degrees."""
    poses = np.zeros((frames, 24, 3))
    poses[:, 0] = (np.pi / 2, 0, 0)
    for name, degrees in {**ARMS_DOWN, **turns}.items():
        poses[:, JOINT[name]] = np.radians(degrees)
    return Clip(poses.astype(np.float32), np.tile(np.float32([0, 0, 1.2]), (frames, 1)), 50.0)


def changed(clip: Clip) -> dict[str, float]:
    """The angles of the first frame that are not 0, rounded to a tenth of a degree."""
    return {name: round(float(turn[0]), 1) for name, turn in clinical_angles(clip).items() if abs(turn[0]) > 0.05}


def test_standing_with_hanging_arms_is_zero_everywhere():
    assert changed(posed()) == {}


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ({"left_hip": -X * 40}, {"hip_flexion_l": 40}),  # the thigh, which points down, goes ahead
        ({"right_hip": X * 20}, {"hip_flexion_r": -20}),
        ({"left_hip": Z * 30}, {"hip_adduction_l": -30}),  # to the left, away from the middle
        ({"right_hip": -Z * 30}, {"hip_adduction_r": -30}),
        ({"left_hip": -Y * 15}, {"hip_internal_rotation_l": 15}),  # the left knee's front turns to the right
        ({"right_hip": Y * 15}, {"hip_internal_rotation_r": 15}),
        ({"left_knee": X * 70}, {"knee_flexion_l": 70}),  # the shank goes back
        ({"right_ankle": -X * 12}, {"ankle_dorsiflexion_r": 12}),  # the toes come up
        ({"right_ankle": Z * 10}, {"ankle_inversion_r": 10}),  # its inner edge, at +x, comes up
        ({"left_foot": -X * 25}, {"toe_extension_l": 25}),
        ({"spine1": X * 10, "spine2": X * 10, "spine3": X * 10}, {"trunk_flexion": 30}),
        ({"spine2": Z * 8}, {"trunk_right_bending": 8}),  # up goes to -x, the right
        ({"spine3": Y * 9}, {"trunk_left_rotation": 9}),
        ({"neck": X * 5, "head": X * 6}, {"neck_flexion": 11}),
        ({"left_elbow": -Y * 60}, {"elbow_flexion_l": 60}),  # the rest forearm, at +x, goes ahead
        ({"right_elbow": Y * 60}, {"elbow_flexion_r": 60}),
        ({"left_elbow": X * 45}, {"forearm_pronation_l": 45}),
        ({"right_elbow": X * 45}, {"forearm_pronation_r": 45}),
        ({"left_wrist": -Z * 35}, {"wrist_flexion_l": 35}),  # the palm, which looks down at rest, bends down
        ({"left_wrist": -Y * 20}, {"wrist_radial_deviation_l": 20}),
    ],
)
def test_a_single_turn_is_its_clinical_angle_and_nothing_else(turns, expected):
    assert changed(posed(**turns)) == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ({"left_shoulder": Z * 0}, {"shoulder_elevation_l": 90}),  # T-pose: sideways
        ({"left_shoulder": Z * 90}, {"shoulder_elevation_l": 180}),  # straight up
        # Hanging, then ahead about the axis to the side: the plane is 90 and the elevation what was turned.
        ({"right_shoulder": None}, {"shoulder_elevation_plane_r": 90, "shoulder_elevation_r": 50}),
    ],
)
def test_the_arm_is_told_by_plane_and_elevation(turns, expected):
    if turns.get("right_shoulder", 0) is None:
        import roma
        import torch

        down, ahead = (torch.tensor(np.radians(vector)) for vector in (Z * 90, -X * 50))
        both = roma.rotvec_composition((ahead, down))  # first down, then ahead
        turns = {"right_shoulder": np.degrees(both.numpy())}
        expected = {**expected, "shoulder_internal_rotation_r": -90}  # the plane's turn is taken back
    assert changed(posed(**turns)) == pytest.approx(expected, abs=0.1)


def test_a_raised_left_hand_is_an_elevated_left_shoulder(opened, raised_file, tmp_path):
    export, named = opened(raised_file)
    rows = list(csv.DictReader(write_csv(export, named, tmp_path).open()))
    assert float(rows[0]["shoulder_elevation_l"]) == pytest.approx(180, abs=0.01)
    assert float(rows[0]["shoulder_elevation_r"]) == pytest.approx(0, abs=0.01)


def test_heading_changes_the_pelvis_rotation_and_nothing_else():
    """The person leans 20 degrees forward, then turns 100 degrees to the left: tilt stays tilt."""
    import roma
    import torch

    upright = torch.tensor([np.pi / 2, 0, 0])
    lean = torch.tensor(np.radians(X * 20))
    turned = torch.tensor(np.radians(np.array([0, 0, 100.0])))
    root = roma.rotvec_composition((turned, upright.double(), lean))
    clip = posed(pelvis=np.degrees(root.numpy()))
    assert changed(clip) == {"pelvis_anterior_tilt": 20.0, "pelvis_left_rotation": 100.0}


def test_the_csv_has_time_in_seconds_and_angles_in_degrees(opened, moving_file, tmp_path):
    export, named = opened(moving_file)
    path = write_csv(export, named, tmp_path)
    rows = list(csv.reader(path.open()))
    angles = clinical_angles(named.clip)
    assert rows[0] == ["time", *angles]
    table = np.array(rows[1:], dtype=float)
    assert_allclose(table[:, 0], np.arange(12) / 30, atol=1e-6)
    assert_allclose(table[:, 1:], np.stack(list(angles.values()), 1), atol=1e-4)


def test_the_markers_are_the_joints_and_soles_in_millimetres_y_up(opened, raised_file, tmp_path):
    export, named = opened(raised_file)
    lines = write_trc(export, named, tmp_path).read_text().splitlines()
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\t00000_raise_left.trc"
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t")))
    assert (head["DataRate"], head["NumFrames"], head["NumMarkers"], head["Units"]) == ("30", "6", "28", "mm")
    names = [name for name in lines[3].split("\t")[2:] if name]
    assert names == [*JOINT_NAMES, *SOLE_NAMES]
    assert lines[4].split("\t")[2:8] == ["X1", "Y1", "Z1", "X2", "Y2", "Z2"]
    assert lines[5] == ""
    table = np.array([[float(word) for word in line.split("\t")] for line in lines[6:]])
    assert table.shape == (6, 2 + 3 * 28)
    assert_allclose(table[:, 1], np.arange(6) / 30, atol=1e-6)
    markers = dict(zip(names, table[:, 2:].reshape(6, 28, 3).swapaxes(0, 1)))
    posed = export.pose(named.clip)
    house = posed.joints.numpy()[:, JOINT["left_wrist"]]
    # X ahead is -y of the house, Y up its z, Z to the right its -x.
    assert_allclose(markers["left_wrist"], 1000 * np.stack([-house[:, 1], house[:, 2], -house[:, 0]], -1), atol=1e-3)
    assert (markers["left_wrist"][:, 1] > markers["head"][:, 1] + 300).all()
    assert (markers["right_wrist"][:, 1] < markers["pelvis"][:, 1] + 200).all()
    assert (markers["right_hip"][:, 2] > markers["left_hip"][:, 2]).all()
    assert (markers["left_ball"][:, 0] > markers["left_heel"][:, 0]).all()
    assert_allclose(np.diff(markers["pelvis"], axis=0), [[0, 0, -100]] * 5, atol=0.01)  # to the left


def test_the_coordinates_have_opensims_names_and_signs(opened, tmp_path, make_clip):
    from motiongan.motion.store import write_clips

    clip = posed(3, left_hip=-X * 40, right_knee=X * 70, left_ankle=-X * 12, left_elbow=-Y * 60, spine1=X * 10)
    write_clips(tmp_path / "x.h5", [clip], kind="sample")
    export, named = opened(tmp_path / "x.h5")
    lines = write_mot(export, named, tmp_path).read_text().splitlines()
    end = lines.index("endheader")
    assert lines[0] == "00000"
    assert {"version=1", "nRows=3", "inDegrees=yes"} <= set(lines[:end])
    columns = lines[end + 1].split("\t")
    assert f"nColumns={len(columns)}" in lines[:end]
    row = dict(zip(columns, map(float, lines[end + 2].split("\t"))))
    pelvis = export.pose(named.clip).joints[0, 0]
    assert row.pop("pelvis_ty") == pytest.approx(float(pelvis[2]), abs=1e-5)
    assert row.pop("pelvis_tx") == pytest.approx(-float(pelvis[1]), abs=1e-5)
    row.pop("pelvis_tz")
    turned = {name: round(value, 2) for name, value in row.items() if abs(value) > 0.01}
    assert turned == {
        "hip_flexion_l": 40.0, "knee_angle_r": 70.0, "ankle_angle_l": 12.0, "elbow_flex_l": 60.0,
        "lumbar_extension": -10.0,
    }  # fmt: skip
