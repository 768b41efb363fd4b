"""Cameras round a clip, for formats that pair 2D with 3D: four at the corners, as Human3.6M's room has them."""

import zlib
from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Float, Float64
from numpy import ndarray

NUM_CAMERAS = 4
WIDTH = HEIGHT = 1000  # pixels, as Human3.6M's pictures
_FOCAL = 1145.0  # pixels, as Human3.6M's cameras
_VISIBLE = 0.85  # of half the picture: how far out the person comes
_NEAREST = 4.5  # metres from the middle, about as Human3.6M's
_HEIGHTS = (1.2, 1.8)  # metres
_AZIMUTH_SPREAD = np.radians(15.0)  # either side of the corners


@dataclass(frozen=True, eq=False)
class FixedCamera:
    """A pinhole camera without distortion. OpenCV's axes: x right, y down, z forward.

    name         unlike any other camera's: "00012-cam1"
    rotation     (3, 3) world -> camera
    position     (3,) of the camera in the world, metres: x_cam = rotation @ (x_world - position)
    focal_length, centre   pixels, from the outer corner of the top left pixel
    """

    name: str
    rotation: Float64[ndarray, "3 3"]
    position: Float64[ndarray, "3"]
    focal_length: float = _FOCAL
    centre: tuple[float, float] = (WIDTH / 2, HEIGHT / 2)

    def to_camera(self, points: Float[ndarray, "*batch 3"]) -> Float64[ndarray, "*batch 3"]:
        """World points in the camera's axes, metres."""
        return np.asarray((points - self.position) @ self.rotation.T)

    def project(self, points: Float[ndarray, "*batch 3"]) -> Float64[ndarray, "*batch 2"]:
        """Pixels of world points."""
        seen = self.to_camera(points)
        return np.asarray(self.focal_length * seen[..., :2] / seen[..., 2:] + np.array(self.centre))

    @property
    def quaternion_wxyz(self) -> Float64[ndarray, "4"]:
        """The camera's orientation in the world (camera -> world), as VideoPose3D's camera tables have it."""
        xyzw = roma.rotmat_to_unitquat(torch.from_numpy(self.rotation.T.copy())).numpy()
        return np.asarray(np.roll(xyzw, 1))


def cameras_around(points: Float[ndarray, "*frames 3"], *, seed: int, name: str) -> list[FixedCamera]:
    """Four cameras at the corners round the origin, drawn for one clip from seed and name.

    points   (any, 3) all that they must see, metres, Z up
    Each stands as near as it can, 4.5 m at the nearest, with the points inside 85 % of the picture about its middle.
    """
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    spread = _VISIBLE * WIDTH / 2 / _FOCAL  # tangent of half the angle that is used
    aim = np.array([0.0, 0.0, (points[:, 2].min() + points[:, 2].max()) / 2])
    cameras = []
    for number in range(NUM_CAMERAS):
        azimuth = np.pi / 4 + number * np.pi / 2 + random.uniform(-_AZIMUTH_SPREAD, _AZIMUTH_SPREAD)
        height = random.uniform(*_HEIGHTS)
        towards = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        across = np.abs(points @ np.array([-towards[1], towards[0], 0.0]))
        # Seen from the distance d, a point that comes towards the camera by w lies (d - w) away.
        beside = np.maximum(across, np.abs(points[:, 2] - aim[2]))
        distance = max(_NEAREST, float((points @ towards + beside / spread).max()))
        while True:
            position = distance * towards + np.array([0.0, 0.0, height])
            camera = FixedCamera(f"{name}-cam{number + 1}", look_at(position, aim), position)
            if np.abs(camera.project(points) - WIDTH / 2).max() <= _VISIBLE * WIDTH / 2:
                break
            distance *= 1.05  # the camera looks down a little, which the estimate leaves out
        cameras.append(camera)
    return cameras


def look_at(position: Float[ndarray, "3"], aim: Float[ndarray, "3"]) -> Float64[ndarray, "3 3"]:
    """Rotation world -> camera of a level camera that looks from a position at a point."""
    forward = np.asarray(aim - position, dtype=np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])
