"""Clothed athletes as a stream of square pictures, for videos; the camera follows."""

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import roma
import torch
from jaxtyping import UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import Body
from motiongan.motion.clip import Clip
from motiongan.rendering.appearance import Landmarks, draw_looks
from motiongan.rendering.rasterizer import Rasterizer
from motiongan.rendering.scenes import draw_scene
from motiongan.rendering.viewpoint import Viewpoint

_SCENES = ("studio", "track", "pitch", "hall")
_PIXELS_AT_ONCE = 8 * 256 * 256
_FIELD_OF_VIEW = np.radians(34.0)
_SIDE = np.radians((35.0, 65.0))  # between the way people face and the camera
_CAMERA_HEIGHT = 1.5  # metres
_CALM = 0.5  # seconds over which the camera follows
_FLESH = 0.2  # metres of body and air beyond the outermost joints


def athlete_pictures(seed: int = 0) -> Callable[[Clip, Body, int], Iterator[UInt8[ndarray, "height width 3"]]]:
    """A function that gives a clip's pictures frame by frame; who it is, and where, follows from seed and motion."""
    rasterizers: dict[int, Rasterizer] = {}

    def pictures(clip: Clip, body: Body, size: int) -> Iterator[UInt8[ndarray, "height width 3"]]:
        rasterizer = rasterizers.get(id(body)) or Rasterizer.of_body(body)
        rasterizers[id(body)] = rasterizer
        random = np.random.default_rng([seed, zlib.crc32(clip.poses.tobytes())])
        looks = draw_looks([clip.gender], random=random)
        scene = draw_scene(str(random.choice(_SCENES)), [], size, size, random=random)
        stage = rasterizer.stage(scene, looks, Landmarks.of(body))
        viewpoint = _beside(clip, body, size, angle=float(random.choice([-1, 1]) * random.uniform(*_SIDE)))
        length = max(1, _PIXELS_AT_ONCE // size**2)
        betas = torch.from_numpy(clip.betas[: body.num_betas])
        for start in range(0, clip.num_frames, length):
            frames = np.arange(start, min(start + length, clip.num_frames))
            poses, trans = torch.from_numpy(clip.poses[frames]), torch.from_numpy(clip.trans[frames])
            with torch.inference_mode():
                vertices = body.vertices(poses, trans, betas.expand(len(frames), -1)).numpy()
            yield from rasterizer.render(stage, [(vertices[:, None], viewpoint.camera(frames), 1.0)]).colour

    return pictures


def _beside(clip: Clip, body: Body, size: int, *, angle: float) -> Viewpoint:
    """A camera that travels beside the person and sees all of the motion, from `angle` off the way he first faces."""
    betas = torch.from_numpy(clip.betas[: body.num_betas])
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))
    joints = forward_kinematics(rotations, torch.from_numpy(clip.trans), body.skeleton(betas)).joints.double().numpy()
    faced = rotations[0, 0, :, 2].double().numpy()  # where the rest body's front, +Z, points
    azimuth = float(np.arctan2(faced[1], faced[0])) + angle
    middle = (joints.min(1) + joints.max(1)) / 2
    target = gaussian_filter1d(middle, _CALM * clip.frame_rate, axis=0, mode="nearest")
    target[:, 2] = target[:, 2].mean()
    radius = float(np.linalg.norm(joints - target[:, None], axis=-1).max()) + _FLESH
    distance = radius / np.sin(_FIELD_OF_VIEW / 2)
    position = target + distance * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    position[:, 2] = _CAMERA_HEIGHT
    return Viewpoint(
        mode="follow",
        azimuth=azimuth,
        height=_CAMERA_HEIGHT,
        distance=distance,
        focal=size / 2 / np.tan(_FIELD_OF_VIEW / 2),
        roll=0.0,
        fill=1.0,
        target=target,
        position=position,
        width=size,
        height_pixels=size,
    )
