"""Export for MotionBERT: training clips of 243 frames, one pickle each, as its MotionDataset3D reads them.

Source of the layout: MotionBERT (W. Zhu et al. 2023, github.com/Walter0807/MotionBERT), lib/data/datareader_h36m.py and
dataset_motion_3d.py, which reads pickles and nothing else.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from motiongan.errors import MotionganError
from motiongan.exports.cameras import HEIGHT, WIDTH, FixedCamera
from motiongan.exports.captures import captures
from motiongan.exports.portable_pickle import pickled
from motiongan.exports.selection import Export, NamedClip
from motiongan.files import write_whole

_STRIDE = 1 / 3  # of the window between the starts of two: 81 of 243 frames


def write_motionbert(export: Export, folder: Path, on_clip: Callable[[NamedClip], None]) -> list[Path]:
    """Write train/00000000.pkl and so on, one for each window and camera, and return their paths.

    data_input   (window, 17, 3) float32: x, y of the picture in [-1, 1] over its width (y down), and confidence 1
    data_label   (window, 17, 3) float32: the same x, y, and the depth behind the root joint in the same unit
    A clip shorter than the window is stretched to it, as MotionBERT does with its own; frames that fill no window at
    the end of a longer one are left out.
    """
    window = export.options.window
    if window < 2:
        raise MotionganError(f"--window {window}: expected at least 2 frames")
    paths: list[Path] = []
    target = folder / "train"
    for capture in captures(export, on_clip):
        target.mkdir(exist_ok=True)
        if len(capture.positions) < window:
            export.note(
                f"clips shorter than {window} frames are stretched to {window}, as MotionBERT does with its own"
            )
        for camera in capture.cameras:
            label = image_coordinates(camera, capture.positions)
            for piece in _windows(label, window):
                seen = np.concatenate([piece[..., :2], np.ones_like(piece[..., :1])], axis=-1)
                path = target / f"{len(paths):08d}.pkl"
                write_whole(path, pickled({"data_input": seen, "data_label": piece}))
                paths.append(path)
    return paths


def image_coordinates(
    camera: FixedCamera, positions: Float64[ndarray, "frames 17 3"]
) -> Float32[ndarray, "frames 17 3"]:
    """World joints as MotionBERT's labels: x, y in the picture and the depth from the root, all over half its width.

    Depth is scaled as pixels are at the root's distance, so that a step sideways and a step ahead count alike.
    """
    seen, pixels = camera.to_camera(positions), camera.project(positions)
    root = seen[:, :1, 2:]
    depth = (seen[..., 2:] - root) * camera.focal_length / root
    half = WIDTH / 2
    middle = np.array([1.0, HEIGHT / WIDTH])
    return np.concatenate([pixels / half - middle, depth / half], axis=-1).astype(np.float32)


def _windows(frames: Float32[ndarray, "frames 17 3"], window: int) -> list[Float32[ndarray, "window 17 3"]]:
    count = len(frames)
    if count >= window:
        return [
            frames[start : start + window] for start in range(0, count - window + 1, max(1, round(window * _STRIDE)))
        ]
    at = np.linspace(0, count - 1, window)
    before = np.floor(at).astype(np.int64)
    after, share = np.minimum(before + 1, count - 1), (at - before)[:, None, None]
    return [((1 - share) * frames[before] + share * frames[after]).astype(np.float32)]
