"""Export for VideoPose3D and its descendants: data_3d_motiongan.npz and data_2d_motiongan_gt.npz.

Source of the layout: VideoPose3D (D. Pavllo et al. 2019, github.com/facebookresearch/VideoPose3D), prepare_data_h36m.py
and run.py. Its files hold dictionaries, which .npz keeps as pickles: they are read with
`np.load(path, allow_pickle=True)[key].item()`, by its own code and here alike.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motiongan.exports.cameras import HEIGHT, WIDTH, FixedCamera
from motiongan.exports.captures import JOINTS, captures
from motiongan.exports.portable_pickle import object_npy
from motiongan.exports.selection import Export, NamedClip
from motiongan.files import whole_file

FILE_3D, FILE_2D = "data_3d_motiongan.npz", "data_2d_motiongan_gt.npz"


def write_human36m(export: Export, folder: Path, on_clip: Callable[[NamedClip], None]) -> list[Path]:
    """Write both files and return their paths. They are dictionaries of all clips: memory grows with the export.

    positions_3d   [subject][action] (frames, 17, 3) float32, world, metres, Z up
    positions_2d   [subject][action] a list over the cameras of (frames, 17, 2) float32, pixels
    metadata       num_joints and keypoints_symmetry = [left, right]
    cameras        [subject][action] a list in the form of VideoPose3D's own tables: pixels, millimetres, orientation
                   wxyz; every clip has its own four, as near as sees it whole
    skeleton       parents, joints_left and joints_right of the 17 joints
    VideoPose3D keeps cameras and skeleton in its code, per data set; a data set class for these files takes them from
    here.
    """
    positions_3d: dict[str, dict[str, Any]] = {}
    positions_2d: dict[str, dict[str, Any]] = {}
    cameras: dict[str, dict[str, Any]] = {}
    for capture in captures(export, on_clip):
        subject, action = capture.subject, capture.action
        seen = [camera.project(capture.positions).astype(np.float32) for camera in capture.cameras]
        positions_3d.setdefault(subject, {})[action] = capture.positions.astype(np.float32)
        positions_2d.setdefault(subject, {})[action] = seen
        cameras.setdefault(subject, {})[action] = [camera_table(camera) for camera in capture.cameras]
    if not positions_3d:
        return []
    symmetry = [list(JOINTS.left), list(JOINTS.right)]
    skeleton = {"parents": list(JOINTS.parents), "joints_left": symmetry[0], "joints_right": symmetry[1]}
    metadata = {"layout_name": "h36m", "num_joints": len(JOINTS.names), "keypoints_symmetry": symmetry}
    contents: dict[str, dict[str, Any]] = {
        FILE_3D: {"positions_3d": positions_3d, "cameras": cameras, "skeleton": skeleton},
        FILE_2D: {"positions_2d": positions_2d, "metadata": metadata},
    }
    for name, entries in contents.items():
        with (
            whole_file(folder / name) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for key, value in entries.items():
                archive.writestr(f"{key}.npy", object_npy(value))
    return [folder / name for name in contents]


def camera_table(camera: FixedCamera) -> dict[str, Any]:
    """A camera as VideoPose3D's h36m_dataset.py lists them."""
    return {
        "id": camera.name,
        "center": list(camera.centre),
        "focal_length": [camera.focal_length, camera.focal_length],
        "radial_distortion": [0.0, 0.0, 0.0],
        "tangential_distortion": [0.0, 0.0],
        "res_w": WIDTH,
        "res_h": HEIGHT,
        "azimuth": float(np.degrees(np.arctan2(camera.position[1], camera.position[0]))),  # for drawing only
        "orientation": camera.quaternion_wxyz.tolist(),
        "translation": (1000 * camera.position).tolist(),
    }
