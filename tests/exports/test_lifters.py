"""The files for pose lifters, read as VideoPose3D, MMPose and MotionBERT read them."""

import pickle
import pickletools
import zipfile

import numpy as np
import pytest
import roma
import torch

from motiongan.body.joint_sets import JOINT_SETS
from motiongan.exports.cameras import HEIGHT, WIDTH, cameras_around
from motiongan.exports.exporting import export_motion
from motiongan.exports.motionbert import image_coordinates
from motiongan.exports.portable_pickle import object_npy, pickled
from motiongan.exports.selection import ExportOptions, select

pytest_plugins = ("exports.export_fixtures",)

NAMES = JOINT_SETS["h36m17"].names
HEAD, LEFT_WRIST, RIGHT_WRIST = NAMES.index("head"), NAMES.index("left_wrist"), NAMES.index("right_wrist")


def quaternion_turned(quaternion_wxyz: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """VideoPose3D's qrot, worked out by the formula v + 2 w (q x v) + 2 q x (q x v)."""
    w, q = quaternion_wxyz[0], quaternion_wxyz[1:]
    return vectors + 2 * (w * np.cross(q, vectors) + np.cross(q, np.cross(q, vectors)))


def normalised(pixels: np.ndarray) -> np.ndarray:
    """VideoPose3D's normalize_screen_coordinates."""
    return pixels / WIDTH * 2 - [1, HEIGHT / WIDTH]


@pytest.fixture
def human36m(moving_file, tmp_path):
    export_motion([moving_file], "h36m", tmp_path / "out")
    with (
        np.load(tmp_path / "out" / "data_3d_motiongan.npz", allow_pickle=True) as three,
        np.load(tmp_path / "out" / "data_2d_motiongan_gt.npz", allow_pickle=True) as two,
    ):
        return {key: file[key].item() for file in (three, two) for key in file.files}


def test_videopose3d_finds_every_clip_in_both_files(human36m):
    positions, pixels = human36m["positions_3d"], human36m["positions_2d"]
    assert {subject: list(actions) for subject, actions in positions.items()} == {
        "anna": ["kick_left 00000"],
        "ben": ["run_fast 00001", "unlabelled 00002"],
    }
    for subject, actions in positions.items():
        for action, joints in actions.items():
            assert (joints.shape[1:], joints.dtype) == ((17, 3), np.float32)
            assert [seen.shape for seen in pixels[subject][action]] == [(len(joints), 17, 2)] * 4
    assert human36m["metadata"]["num_joints"] == 17
    assert human36m["metadata"]["keypoints_symmetry"] == [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
    assert human36m["skeleton"]["joints_left"] == [4, 5, 6, 11, 12, 13]


def test_videopose3ds_own_camera_arithmetic_gives_the_2d_joints(human36m):
    """world_to_camera, then the projection with the normalised focal length and centre, as its camera.py has them."""
    for subject, actions in human36m["positions_3d"].items():
        for action, joints in actions.items():
            for camera, seen in zip(human36m["cameras"][subject][action], human36m["positions_2d"][subject][action]):
                orientation = np.array(camera["orientation"]) * [1, -1, -1, -1]  # qinverse
                in_camera = quaternion_turned(orientation, joints - np.array(camera["translation"]) / 1000)
                assert (in_camera[..., 2] > 1).all()  # before the camera
                focal = np.array(camera["focal_length"]) / camera["res_w"] * 2
                centre = normalised(np.array(camera["center"]))
                expected = in_camera[..., :2] / in_camera[..., 2:] * focal + centre
                np.testing.assert_allclose(normalised(seen), expected, atol=1e-4)
                assert (np.abs(normalised(seen)) < 1).all()  # in the picture


def test_a_clip_keeps_its_cameras_whatever_is_exported_with_it(human36m, moving_file, tmp_path):
    export_motion([moving_file], "h36m", tmp_path / "one", clips="2")
    with np.load(tmp_path / "one" / "data_3d_motiongan.npz", allow_pickle=True) as file:
        alone = file["cameras"].item()["ben"]["unlabelled 00002"]
    together = human36m["cameras"]["ben"]
    assert alone == together["unlabelled 00002"] != together["run_fast 00001"]
    assert min(np.linalg.norm(camera["translation"]) for camera in alone) < 6000  # near a person on the spot


def test_the_world_is_z_up_and_a_raised_left_hand_stays_one(raised_file, tmp_path):
    export_motion([raised_file], "h36m", tmp_path / "out")
    with np.load(tmp_path / "out" / "data_3d_motiongan.npz", allow_pickle=True) as file:
        joints = file["positions_3d"].item()["anna"]["raise_left 00000"]
    with np.load(tmp_path / "out" / "data_2d_motiongan_gt.npz", allow_pickle=True) as file:
        views = file["positions_2d"].item()["anna"]["raise_left 00000"]
    assert (joints[:, LEFT_WRIST, 2] > joints[:, HEAD, 2] + 0.2).all()
    assert (joints[:, RIGHT_WRIST, 2] < joints[:, HEAD, 2] - 0.5).all()
    for view in views:  # y points down
        assert (view[:, LEFT_WRIST, 1] < view[:, HEAD, 1]).all()
        assert (view[:, RIGHT_WRIST, 1] > view[:, HEAD, 1]).all()


def test_mmpose_parses_every_name_and_finds_its_camera(moving_file, tmp_path):
    export_motion([moving_file], "mmpose", tmp_path / "out")
    arrays = np.load(tmp_path / "out" / "h36m_motiongan.npz")  # no pickle in it
    cameras = pickle.loads((tmp_path / "out" / "cameras.pkl").read_bytes())
    frames = 4 * (12 + 13 + 14)
    assert {key: arrays[key].shape for key in arrays.files} == {
        "imgname": (frames,), "center": (frames, 2), "scale": (frames,), "part": (frames, 17, 3), "S": (frames, 17, 4),
    }  # fmt: skip
    sequences = set()
    for name, part, space in zip(arrays["imgname"], arrays["part"], arrays["S"]):
        subject, rest = name.rpartition("/")[2].split("_", 1)
        action, rest = rest.split(".", 1)
        identity, rest = rest.split("_", 1)
        sequences.add((subject, action, identity))
        camera = cameras[(subject, identity)]
        pixels = space[:, :2] / space[:, 2:3] * camera["f"].T + camera["c"].T
        np.testing.assert_allclose(part[:, :2], pixels, atol=0.05)
    assert len(sequences) == 3 * 4
    assert (arrays["part"][..., 2] == 1).all()
    assert (arrays["S"][..., 3] == 1).all()
    low, high = arrays["part"][0, :, :2].min(0), arrays["part"][0, :, :2].max(0)
    np.testing.assert_allclose(arrays["center"][0], (low + high) / 2, atol=0.01)
    assert arrays["scale"][0] == pytest.approx(1.2 * (high - low).max() / 200, abs=1e-5)


def test_mmposes_world_coordinates_stand_on_z(raised_file, tmp_path):
    """Its SimpleCamera: camera -> world is X @ R.T + T.T for row vectors."""
    export_motion([raised_file], "mmpose", tmp_path / "out")
    arrays = np.load(tmp_path / "out" / "h36m_motiongan.npz")
    cameras = pickle.loads((tmp_path / "out" / "cameras.pkl").read_bytes())
    for start, camera in zip(range(0, 24, 6), cameras.values()):
        world = arrays["S"][start, :, :3] @ camera["R"].T + camera["T"].T
        assert world[LEFT_WRIST, 2] > world[HEAD, 2] + 0.2 > world[RIGHT_WRIST, 2] + 0.7
        assert world[LEFT_WRIST, 0] > world[RIGHT_WRIST, 0]


def test_motionbert_loads_windows_of_the_right_shape_and_unit(moving_file, tmp_path):
    summary = export_motion([moving_file], "motionbert", tmp_path / "out", options=ExportOptions(window=9))
    paths = sorted((tmp_path / "out" / "train").iterdir())
    assert [path.name for path in paths[:2]] == ["00000000.pkl", "00000001.pkl"]
    assert len(paths) == len(summary.files) == 4 * (2 + 2 + 2)  # starts 0 and 3 of 12, 13 and 14 frames
    for path in paths:
        motion = pickle.loads(path.read_bytes())
        assert {key: (value.shape, value.dtype) for key, value in motion.items()} == {
            "data_input": ((9, 17, 3), np.float32), "data_label": ((9, 17, 3), np.float32),
        }  # fmt: skip
        np.testing.assert_array_equal(motion["data_input"][..., :2], motion["data_label"][..., :2])
        assert (motion["data_input"][..., 2] == 1).all()
        assert (motion["data_label"][:, 0, 2] == 0).all()  # depth from the root
        assert (np.abs(motion["data_label"]) < 1).all()
        motion["data_label"] *= 2  # its augmentation works in place


def test_a_clip_shorter_than_the_window_is_stretched_and_said_so(raised_file, tmp_path):
    summary = export_motion([raised_file], "motionbert", tmp_path / "out", options=ExportOptions(window=11))
    assert len(summary.files) == 4
    assert summary.notices == ["clips shorter than 11 frames are stretched to 11, as MotionBERT does with its own"]
    label = pickle.loads(summary.files[0].read_bytes())["data_label"]
    # 6 frames on 11 places: every second place is a frame, the ones between are halfway.
    np.testing.assert_allclose(label[1], (label[0] + label[2]) / 2, atol=1e-6)
    assert (label[:, LEFT_WRIST, 1] < label[:, HEAD, 1]).all()  # y down
    assert (label[:, RIGHT_WRIST, 1] > label[:, HEAD, 1]).all()


def test_a_step_ahead_counts_as_much_as_a_step_sideways():
    (camera, *_) = cameras_around(np.array([[0, 0, 1.8], [0, 0, 0]]), seed=0, name="00000")
    root = np.zeros((1, 17, 3))
    ahead, sideways = root.copy(), root.copy()
    ahead[0, 1] = 0.01 * camera.rotation[2]  # 1 cm along the optical axis
    sideways[0, 1] = 0.01 * camera.rotation[0]
    depth = image_coordinates(camera, ahead)[0, 1, 2]
    across = image_coordinates(camera, sideways)[0, 1, 0] - image_coordinates(camera, sideways)[0, 0, 0]
    assert depth == pytest.approx(across, rel=1e-4)
    assert depth > 0


@pytest.mark.parametrize("seed", range(3))
def test_cameras_stand_upright_around_and_see_the_whole_motion(seed):
    radius, top = 3.0, 2.1
    rim = np.stack(np.meshgrid(np.linspace(0, 2 * np.pi, 40), [0.0, top]), -1).reshape(-1, 2)
    points = np.stack([radius * np.cos(rim[:, 0]), radius * np.sin(rim[:, 0]), rim[:, 1]], -1)
    cameras = cameras_around(points, seed=seed, name="00000")
    assert len(cameras) == 4
    quarters = {(np.sign(camera.position[0]), np.sign(camera.position[1])) for camera in cameras}
    assert len(quarters) == 4
    for camera in cameras:
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) == pytest.approx(1)
        assert (camera.to_camera(points)[:, 2] > 1).all()
        pixels = camera.project(points)
        assert (np.abs(pixels - 500) <= 425.01).all()  # 85 % of half the picture
        assert np.ptp(pixels, axis=0).max() > 750  # and no further away than that asks for
        low, high = camera.project(np.array([[0, 0, 0.0], [0, 0, 1.0]]))
        assert high[1] < low[1]  # up in the world is up in the picture
        rotation = roma.unitquat_to_rotmat(torch.from_numpy(np.roll(camera.quaternion_wxyz, -1))).numpy()
        np.testing.assert_allclose(rotation, camera.rotation.T, atol=1e-12)
    other = cameras_around(points, seed=seed, name="00001")
    assert not np.allclose(other[0].position, cameras[0].position)


def test_pickles_name_nothing_but_numpys_public_names(tmp_path):
    content = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [np.zeros(2), "text", 1.5]}
    data = pickled(content)
    words = [str(argument) for _, argument, _ in pickletools.genops(data) if argument is not None]
    assert not [word for word in words if "_core" in word or "multiarray" in word]
    back = pickle.loads(data)
    np.testing.assert_array_equal(back["a"], content["a"])
    back["a"][0, 0] = 7  # can be written to
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("content.npy", object_npy(content))
    same = np.load(tmp_path / "x.npz", allow_pickle=True)["content"].item()
    assert same["b"][1:] == ["text", 1.5]


def test_a_body_without_a_top_of_the_head_is_refused_in_one_line(moving_file, tmp_path, body):
    from dataclasses import replace

    from motiongan.errors import MotionganError
    from motiongan.exports.captures import captures

    export = select([moving_file], options=ExportOptions(body=tmp_path / "bare.npz"))
    export._body = replace(body, keypoint_names=(), keypoint_vertices=body.keypoint_vertices[:0])
    with pytest.raises(MotionganError, match=r"bare.npz: names no landmarks for head; leave --body out"):
        list(captures(export, lambda named: None))


def test_the_data_set_class_of_the_documentation_reads_the_file(moving_file, tmp_path):
    """With stand-ins for the three names that it takes from VideoPose3D."""
    import re
    from pathlib import Path

    class MocapDataset:
        def __init__(self, fps, skeleton):
            self.skeleton = skeleton

    class Skeleton:
        def __init__(self, parents, joints_left, joints_right):
            self.parents = parents

    export_motion([moving_file], "h36m", tmp_path / "out")
    text = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")
    names = {
        "np": np, "MocapDataset": MocapDataset, "Skeleton": Skeleton,
        "normalize_screen_coordinates": lambda pixels, w, h: pixels / w * 2 - np.array([1, h / w], "float32"),
    }  # fmt: skip
    exec(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0], names)
    dataset = names["MotionganDataset"](tmp_path / "out" / "data_3d_motiongan.npz")
    clip = dataset._data["ben"]["run_fast 00001"]
    assert clip["positions"].shape == (13, 17, 3)
    np.testing.assert_allclose(clip["cameras"][0]["intrinsic"], [2.29, 2.29, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
    assert np.linalg.norm(clip["cameras"][0]["translation"]) < 30  # metres
    assert len(dataset._cameras["ben"]) == 4
