"""Export for MMPose 1.x: the flat .npz that its Human36mDataset reads, with the cameras' file.

Source of the layout: MMPose (github.com/open-mmlab/mmpose), tools/dataset_converters/preprocess_h36m.py, read by
mmpose/datasets/datasets/body3d/h36m_dataset.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from motiongan.exports.cameras import HEIGHT, WIDTH, FixedCamera
from motiongan.exports.captures import captures
from motiongan.exports.portable_pickle import pickled
from motiongan.exports.selection import Export, NamedClip
from motiongan.files import whole_file, write_whole

ANNOTATIONS, CAMERAS = "h36m_motiongan.npz", "cameras.pkl"
_MARGIN = 1.2  # of the box round the joints
_SCALE_UNIT = 200.0  # pixels, MMPose's unit of a box's size


def write_mmpose(export: Export, folder: Path, on_clip: Callable[[NamedClip], None]) -> list[Path]:
    """Write the annotations and the cameras and return their paths. One array of all frames: memory grows with it.

    imgname   "S/S_action.camera/S_action.camera_000001.jpg", from which the subject, the sequence and the camera are
              taken; there are no such pictures
    part      (n, 17, 3) float32 pixels and 1;  S  (n, 17, 4) float32 metres in the camera's axes and 1
    center, scale   (n, 2), (n,) the box round the joints, 1.2 times as large, in units of 200 pixels
    cameras.pkl   a pickle, because MMPose looks cameras up by (subject, camera), which only a pickle can hold
    """
    columns: dict[str, list[ndarray]] = {name: [] for name in ("imgname", "center", "scale", "part", "S")}
    cameras: dict[tuple[str, str], dict[str, Any]] = {}
    for capture in captures(export, on_clip):
        subject = capture.subject
        for camera in capture.cameras:
            cameras[(subject, camera.name)] = camera_parameters(camera)
            pixels, seen = camera.project(capture.positions), camera.to_camera(capture.positions)
            centre, scale = _box(pixels)
            sequence = f"{subject}_{capture.action.replace(' ', '_')}.{camera.name}"
            frames = range(1, len(pixels) + 1)
            columns["imgname"].append(
                np.array([f"{subject}/{sequence}/{sequence}_{frame:06d}.jpg" for frame in frames])
            )
            columns["center"].append(centre.astype(np.float32))
            columns["scale"].append(scale.astype(np.float32))
            columns["part"].append(_with_ones(pixels))
            columns["S"].append(_with_ones(seen))
    if not cameras:
        return []
    arrays: dict[str, Any] = {name: np.concatenate(columns.pop(name)) for name in list(columns)}
    write_whole(folder / CAMERAS, pickled(cameras))
    with whole_file(folder / ANNOTATIONS) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return [folder / ANNOTATIONS, folder / CAMERAS]


def camera_parameters(camera: FixedCamera) -> dict[str, Any]:
    """A camera as preprocess_h36m.py writes them: R camera -> world, T the camera's position in metres."""
    return {
        "R": camera.rotation.T.copy(),
        "T": camera.position[:, None],
        "c": np.array(camera.centre)[:, None],
        "f": np.full((2, 1), camera.focal_length),
        "k": np.zeros((3, 1)),
        "p": np.zeros((2, 1)),
        "w": WIDTH,
        "h": HEIGHT,
        "name": camera.name,
        "id": camera.name,
    }


def _box(
    pixels: Float64[ndarray, "frames joints 2"],
) -> tuple[Float64[ndarray, "frames 2"], Float64[ndarray, "frames"]]:
    low, high = pixels.min(1), pixels.max(1)
    return (low + high) / 2, _MARGIN * (high - low).max(1) / _SCALE_UNIT


def _with_ones(points: Float64[ndarray, "frames joints axes"]) -> Float32[ndarray, "frames joints axes_and_one"]:
    return np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1).astype(np.float32)
